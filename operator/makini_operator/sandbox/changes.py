"""Records that change, appear and vanish because a test wants it, at once or while they are being paged through.

The ones that have not changed for longest are taken: a reader who sorts by `updatedAt` from the oldest on has just
read those, and everything behind them moves under the reader's pages.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.problems import bad_request
from makini_operator.sandbox.records.dataset import Dataset
from makini_operator.sandbox.records.view import View

_MAX_COUNT = 1000
_EXPECTED = "expected a list of {kind, entity, keys?, count?} with kind change, appear, vanish or delete"


class Change(StrEnum):
    """What happens to a record."""

    CHANGE = "change"  # a text and `updatedAt` are new, and so is its place in the order
    APPEAR = "appear"  # a new record, the newest
    VANISH = "vanish"  # gone from lists and by key, without a trace
    DELETE = "delete"  # `deletedAt` is set, the record stays


def change(data: Dataset, kind: Change, entity: str, *, now: float, count: int = 1, keys: Sequence[str] = ()) -> int:
    """Change some records and return how many.

    Args:
        data: the records.
        kind: what happens to them.
        entity: its name in the table, such as `purchase-orders`.
        now: unix seconds; the moment of the change, unless the newest record is newer.
        count: how many, when no keys are given; there may be fewer.
        keys: which ones.

    Raises:
        ApiError: (400) there is no such entity or record, or its records cannot be marked as deleted.
    """
    if entity not in ENTITIES:
        raise bad_request("INVALID_CHANGES", f"no such entity; there are: {', '.join(ENTITIES)}")
    if entity == "purchase-orders.line-items":
        raise bad_request("INVALID_CHANGES", "lines have no life of their own here: change purchase-orders")
    view = data.views[entity]
    if kind is Change.APPEAR:
        return sum(1 for _ in range(count) if view.appear(now=now) >= 0)
    numbers = _numbers(view, keys) if keys else [view.index(at) for at in range(min(count, len(view)))]
    act: Callable[[int], Any] = {
        Change.CHANGE: lambda number: view.change(number, now=now),
        Change.VANISH: view.vanish,
        Change.DELETE: lambda number: view.soft_delete(number, now=now),
    }[kind]
    if any(act(number) is False for number in numbers):
        raise bad_request("INVALID_CHANGES", f"{entity} have no deletedAt: they can only vanish")
    return len(numbers)


def change_all(data: Dataset, body: Any, *, now: float) -> int:
    """Make the changes of a list from JSON; returns how many records changed. Raises ApiError (400)."""
    if not isinstance(body, list):
        raise bad_request("INVALID_CHANGES", _EXPECTED)
    try:
        asked = [
            (
                Change(item["kind"]),
                str(item["entity"]),
                number(item.get("count", 1)),
                [str(k) for k in item.get("keys", [])],
            )
            for item in body
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise bad_request("INVALID_CHANGES", _EXPECTED) from None
    return sum(change(data, kind, entity, now=now, count=count, keys=keys) for kind, entity, count, keys in asked)


def number(value: Any) -> int:
    """Return how many records a change is for; raises ValueError."""
    count = int(value)
    if not 1 <= count <= _MAX_COUNT:
        raise ValueError
    return count


def entity_of(path: str) -> str | None:
    """Return the entity whose list a path is, or None."""
    parts = path.split("/", 3)
    return parts[3] if len(parts) == 4 and parts[3] in ENTITIES else None  # noqa: PLR2004 - "", api, erp, the rest


def _numbers(view: View, keys: Sequence[str]) -> list[int]:
    found = [view.find(key) for key in keys]
    missing = [key for key, index in zip(keys, found, strict=True) if index is None]
    if missing:
        raise bad_request("INVALID_CHANGES", f"no such records: {', '.join(missing)}")
    return [index for index in found if index is not None]
