"""One Makini account: its client, what is known of it, and the loop that lists it.

An account is a URL and a credentials Secret in the operator's namespace. The Secret is read
anew every few seconds; when it changes, the identity of the account is asked for again and
nothing is done at Makini until it is known, because new credentials may lead elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp

from makini_operator.controllers.account_index import DISCONNECTED, AccountIndex
from makini_operator.controllers.workqueue import backoff
from makini_operator.kube.api import SECRETS, KubeApi
from makini_operator.kube.errors import KubeError, NotFound
from makini_operator.kube.lease import LeadershipLost
from makini_operator.lifecycle import marker
from makini_operator.lifecycle.marker import InstallationKey
from makini_operator.lifecycle.observation import Trouble
from makini_operator.lifecycle.pool_report import AccountFacts
from makini_operator.makini import (
    ClientCredentials,
    Forbidden,
    MakiniClient,
    MakiniError,
    RateBudget,
    RateLimited,
    RemoteConnection,
    Unauthenticated,
)
from makini_operator.resources.reasons import Reason

_logger = logging.getLogger(__name__)

GATHER = 0.1
"""Seconds to wait before a listing, so that one serves many disconnects."""
CREDENTIALS_CHECK = 10.0
"""Seconds between looks at the credentials Secret."""
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=1), timedelta(minutes=1)


class CredentialsMissing(Exception):
    """A Secret with credentials is absent or incomplete; the message says which and what it needs."""

    def __init__(self, message: str, *, reason: Reason = Reason.ACCOUNT_CREDENTIALS_NOT_FOUND) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class AccountKey:
    """What makes an account: where it is, and the Secret that opens it."""

    url: str
    secret_name: str


class Account:
    """One account, and the loop that keeps what is known of it current.

    `on_listed(account, tags)` is told what a listing changed; `on_changed(account)` when its identity
    becomes known, and when trouble begins or ends.
    """

    def __init__(
        self,
        key: AccountKey,
        *,
        api: KubeApi,
        namespace: str,
        session: aiohttp.ClientSession,
        installation_key: InstallationKey,
        relist_every: timedelta,
        requests_per_second: float,
        on_listed: Callable[[Account, set[str]], Awaitable[None]],
        on_changed: Callable[[Account], None],
    ) -> None:
        self.key = key
        self.identity: str | None = None
        self.trouble: Trouble | None = None
        self._api, self._namespace, self._session = api, namespace, session
        self._installation_key = installation_key
        self._relist_every = relist_every
        self._requests_per_second = requests_per_second
        self._on_listed, self._on_changed = on_listed, on_changed
        self._wake = asyncio.Event()
        self._secret_version = ""
        self._failures = 0
        self.index = AccountIndex(wake=self._wake.set)
        self.client: MakiniClient

    @property
    def facts(self) -> AccountFacts:
        """What a pool's status says of this account."""
        return AccountFacts(self.identity, self.index.owned, self.index.unowned, self.trouble)

    async def run(self) -> None:
        """Keep identity, credentials and listing current until cancelled."""
        loop = asyncio.get_running_loop()
        relist_at = loop.time()
        try:
            self.client = self._new_client()
        except ValueError as error:
            self._set_trouble(Trouble(Reason.INVALID_ACCOUNT_URL, f"{error}: mend the url in the pool's spec.account"))
            return
        while True:
            if await self._attempt(is_relist_due=loop.time() >= relist_at):
                relist_at = loop.time() + self._relist_every.total_seconds()
            await self._rest()

    async def _rest(self) -> None:
        """Wait until somebody wants a listing; after a failure, wait in any case."""
        if self._failures:
            pause = backoff(self._failures, first=FIRST_RETRY, longest=LONGEST_RETRY)
            await asyncio.sleep(self._pause(pause).total_seconds())
            return
        try:
            # Not wait_for: in Python 3.11 that can lose a cancellation, and the process would never end.
            async with asyncio.timeout(min(CREDENTIALS_CHECK, self._relist_every.total_seconds())):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        await asyncio.sleep(GATHER)

    def _pause(self, pause: timedelta) -> timedelta:
        retry_at = self.trouble.retry_at if self.trouble else None
        return max(pause, retry_at - datetime.now(UTC)) if retry_at else pause

    async def _attempt(self, *, is_relist_due: bool) -> bool:
        """Bring everything up to date; returns whether a complete listing was made."""
        try:
            await self._look_at_credentials()
            if self.identity is None:
                self.identity = await self.client.identity()
                self._on_changed(self)
            is_listing = is_relist_due or self.index.is_wanted
            if is_listing:
                await self._list()
        except (CredentialsMissing, MakiniError, KubeError) as error:
            self._failures += 1
            self._set_trouble(trouble_of(error))
            return False
        except LeadershipLost as error:
            self._failures += 1
            _logger.info("account %s is left as it is: %s", self.key.url, error)
            return False
        except Exception:
            self._failures += 1
            _logger.exception("account %s: unexpected error; tried again", self.key.url)
            return False
        self._failures = 0
        self._set_trouble(None)
        return is_listing

    async def _list(self) -> None:
        number = self.index.begin()
        rows = await self.client.list_connections()
        listed = [(row.id, marker.read(self._installation_key, row.name)) for row in rows if _is_alive(row)]
        changed = self.index.complete(number, listed)
        _logger.info("account listed: %d connections, %d of ours", len(listed), self.index.owned)
        self._set_trouble(None)
        await self._on_listed(self, changed)

    async def _look_at_credentials(self) -> None:
        version, _ = await self._read_credentials()
        if version != self._secret_version:
            self._secret_version = version
            self.identity = None
            self.client = self._new_client()

    async def _credentials(self) -> ClientCredentials:
        """Credentials for a new admin token: only those whose account is being, or has been, identified."""
        version, credentials = await self._read_credentials()
        if version != self._secret_version:
            self._wake.set()
            raise CredentialsMissing("the account's credentials have changed: its identity is checked first")
        return credentials

    async def _read_credentials(self) -> tuple[str, ClientCredentials]:
        where = f"Secret {self.key.secret_name} in the operator's namespace {self._namespace}"
        try:
            found = await self._api.get(SECRETS, self._namespace, self.key.secret_name)
        except NotFound:
            raise CredentialsMissing(
                f"{where} does not exist: create it with the keys client_id, client_secret"
            ) from None
        data = found.get("data") or {}
        try:
            values = [base64.b64decode(data[name], validate=True).decode() for name in ("client_id", "client_secret")]
        except (KeyError, ValueError, binascii.Error):
            raise CredentialsMissing(f"{where} must have the keys client_id and client_secret, as text") from None
        return found["metadata"]["resourceVersion"], ClientCredentials(client_id=values[0], client_secret=values[1])

    def _new_client(self) -> MakiniClient:
        budget = RateBudget.of(self._requests_per_second)
        return MakiniClient(url=self.key.url, credentials=self._credentials, session=self._session, budget=budget)

    def _set_trouble(self, trouble: Trouble | None) -> None:
        before, self.trouble = self.trouble, trouble
        if (before and (before.reason, before.message)) != (trouble and (trouble.reason, trouble.message)):
            self._on_changed(self)


def trouble_of(error: Exception, *, now: datetime | None = None, pause: timedelta = FIRST_RETRY) -> Trouble:
    """What a failure means for those who need Makini; texts are stable, so that a repeat changes no status."""
    now = now or datetime.now(UTC)
    if isinstance(error, CredentialsMissing):
        return Trouble(error.reason, str(error), now + pause)
    if isinstance(error, Unauthenticated | Forbidden):
        message = f"Makini refuses the account's credentials ({error}): mend client_id and client_secret in its Secret"
        return Trouble(Reason.ACCOUNT_CREDENTIALS_REFUSED, message, now + pause)
    if isinstance(error, RateLimited):
        message = "Makini asks to slow down; it is tried again by itself"
        return Trouble(Reason.MAKINI_RATE_LIMITED, message, now + max(pause, timedelta(seconds=error.retry_after or 0)))
    message = f"Makini does not answer as it should ({error}); it is tried again by itself"
    return Trouble(Reason.MAKINI_UNREACHABLE, message, now + pause)


def _is_alive(row: RemoteConnection) -> bool:
    return row.status.lower() != DISCONNECTED
