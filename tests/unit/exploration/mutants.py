"""The real code with one rule left out: each is a patch of a function that the rule lives in.

The number is the rule's in docs/credits.md. `opening` leads near the mishap, so that random stories find it in
seconds.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.exploration.cluster import Cluster
from tests.unit.exploration.moves import Move

from makini_operator.controllers import reconciler, take_over
from makini_operator.controllers.account_index import AccountIndex
from makini_operator.controllers.allocator import Allocator
from makini_operator.controllers.observer import Observer
from makini_operator.controllers.tally import Tally
from makini_operator.controllers.wiring import Wiring
from makini_operator.controllers.world import World
from makini_operator.credits import ledger
from makini_operator.kube.errors import Conflict, ReplyLost
from makini_operator.kube.store import ObjectStore
from makini_operator.lifecycle import running
from makini_operator.lifecycle.actions import Close, Plan, RemoveFinalizer
from makini_operator.lifecycle.observation import Observation
from makini_operator.resources.connection import CONNECTION_FINALIZER

Patch = pytest.MonkeyPatch


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One rule left out of the code."""

    rule: int
    omission: str
    apply: Callable[[Patch], None]
    opening: tuple[Move, ...] = ()


async def _nothing(*_: object, **__: object) -> None:
    """What a step that is left out does."""


def _uid_only(patch: Patch) -> None:
    def check(_: Cluster, found: dict[str, Any], uid: str, __: str) -> None:
        if found["metadata"]["uid"] != uid:
            raise Conflict("another object")

    patch.setattr(Cluster, "check", check)


def _no_holder_check(patch: Patch) -> None:
    patch.setattr(Allocator, "_check_leader", lambda *_: None)


def _no_touch(patch: Patch) -> None:
    patch.setattr(take_over, "_touch", _nothing)


def _no_list(patch: Patch) -> None:
    patch.setattr(World, "relist_connections", _nothing)


def _store_goes_back(patch: Patch) -> None:
    def put(self: ObjectStore[Any], obj: Any) -> Any:
        uid = obj.metadata.uid
        before = self._by_uid.get(uid)
        self._by_uid[uid] = obj
        self._by_name[(obj.metadata.namespace, obj.metadata.name)] = uid
        self._tell(before, obj)
        return obj

    patch.setattr(ObjectStore, "put", put)
    patch.setattr(ObjectStore, "known", lambda *_: None)


def _snapshots(patch: Patch, change: Callable[[ledger.Snapshot, Any], ledger.Snapshot]) -> None:
    real = Tally.snapshot
    patch.setattr(Tally, "snapshot", lambda self, pool: change(real(self, pool), pool))


def _grants_not_counted(patch: Patch) -> None:
    def forget(snapshot: ledger.Snapshot, _: Any) -> ledger.Snapshot:
        requests = tuple(r for r in snapshot.requests if r.uid not in snapshot.grants)
        return dataclasses.replace(snapshot, grants={}, requests=requests)

    _snapshots(patch, forget)


def _alive_not_counted(patch: Patch) -> None:
    patch.setattr(Tally, "_alive", lambda *_: {})


def _opening_not_counted(patch: Patch) -> None:
    patch.setattr(AccountIndex, "counted", AccountIndex.alive)


def _stored_number(patch: Patch) -> None:
    def stored(snapshot: ledger.Snapshot, pool: Any) -> ledger.Snapshot:
        held = pool.status.credits.held if pool.status.credits else 0
        return dataclasses.replace(snapshot, claims={"stored": held}, grants={}, alive={})

    _snapshots(patch, stored)


def _no_limit(patch: Patch) -> None:
    patch.setattr(ledger._Books, "obstacle", lambda *_, **__: None)


def _commit_ignored(patch: Patch) -> None:
    async def commit(self: Allocator, pool: Any, status: Any) -> bool:
        with contextlib.suppress(Conflict, ReplyLost):
            await self._write_status(pool, status)
        return True

    patch.setattr(Allocator, "_commit", commit)


def _any_version(patch: Patch) -> None:
    patch.setattr(Allocator, "grant_for", lambda self, c: self._tally.grants.get(c.metadata.uid))
    _kept_until_claimed(patch)


def _kept_until_claimed(patch: Patch) -> None:
    def forget(self: Tally) -> None:
        for uid in list(self.grants):
            connection = self._world.connections.get(uid)
            if connection is None or connection.status.credits:
                del self.grants[uid]
        for uid in [uid for uid in self.requests if self._is_pointless(uid)]:
            del self.requests[uid]

    patch.setattr(Tally, "forget_what_was_seen", forget)


def _forgotten_when_sent(patch: Patch) -> None:
    real = Allocator.grant_for

    def grant_for(self: Allocator, connection: Any) -> Any:
        grant = real(self, connection)
        if grant:
            del self._tally.grants[grant.uid]
            self.wake()
        return grant

    patch.setattr(Allocator, "grant_for", grant_for)


def _plans(patch: Patch, change: Callable[[Observation], Observation | Plan]) -> None:
    real = reconciler.plan

    def plan(o: Observation, now: Any) -> Plan:
        changed = change(o)
        return changed if isinstance(changed, Plan) else real(changed, now)

    patch.setattr(reconciler, "plan", plan)


def _no_finalizer(patch: Patch) -> None:
    def pretend(o: Observation) -> Observation:
        meta = o.connection.metadata
        if meta.is_deleting:
            return o
        meta = meta.model_copy(update={"finalizers": [CONNECTION_FINALIZER]})
        return dataclasses.replace(o, connection=o.connection.model_copy(update={"metadata": meta}))

    _plans(patch, pretend)


