"""Does what `plan` asks for: one method for each action, every effect on the version that was decided on.

Each returns whether the situation has changed, so that it is worth looking again at once.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from makini_operator.controllers.accounts import Account, CredentialsMissing
from makini_operator.controllers.allocator import Allocator
from makini_operator.controllers.keepers import Keepers
from makini_operator.controllers.notes import HeldToken, Note
from makini_operator.controllers.observer import wanted_metadata
from makini_operator.controllers.token_steps import Step, TokenSteps
from makini_operator.controllers.world import World
from makini_operator.credits.ledger import Request
from makini_operator.kube.api import CONNECTIONS, SECRETS, Object
from makini_operator.kube.diff import status_changes
from makini_operator.kube.errors import Conflict, NotFound
from makini_operator.lifecycle import actions, marker
from makini_operator.lifecycle.happenings import happenings
from makini_operator.lifecycle.marker import Marker
from makini_operator.lifecycle.observation import Observation, Trouble
from makini_operator.makini import MakiniError, NewConnection, Rejected
from makini_operator.resources.connection import CONNECTION_FINALIZER, MakiniConnection
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.pool import CreditPool
from makini_operator.resources.reasons import Reason

_logger = logging.getLogger(__name__)
_BAD_CREDENTIALS = ("CREDENTIALS_REJECTED", "AUTHENTICATION_FAILED", "INVALID_CREDENTIALS")


class Executor:
    """Performs actions for one connection at a time."""

    def __init__(self, world: World, keepers: Keepers) -> None:
        self._world, self._keepers = world, keepers
        self._perform: Mapping[type, Step] = {
            actions.AddFinalizer: self._add_finalizer,
            actions.RemoveFinalizer: self._remove_finalizer,
            actions.RequestCredits: self._request_credits,
            actions.Open: self._open,
            actions.ListAccount: self._list_account,
            actions.Close: self._close,
            actions.SendMetadata: self._send_metadata,
            actions.TryCronJobs: self._try_cron_jobs,
            actions.ApplyCronJob: self._apply_cron_job,
            actions.DeleteCronJob: self._delete_cron_job,
            actions.StartSync: self._start_sync,
            actions.ApplyEgress: self._apply_egress,
            actions.RemoveEgress: self._remove_egress,
            actions.EndRuns: self._end_runs,
            **TokenSteps(world, keepers, self._account).steps(),
        }

    async def perform(self, action: actions.Action, o: Observation, note: Note) -> bool:
        """Do it; what was done before an error stays done.

        Raises `KubeError`, `MakiniError`, `CredentialsMissing`, `ChildRefused`.
        """
        return await self._perform[type(action)](action, o, note)

    async def write_status(self, connection: MakiniConnection, status: MakiniConnectionStatus, note: Note) -> bool:
        """Write what has changed in `status` onto exactly this version; raises `Conflict` if it is not the newest."""
        changes = status_changes(connection.status, status)
        if not changes:
            return False
        written = await self._patch(connection, {"status": changes}, subresource="status")
        note.closing_unkept = status.closing is not None and written.closing is None
        if note.closing_unkept:
            _logger.warning("status.closing is not kept: the definitions are older than this operator; apply crds/")
        intent = status.intent
        if intent and intent != connection.status.intent and intent.incarnation == self._world.incarnation:
            note.fresh_attempt = intent.attempt
        for happening in happenings(connection.status, status):
            await self._world.events.record("MakiniConnection", connection.metadata, happening)
        return True

    # --- the resource itself ---------------------------------------------------------------------------------------

    async def _add_finalizer(self, _: actions.AddFinalizer, o: Observation, __: Note) -> bool:
        finalizers = [*o.connection.metadata.finalizers, CONNECTION_FINALIZER]
        await self._patch(o.connection, {"metadata": {"finalizers": finalizers}})
        return True

    async def _remove_finalizer(self, _: actions.RemoveFinalizer, o: Observation, __: Note) -> bool:
        finalizers = [f for f in o.connection.metadata.finalizers if f != CONNECTION_FINALIZER]
        await self._patch(o.connection, {"metadata": {"finalizers": finalizers}})
        return False

    async def _patch(
        self, connection: MakiniConnection, changes: Object, *, subresource: str | None = None
    ) -> MakiniConnectionStatus:
        """Returns what was stored."""
        meta = connection.metadata
        written = await self._world.api.patch(
            CONNECTIONS,
            meta.namespace,
            meta.name,
            changes,
            uid=meta.uid,
            version=meta.resource_version,
            subresource=subresource,
        )
        stored = self._world.take_connection(written)
        return stored.status if stored else connection.status

    async def _request_credits(self, action: actions.RequestCredits, o: Observation, _: Note) -> bool:
        allocator, _pool = self._led_pool(o)
        meta = o.connection.metadata
        request = Request(
            uid=meta.uid,
            namespace=meta.namespace,
            name=meta.name,
            resource_version=meta.resource_version,
            created_at=meta.creation_timestamp,
            amount=action.amount,
            tier=action.tier,
            priority=o.connection.spec.priority or 0,
        )
        allocator.request(request)
        return False

    # --- Makini ----------------------------------------------------------------------------------------------------

    async def _open(self, action: actions.Open, o: Observation, note: Note) -> bool:
        """Exactly one POST for one recorded intent; from before it until its outcome is known, the tag is in doubt.

        The doubt is raised once more after the call: a listing that began while it was under way does not tell.
        """
        account = self._account(o)
        login_version, login = await self._login(o.connection)
        tag = self._world.tag_of(o.connection)
        mark = Marker(tag, action.amount, self._world.home_of(o.connection))
        attempt, note.fresh_attempt = note.fresh_attempt, None
        self._check_claim(o.connection)
        account.index.opening(mark)
        try:
            token = await account.client.create_connection(
                NewConnection(
                    name=marker.remote_name(self._world.installation.key, mark, o.connection.spec.customer.name),
                    email=o.connection.spec.customer.email or "",
                    provider=o.connection.spec.system.name,
                    credentials=login,
                ),
                idempotency_key=f"{o.connection.metadata.uid}-{attempt}",
            )
        except (MakiniError, CredentialsMissing) as error:
            if isinstance(error, CredentialsMissing) or error.certainly_no_effect:
                account.index.settle(tag)
            else:
                account.index.opening(mark)
            if isinstance(error, Rejected):
                note.refused(o.connection, _refusal(error, o.connection), login_version=login_version)
                return True
            raise
        account.index.opening(mark)
        issued_at = datetime.now(UTC)
        opened = await account.client.current(token.token)
        note.held = HeldToken(opened.id, token, issued_at)
        account.index.opened(opened.id, mark)
        account.index.settle(tag)
        note.succeeded()
        return True

    def _check_claim(self, connection: MakiniConnection) -> None:
        """From here on it counts as open; until here its claim did, unless somebody has wiped that meanwhile."""
        newest = self._world.connections.get(connection.metadata.uid)
        if newest is None or newest.status.credits is None:
            raise Conflict("the claim has gone")

    async def _login(self, connection: MakiniConnection) -> tuple[str, dict[str, str]]:
        name = connection.spec.authorization.credentials.secret_ref.name
        where = f"Secret {name} in namespace {connection.metadata.namespace}, which must hold the customer's login,"
        try:
            found = await self._world.api.get(SECRETS, connection.metadata.namespace, name)
            values = {k: base64.b64decode(v).decode() for k, v in (found.get("data") or {}).items()}
        except NotFound:
            message = f"{where} does not exist: create it"
            raise CredentialsMissing(message, reason=Reason.LOGIN_SECRET_NOT_FOUND) from None
        except ValueError:
            message = f"{where} has a value that is not text: mend it"
            raise CredentialsMissing(message, reason=Reason.LOGIN_SECRET_NOT_FOUND) from None
        return found["metadata"]["resourceVersion"], values

    async def _list_account(self, _: actions.ListAccount, o: Observation, __: Note) -> bool:
        account = self._account(o)
        if not account.index.is_wanted:
            account.index.request()
        return False

    async def _close(self, action: actions.Close, o: Observation, note: Note) -> bool:
        account = self._account(o)
        for connection_id in action.ids:
            await account.client.disconnect(connection_id)
            account.index.closed(connection_id)
        note.held = None
        note.succeeded()
        return True

    async def _send_metadata(self, action: actions.SendMetadata, o: Observation, note: Note) -> bool:
        await self._account(o).client.set_metadata(action.connection_id, wanted_metadata(o.connection))
        note.metadata_sent = (action.connection_id, o.metadata_digest)
        note.succeeded()
        return True

    # --- workflows and syncs ---------------------------------------------------------------------------------------

    async def _try_cron_jobs(self, _: actions.TryCronJobs, o: Observation, note: Note) -> bool:
        await self._keepers.cron_jobs.try_out(o.connection, o.endpoint, note)
        return True

    async def _apply_cron_job(self, action: actions.ApplyCronJob, o: Observation, _: Note) -> bool:
        await self._keepers.cron_jobs.apply(o.connection, o.endpoint, action.item)
        return True

    async def _delete_cron_job(self, action: actions.DeleteCronJob, o: Observation, _: Note) -> bool:
        await self._keepers.cron_jobs.remove(o.connection, action.found)
        return True

    async def _start_sync(self, action: actions.StartSync, o: Observation, note: Note) -> bool:
        await self._keepers.sync_runs.start(o.connection, action.run)
        note.started_syncs.add(action.run)
        return True

    async def _apply_egress(self, _: actions.ApplyEgress, o: Observation, __: Note) -> bool:
        await self._keepers.egress.apply(o.connection)
        return True

    async def _remove_egress(self, _: actions.RemoveEgress, o: Observation, __: Note) -> bool:
        await self._keepers.egress.remove(o.connection)
        return True

    async def _end_runs(self, _: actions.EndRuns, o: Observation, __: Note) -> bool:
        await self._keepers.cron_jobs.end(o.connection)
        return True

    # --- who acts for whom -----------------------------------------------------------------------------------------

    def _led_pool(self, o: Observation) -> tuple[Allocator, CreditPool]:
        pool = self._world.pool_of(o.connection)
        allocator = self._world.allocators.get(pool.metadata.uid) if pool else None
        if pool is None or allocator is None or not allocator.is_leading:
            raise Conflict("the pool is not led by this process any more")
        return allocator, pool

    def _account(self, o: Observation) -> Account:
        """The account to act on: its pool must be led by this process, and its identity known to be the pool's."""
        _, pool = self._led_pool(o)
        account = self._world.account_for(pool, o.connection.spec.environment)
        if account is None or account.identity is None or account.trouble:
            raise Conflict("the account is not ready to be used")
        return account


def _refusal(error: Rejected, connection: MakiniConnection) -> Trouble:
    if error.code.upper() in _BAD_CREDENTIALS:
        name = connection.spec.authorization.credentials.secret_ref.name
        message = (
            f"Makini could not log in to {connection.spec.system.name} with Secret {name} ({error}): "
            f"mend that Secret and it is tried again; no credits are held meanwhile"
        )
        return Trouble(Reason.CREDENTIALS_REJECTED, message)
    message = (
        f"Makini refuses to open this connection ({error}): mend the spec or the login Secret; "
        f"no credits are held meanwhile"
    )
    return Trouble(Reason.REQUEST_REJECTED, message)
