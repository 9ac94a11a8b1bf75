"""What `plan` asks for about a token that exists: its Secret, who may read it, its copies, and who is restarted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from makini_operator.controllers.accounts import Account
from makini_operator.controllers.keepers import Keepers
from makini_operator.controllers.notes import Note
from makini_operator.controllers.rollouts import Rollouts
from makini_operator.controllers.secrets import Secrets
from makini_operator.controllers.world import World
from makini_operator.lifecycle import actions
from makini_operator.lifecycle.observation import Observation

Step = Callable[[Any, Observation, Note], Awaitable[bool]]


class TokenSteps:
    """One method for each action; `account_of` says which account to act on, and that this process may."""

    def __init__(self, world: World, keepers: Keepers, account_of: Callable[[Observation], Account]) -> None:
        self._secrets, self._rollouts = Secrets(world), Rollouts(world)
        self._readers, self._stores = keepers.readers, keepers.stores
        self._account_of = account_of

    def steps(self) -> Mapping[type, Step]:
        """The methods by action."""
        return {
            actions.PublishToken: self._publish_token,
            actions.ProbePrevious: self._probe_previous,
            actions.DropPrevious: self._drop_previous,
            actions.RepairSecret: self._repair_secret,
            actions.DeleteSecret: self._delete_secret,
            actions.RestartWorkload: self._restart_workload,
            actions.ApplyReaders: self._apply_readers,
            actions.RemoveReaders: self._remove_readers,
            actions.ApplyStore: self._apply_store,
            actions.RemoveStore: self._remove_store,
        }

    async def _publish_token(self, action: actions.PublishToken, o: Observation, note: Note) -> bool:
        await self._secrets.publish(self._account_of(o), action.connection_id, o, note)
        return True

    async def _probe_previous(self, _: actions.ProbePrevious, o: Observation, note: Note) -> bool:
        await self._secrets.probe_previous(self._account_of(o), o, note)
        return True

    async def _drop_previous(self, _: actions.DropPrevious, o: Observation, __: Note) -> bool:
        await self._secrets.drop_previous(o)
        return True

    async def _repair_secret(self, _: actions.RepairSecret, o: Observation, __: Note) -> bool:
        await self._secrets.repair(o)
        return True

    async def _delete_secret(self, action: actions.DeleteSecret, o: Observation, _: Note) -> bool:
        """Only when no Role of ours names it any more: it would open whatever bears that name next."""
        if self._readers.may_get(o.connection, action.name):
            return False
        await self._secrets.delete(o, action.name)
        return True

    async def _restart_workload(self, action: actions.RestartWorkload, o: Observation, _: Note) -> bool:
        await self._rollouts.restart(o.connection, action.kind, action.name, o.secret.attempt)
        return True

    async def _apply_readers(self, _: actions.ApplyReaders, o: Observation, __: Note) -> bool:
        await self._readers.apply(o.connection)
        return True

    async def _remove_readers(self, _: actions.RemoveReaders, o: Observation, __: Note) -> bool:
        await self._readers.remove(o.connection)
        return True

    async def _apply_store(self, action: actions.ApplyStore, o: Observation, _: Note) -> bool:
        await self._stores.apply(o.connection, action.store, o.secret)
        return True

    async def _remove_store(self, action: actions.RemoveStore, o: Observation, _: Note) -> bool:
        await self._stores.remove(o.connection, action.name)
        return True
