"""One connection, one reconcile: observe, plan, act, until there is nothing left to do or something to wait for.

Level-triggered: an event only means "look again". A conflict means that the decision was
made on something outdated: the newest version is read and everything is decided anew.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from makini_operator.controllers.accounts import CredentialsMissing
from makini_operator.controllers.executor import Executor
from makini_operator.controllers.keepers import Keepers
from makini_operator.controllers.notes import ChildRefused, Note
from makini_operator.controllers.observer import Observer
from makini_operator.controllers.world import World
from makini_operator.kube.api import CONNECTIONS
from makini_operator.kube.errors import AlreadyExists, Conflict, NotFound, ReplyLost
from makini_operator.lifecycle.actions import Plan, RequestCredits
from makini_operator.lifecycle.observation import Observation
from makini_operator.lifecycle.plan import plan
from makini_operator.makini import MakiniError
from makini_operator.resources.connection import MakiniConnection

_logger = logging.getLogger(__name__)

MAX_STEPS = 25
"""Steps in one reconcile; a whole life takes about eight, so more is a bug that must not spin."""
AFTER_CONFLICT = timedelta(milliseconds=100)


class Reconciler:
    """Brings connections, one at a time, to where their spec says."""

    def __init__(self, world: World) -> None:
        self._world = world
        keepers = Keepers.of(world)
        self._observer = Observer(world, keepers)
        self._executor = Executor(world, keepers)
        self._notes: dict[str, Note] = {}

    async def reconcile(self, uid: str) -> timedelta | None:
        """Do all that can be done now for the connection with this uid; returns when to look again."""
        if uid in self._notes:
            self._notes[uid].begin()
        for _ in range(MAX_STEPS):
            connection = self._world.connections.get(uid)
            if connection is None:
                self._forget(uid)
                return None
            try:
                after, is_settled = await self._step(connection, self._notes.setdefault(uid, Note()))
            except (Conflict, AlreadyExists, ReplyLost) as error:
                _logger.debug("%s: looking again: %s", _name(connection), error)
                await self._refresh(connection)
                return AFTER_CONFLICT
            except NotFound:
                await self._refresh(connection)
                return AFTER_CONFLICT
            except Exception:
                self._leave_queues(uid)  # its place would keep credits for one that cannot take them
                raise
            if is_settled:
                return after
        raise RuntimeError(f"no end after {MAX_STEPS} steps")

    async def _step(self, connection: MakiniConnection, note: Note) -> tuple[timedelta | None, bool]:
        observation = await self._observer.observe(connection, note)
        decided = plan(observation, datetime.now(UTC))
        _logger.debug("%s: %s", _name(connection), _in_words(decided))
        self._keep_place_in_queue(decided, connection)
        has_changed = await self._act(decided, observation, note)
        if decided.status is not None:
            has_changed |= await self._executor.write_status(connection, decided.status, note)
        return decided.requeue_after, not has_changed

    async def _act(self, decided: Plan, observation: Observation, note: Note) -> bool:
        has_changed = False
        for action in decided.actions:
            try:
                has_changed |= await self._executor.perform(action, observation, note)
            except (MakiniError, CredentialsMissing) as error:
                note.failed(observation.connection, error)
                _logger.warning("%s: %s: %s", _name(observation.connection), type(action).__name__, error)
                return True
            except ChildRefused as error:
                note.child_refused(observation.connection, error)
                _logger.warning("%s: %s: %s", _name(observation.connection), type(action).__name__, error)
                has_changed = True
        return has_changed

    def _keep_place_in_queue(self, decided: Plan, connection: MakiniConnection) -> None:
        """Whoever does not ask for credits does not wait for them."""
        if any(isinstance(action, RequestCredits) for action in decided.actions):
            return
        self._leave_queues(connection.metadata.uid)

    async def _refresh(self, connection: MakiniConnection) -> None:
        meta = connection.metadata
        try:
            current = self._world.take_connection(await self._world.api.get(CONNECTIONS, meta.namespace, meta.name))
        except NotFound:
            current = None
        if current is None or current.metadata.uid != meta.uid:
            self._world.connections.remove(meta.uid)

    def _forget(self, uid: str) -> None:
        self._notes.pop(uid, None)
        self._leave_queues(uid)

    def _leave_queues(self, uid: str) -> None:
        for allocator in self._world.allocators.values():
            allocator.withdraw(uid)


def _in_words(decided: Plan) -> str:
    """What was decided, for the debug log: actions, phase, and when to look again."""
    actions = ", ".join(type(action).__name__ for action in decided.actions) or "no action"
    phase = decided.status.phase if decided.status else "status as it is"
    return f"{actions}; {phase}; again {f'in {decided.requeue_after}' if decided.requeue_after else 'when told'}"


def _name(connection: MakiniConnection) -> str:
    return f"{connection.metadata.namespace}/{connection.metadata.name}"
