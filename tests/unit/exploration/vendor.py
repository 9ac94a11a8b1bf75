"""Makini in memory: connections that are opened, listed and disconnected; nothing else matters to the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from tests.unit.exploration.calls import Call

from makini_operator.makini import ConnectionToken, NewConnection, OutcomeUnknown
from makini_operator.makini.errors import RateLimited, ServerFault
from makini_operator.makini.types import CurrentIntegration, RemoteConnection

LIFE = timedelta(days=3650)


class Makini:
    """One account: names of connections that are alive, by id."""

    def __init__(self) -> None:
        self.alive: dict[str, str] = {}
        self.made = 0
        self.on_open: Callable[[str], None] = lambda _: None

    def open(self, name: str) -> str:
        self.made += 1
        self.alive[f"c{self.made:03d}"] = name
        self.on_open(name)
        return f"c{self.made:03d}"

    def named(self, tag: str) -> list[str]:
        """Ids alive with this tag in their name."""
        return [i for i, name in self.alive.items() if f".{tag}." in name]


class MakiniCalls:
    """What a process calls instead of `MakiniClient`."""

    def __init__(self, makini: Makini) -> None:
        self._makini = makini

    async def list_connections(self) -> list[RemoteConnection]:
        def rows() -> list[RemoteConnection]:
            return [
                RemoteConnection(id=i, name=n, status="connected", integration_name="", user_metadata={})
                for i, n in self._makini.alive.items()
            ]

        return await Call("list the account", rows, lambda: ServerFault("no answer"))  # type: ignore[no-any-return]

    async def create_connection(self, new: NewConnection, *, idempotency_key: str = "") -> ConnectionToken:
        del idempotency_key

        def opened() -> ConnectionToken:
            return self._token(self._makini.open(new.name))

        lost = OutcomeUnknown("no answer")
        busy = RateLimited("come back later")
        return await Call("open", opened, lambda: lost, is_write=True, turned_away=lambda: busy)  # type: ignore[no-any-return]

    async def disconnect(self, connection_id: str) -> None:
        def closed() -> None:
            self._makini.alive.pop(connection_id, None)

        await Call(f"disconnect {connection_id}", closed, lambda: OutcomeUnknown("no answer"), is_write=True)

    async def set_metadata(self, connection_id: str, metadata: Mapping[str, str]) -> None:
        del connection_id, metadata

    async def mint_token(self, connection_id: str, *, idempotency_key: str = "") -> ConnectionToken:
        del idempotency_key
        return self._token(connection_id)

    async def current(self, token: str) -> CurrentIntegration:
        return CurrentIntegration(id=token.removeprefix("token-"), company_name="", provider="", sync_status="done")

    def _token(self, connection_id: str) -> ConnectionToken:
        return ConnectionToken(token=f"token-{connection_id}", expires_at=datetime.now(UTC) + LIFE)