def _finalizer_early(patch: Patch) -> None:
    def let_go(o: Observation) -> Observation | Plan:
        return Plan(actions=(RemoveFinalizer(),)) if o.connection.metadata.is_deleting else o

    _plans(patch, let_go)


def _second_post(patch: Patch) -> None:
    def may_post(self: Observer, connection: Any, _: Any) -> bool:
        intent = connection.status.intent
        return intent is not None and intent.incarnation == self._world.incarnation

    patch.setattr(Observer, "_may_post", may_post)


def _no_doubt(patch: Patch) -> None:
    patch.setattr(AccountIndex, "doubt", lambda *_: None)


def _always_complete(patch: Patch) -> None:
    real = AccountIndex.view

    def view(self: AccountIndex, tag: str, **how: Any) -> Any:
        return dataclasses.replace(real(self, tag, **how), is_complete=True)

    patch.setattr(AccountIndex, "view", view)


def _no_sweep(patch: Patch) -> None:
    patch.setattr(Wiring, "_sweep", _nothing)


def _duplicates_stay(patch: Patch) -> None:
    real = running._chores
    patch.setattr(running, "_chores", lambda *a: tuple(c for c in real(*a) if not isinstance(c, Close)))


def _old_listing_counts(patch: Patch) -> None:
    real = AccountIndex.complete

    def complete(self: AccountIndex, number: int, listed: Any) -> set[str]:
        closed, entries = dict(self._closed), dict(self._entries)
        self._closed = dict.fromkeys(closed, -1)
        self._entries = {i: dataclasses.replace(e, since=0) for i, e in entries.items()}
        return real(self, number, listed)

    patch.setattr(AccountIndex, "complete", complete)


_ONLY_A: tuple[Move, ...] = (("toggle", ("b",)), ("watch", (0, 5)))
_B_TOO: tuple[Move, ...] = (("toggle", ("b",)),)
_TAKEN: tuple[Move, ...] = (("start", ()), ("run", (1, 400)))
_CLAIMING: tuple[Move, ...] = (*_ONLY_A, ("until", (0, "patch a |credits")))
_OPENING: tuple[Move, ...] = (*_ONLY_A, ("until", (0, "open")))
_OPEN: tuple[Move, ...] = (*_ONLY_A, ("run", (0, 400)))
_B_GRANTED: tuple[Move, ...] = (*_CLAIMING, *_B_TOO, ("watch", (0, 50)), ("around", (0, "patch a ", 60)))
_DEPOSED = (*_CLAIMING, *_B_TOO, *_TAKEN)

DURING_A_LISTING: tuple[Move, ...] = (*_OPENING, ("relist", (0,)), ("perform", (0, 1)), ("perform", (0, 2)))
"""The account is listed, then a connection is opened, and neither answer has arrived."""

MUTANTS = (
    Mutant(1, "writes name the uid only", _uid_only, _DEPOSED),
    Mutant(
        2,
        "nothing is listed after the swap",
        _no_list,
        (
            *_ONLY_A,
            ("push", (0, 2)),
            ("delete", ("a",)),
            ("run", (0, 400)),
            ("start", ()),
            ("create", ("a",)),
            ("watch", (0, 9)),
            ("until", (0, "open")),
            *_B_TOO,
            ("push", (1, 60)),
        ),
    ),
    Mutant(2, "nothing is touched", _no_touch, (*_CLAIMING, *_B_TOO, ("start", ()), ("around", (1, "patch a ", 60)))),
    Mutant(3, "the holder is not looked at", _no_holder_check, _DEPOSED),
    Mutant(
        4,
        "the store goes back",
        _store_goes_back,
        (*_CLAIMING, *_B_TOO, ("around", (0, "open", 60)), ("watch", (0, 10)), ("around", (0, "open", 60))),
    ),
    Mutant(5, "grants that are not seen are not counted", _grants_not_counted, _B_GRANTED),
    Mutant(5, "what is alive at Makini is not counted", _alive_not_counted, (*_OPEN, *_B_TOO, ("wipe", ("a",)))),
    Mutant(
        5,
        "what is being opened is not counted",
        _opening_not_counted,
        (*_OPENING, ("perform", (0, 0)), *_B_TOO, ("wipe", ("a",)), ("watch", (0, 50)), ("around", (0, "open", 60))),
    ),
    Mutant(6, "the batch is not limited", _no_limit),
    Mutant(6, "a failed commit is taken for done", _commit_ignored, _DEPOSED),
    Mutant(7, "a claim is written on whatever version is the newest", _any_version, _DEPOSED),
    Mutant(8, "a grant is forgotten when it was sent", _forgotten_when_sent, _B_GRANTED),
    Mutant(9, "the finalizer comes later", _no_finalizer, _OPENING),
    Mutant(9, "an intent allows a second POST", _second_post, _OPENING),
    Mutant(9, "a lost reply raises no doubt", _no_doubt, _OPENING),
    Mutant(10, "an unlisted account is taken for empty", _always_complete, _OPENING),
    Mutant(10, "the finalizer goes early", _finalizer_early, _OPEN),
    Mutant(11, "nothing is swept", _no_sweep, (*_OPENING, ("delete", ("a",)), *_TAKEN)),
    Mutant(11, "duplicates are left", _duplicates_stay, (*_OPENING, *_TAKEN)),
    Mutant(
        11,
        "a listing forgets what happened while it was read",
        _old_listing_counts,
        DURING_A_LISTING,
    ),
    Mutant(12, "decisions believe the stored number", _stored_number),
)
