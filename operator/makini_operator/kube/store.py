"""What the operator knows of the cluster: the newest version it has seen of each object.

Guarantees (rule 4 of the ledger): an object never goes backwards, whatever order events,
lists and replies of our own writes arrive in; an object that was deleted is not brought back
by a late reply. Listeners are called after each change, with the object before and after.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from makini_operator.resources.base import ObjectMeta

TOMBSTONES = 20_000
"""How many deleted uids are remembered; late replies arrive within seconds."""
_FOR_GOOD = 2**63


class Stored(Protocol):
    """Anything with Kubernetes' metadata."""

    @property
    def metadata(self) -> ObjectMeta:
        """Name, uid and version."""


T = TypeVar("T", bound=Stored)


class ObjectStore(Generic[T]):
    """All objects of one kind."""

    def __init__(self) -> None:
        self._by_uid: dict[str, T] = {}
        self._by_name: dict[tuple[str, str], str] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()
        self._listeners: list[Callable[[T | None, T | None], None]] = []

    def listen(self, listener: Callable[[T | None, T | None], None]) -> None:
        """Call `listener(before, after)` after each change; None stands for absence."""
        self._listeners.append(listener)

    def put(self, obj: T) -> T:
        """Take in a version of an object; returns the newest one known, which may be newer."""
        uid = obj.metadata.uid
        before = self._by_uid.get(uid)
        version = _number(obj.metadata.resource_version)
        if version <= self._gone.get(uid, -1) or (before and version <= _number(before.metadata.resource_version)):
            return before or obj
        self._gone.pop(uid, None)
        self._forget_namesake(obj)
        self._by_uid[uid] = obj
        self._by_name[(obj.metadata.namespace, obj.metadata.name)] = uid
        self._tell(before, obj)
        return obj

    def known(self, uid: str, version: str) -> T | None:
        """The newest version known of the object with this uid, if it is at least this one: then nothing is new."""
        found = self._by_uid.get(uid)
        return found if found and _number(version) <= _number(found.metadata.resource_version) else None

    def remove(self, uid: str, *, version: str | None = None) -> None:
        """The object with this uid is gone: as of `version` (a Secret may come back into a selector), or for good."""
        before = self._by_uid.get(uid)
        if version and before and _number(version) < _number(before.metadata.resource_version):
            return
        self._gone[uid] = _number(version) if version else _FOR_GOOD
        while len(self._gone) > TOMBSTONES:
            self._gone.popitem(last=False)
        if before is None:
            return
        del self._by_uid[uid]
        name = (before.metadata.namespace, before.metadata.name)
        if self._by_name.get(name) == uid:
            del self._by_name[name]
        self._tell(before, None)

    def replace_all(self, listed: Iterable[T], *, known_before: Iterable[str]) -> None:
        """Take in a complete list: what was known before it was begun and is not in it, is gone."""
        present = set()
        for obj in listed:
            present.add(obj.metadata.uid)
            self.put(obj)
        for uid in set(known_before) - present:
            self.remove(uid)

    def get(self, uid: str) -> T | None:
        """The newest version of the object with this uid."""
        return self._by_uid.get(uid)

    def named(self, namespace: str, name: str) -> T | None:
        """The object that bears this name now."""
        return self._by_uid.get(self._by_name.get((namespace, name), ""))

    def uids(self) -> list[str]:
        """All uids known now."""
        return list(self._by_uid)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._by_uid.values()))

    def __len__(self) -> int:
        return len(self._by_uid)

    def _forget_namesake(self, obj: T) -> None:
        """A name that has a new uid means that its former bearer is gone, even if no event said so."""
        former = self._by_name.get((obj.metadata.namespace, obj.metadata.name))
        if former and former != obj.metadata.uid:
            self.remove(former)

    def _tell(self, before: T | None, after: T | None) -> None:
        for listener in self._listeners:
            listener(before, after)


def _number(version: str) -> int:
    """Kubernetes orders the versions of one resource as numbers."""
    return int(version or 0)
