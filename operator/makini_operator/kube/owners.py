"""Finds the objects of a store by the uid of the object that controls them."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from makini_operator.kube.store import ObjectStore, Stored


class Owned(Stored, Protocol):
    """An object that says who controls it."""

    @property
    def owner_uid(self) -> str:
        """Uid of its controller; empty if it has none."""


T = TypeVar("T", bound=Owned)


class OwnerIndex(Generic[T]):
    """Follows a store; must be made before anything is put into it."""

    def __init__(self, store: ObjectStore[T]) -> None:
        self._by_owner: dict[str, dict[str, T]] = {}
        store.listen(self._changed)

    def of(self, uid: str) -> list[T]:
        """The objects that the object with this uid controls."""
        return list(self._by_owner.get(uid, {}).values())

    def _changed(self, before: T | None, after: T | None) -> None:
        if before is not None:
            owned = self._by_owner.get(before.owner_uid, {})
            owned.pop(before.metadata.uid, None)
            if not owned:
                self._by_owner.pop(before.owner_uid, None)
        if after is not None:
            self._by_owner.setdefault(after.owner_uid, {})[after.metadata.uid] = after
