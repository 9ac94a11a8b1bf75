"""All collections, and the little they know of each other: keys to refer to, records to embed."""

from typing import Any

from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.records.collection import Collection, Lines

ORDERS = "purchase-orders"
LINES = "purchase-orders.line-items"


class Library:
    """Every sample record there is.

    Args:
        orders: number of purchase orders; None for the usual few.
    """

    def __init__(self, orders: int | None = None) -> None:
        self._collections: dict[str, Collection] = {}
        for name, entity in ENTITIES.items():
            count = orders if name == ORDERS and orders is not None else entity.count
            if name != LINES:
                self._collections[name] = Collection(entity, count=count, records=self)
        self._collections[LINES] = Lines(ENTITIES[LINES], orders=self._collections[ORDERS], records=self)

    def __getitem__(self, entity: str) -> Collection:
        return self._collections[entity]

    def key(self, entity: str, index: int) -> str:
        """Return the key of a sample record."""
        return self._collections[entity].key(index)

    def sample(self, entity: str, index: int) -> dict[str, Any]:
        """Return a sample record as it was before any change."""
        return self._collections[entity].make(index)
