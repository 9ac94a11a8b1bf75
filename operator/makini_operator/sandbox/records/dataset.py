"""Everything that a connection's token reaches, for all connections the same: the sample, its changes, its pages."""

from collections.abc import Mapping

from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.pages import Pages
from makini_operator.sandbox.records.library import Library
from makini_operator.sandbox.records.search import Search
from makini_operator.sandbox.records.view import View


class Dataset:
    """The records as they are now.

    Args:
        orders: number of purchase orders, or None for the usual few.
    """

    def __init__(self, orders: int | None = None) -> None:
        self.library = Library(orders)
        self.pages = Pages()
        self.views: Mapping[str, View] = {name: View(self.library[name]) for name in ENTITIES}
        self.searches: Mapping[str, Search] = {name: Search(view) for name, view in self.views.items()}

    def has(self, entity: str, key: object) -> bool:
        """Tell whether a key points at a record that exists now."""
        return isinstance(key, str) and self.views[entity].find(key) is not None

    @property
    def version(self) -> int:
        """A number that grows with every change of any record."""
        return sum(view.version for view in self.views.values())
