"""Takes the observation that `plan` looks at: mostly from memory, Secrets that are not ours by a fresh read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from makini_operator.controllers.accounts import Account
from makini_operator.controllers.allocator import Allocator
from makini_operator.controllers.keepers import Keepers
from makini_operator.controllers.notes import Note
from makini_operator.controllers.rollouts import Rollouts
from makini_operator.controllers.world import World
from makini_operator.kube.api import SECRETS
from makini_operator.kube.errors import NotFound
from makini_operator.lifecycle.observation import Observation, PoolView, RemoteView, SecretView, Trouble
from makini_operator.lifecycle.pool_report import account_trouble
from makini_operator.lifecycle.sync_view import SyncsView
from makini_operator.manifests import secret
from makini_operator.manifests.secret import SecretRecord
from makini_operator.resources.connection import Environment, MakiniConnection
from makini_operator.resources.connection_status import Phase
from makini_operator.resources.pool import CreditPool

NOTHING_KNOWN = RemoteView(is_complete=False, ids=(), is_recorded_absent=False)


class Observer:
    """Looks at one connection and everything that bears on it."""

    def __init__(self, world: World, keepers: Keepers) -> None:
        self._world, self._keepers = world, keepers
        self._rollouts = Rollouts(world)

    async def observe(self, connection: MakiniConnection, note: Note) -> Observation:
        """The situation now. Raises `KubeError` if Kubernetes cannot be asked."""
        pool = self._world.pool_of(connection)
        account = self._world.account_for(pool, connection.spec.environment) if pool else None
        allocator = self._world.allocators.get(pool.metadata.uid) if pool else None
        is_going_up = connection.spec.connected and not connection.metadata.is_deleting
        endpoint = account.key.url if account else ""
        trouble = _trouble(connection, pool, account) if pool else None
        adoptable = self._world.adoptable(connection, account) if account else None
        remote = self._remote_view(connection, account, allocator, trouble, adoptable)
        is_ending = not is_going_up or remote.is_recorded_absent or _has_to_end(connection)
        secret_view = await self._secret_view(connection, endpoint, note)
        return Observation(
            connection=connection,
            installation_trouble=self._world.installation.trouble,
            pool=await self._pool_view(connection, pool, account, allocator, trouble) if pool else None,
            grant=allocator.grant_for(connection) if allocator else None,
            remote=remote,
            adoptable=adoptable,
            secret=secret_view,
            superseded_secrets=self._superseded(connection),
            cron_jobs=await self._keepers.cron_jobs.look(connection, endpoint, note, is_ending=is_ending),
            refusals=note.refusals_for(connection),
            is_login_present=await self._look_for_login(connection, note) if is_going_up else None,
            may_post=self._may_post(connection, note),
            trouble=note.trouble_for(connection),
            incarnation=self._world.incarnation,
            endpoint=endpoint,
            metadata_digest=metadata_digest(connection),
            metadata_at_makini=_metadata_at_makini(connection, note),
            may_record_closing=not note.closing_unkept,
            previous_works=note.previous_works(connection.status.connection_id, secret_view.attempt),
            readers=self._keepers.readers.look(connection),
            stores=await self._keepers.stores.look(connection, secret_view, is_ending=is_ending),
            syncs=SyncsView() if is_ending else await self._keepers.sync_runs.look(connection, note),
            egress=self._keepers.egress.look(connection),
            workloads={} if is_ending else await self._rollouts.look(connection, secret_view),
        )

    async def _pool_view(
        self,
        connection: MakiniConnection,
        pool: CreditPool,
        account: Account | None,
        allocator: Allocator | None,
        trouble: Trouble | None,
    ) -> PoolView:
        return PoolView(
            name=pool.metadata.name,
            uid=pool.metadata.uid,
            limit=pool.spec.limit,
            namespace_limit=pool.spec.namespace_limit,
            is_open=pool.spec.is_open_to(await self._world.labels_of(connection.metadata.namespace)),
            pricing=pool.spec.pricing,
            hold=pool.spec.hold,
            is_deleting=pool.metadata.is_deleting,
            has_sandbox=pool.spec.account.sandbox is not None,
            is_led=allocator is not None
            and allocator.is_leading
            and account is not None
            and account.identity is not None,
            notice=allocator.notice_for(connection.metadata.uid) if allocator else None,
            trouble=trouble,
        )

    def _remote_view(
        self,
        connection: MakiniConnection,
        account: Account | None,
        allocator: Allocator | None,
        trouble: Trouble | None,
        adoptable: str | None,
    ) -> RemoteView:
        """What a listing says counts only while the account is reachable and known to be the pool's."""
        if account is None or account.identity is None or trouble:
            return NOTHING_KNOWN
        if allocator is None or not allocator.is_leading:
            return NOTHING_KNOWN
        is_wanted = connection.spec.connected and not connection.metadata.is_deleting
        return account.index.view(
            adoptable or self._world.tag_of(connection),
            recorded_id=connection.status.connection_id,
            is_wanted=is_wanted,
            after=allocator.trusted_listing(account),
        )

    async def _secret_view(self, connection: MakiniConnection, endpoint: str, note: Note) -> SecretView:
        found = self._world.children.secrets.named(connection.metadata.namespace, connection.secret_name)
        if found is None or not secret.is_ours(found, connection):
            found = await self._read_secret(connection, note)
        return secret.view(found, connection, url=endpoint)

    async def _read_secret(self, connection: MakiniConnection, note: Note) -> SecretRecord | None:
        """A Secret that is not ours is in no watch; ours may have lost its label. Read once for all steps.

        That is enough: before a Secret is written it is read once more, and a write never overwrites one that came
        between.
        """
        name = connection.secret_name
        if note.secret_read and note.secret_read[0] == name:
            return note.secret_read[1]
        try:
            found = await self._world.api.get(SECRETS, connection.metadata.namespace, name)
        except NotFound:
            note.secret_read = (name, None)
            return None
        read = secret.record(found, self._world.installation.key)
        if secret.is_ours(read, connection):
            return self._world.children.secrets.put(read)
        note.secret_read = (name, read)
        return read

    def _superseded(self, connection: MakiniConnection) -> tuple[str, ...]:
        uid, name = connection.metadata.uid, connection.secret_name
        mine = [s for s in self._world.children.secrets_of(uid) if secret.is_ours(s, connection)]
        return tuple(sorted(s.metadata.name for s in mine if s.metadata.name != name))

    async def _look_for_login(self, connection: MakiniConnection, note: Note) -> bool | None:
        """Only before credits are held: later the login is read when it is used; or after a refusal, for a new one."""
        if connection.status.credits is not None and not note.login_version:
            return None
        name = connection.spec.authorization.credentials.secret_ref.name
        if note.login_read and note.login_read[0] == name and not note.login_version:
            return note.login_read[1]
        try:
            found = await self._world.api.get(SECRETS, connection.metadata.namespace, name)
        except NotFound:
            return False
        note.login_seen(found["metadata"]["resourceVersion"])
        note.login_read = (name, bool(found.get("data")))
        return note.login_read[1]

    def _may_post(self, connection: MakiniConnection, note: Note) -> bool:
        intent = connection.status.intent
        is_ours = intent is not None and intent.incarnation == self._world.incarnation
        return is_ours and intent is not None and intent.attempt == note.fresh_attempt


def _has_to_end(connection: MakiniConnection) -> bool:
    """Somebody else has ended it, its token is being revoked, or its disconnect has begun."""
    status = connection.status
    return status.phase is Phase.INACTIVE or status.revocation is not None or status.is_closing


def wanted_metadata(connection: MakiniConnection) -> dict[str, str]:
    """What Makini stores with the connection: the user's pairs, and where it is declared."""
    meta = connection.metadata
    return dict(connection.spec.metadata or {}) | {"kubernetes": f"{meta.namespace}/{meta.name}"}


def metadata_digest(connection: MakiniConnection) -> str:
    """Digest of what Makini should have stored."""
    return _digest(wanted_metadata(connection))


def _metadata_at_makini(connection: MakiniConnection, note: Note) -> str | None:
    if note.metadata_sent and note.metadata_sent[0] == connection.status.connection_id:
        return note.metadata_sent[1]
    return connection.status.metadata_digest


def _digest(pairs: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(pairs, sort_keys=True).encode()).hexdigest()[:16]


def _trouble(connection: MakiniConnection, pool: CreditPool, account: Account | None) -> Trouble | None:
    if account is None:
        return None
    is_sandbox = connection.spec.environment is Environment.SANDBOX
    return account_trouble(pool.status.sandbox if is_sandbox else pool.status.account, account.facts)
