"""Annotations by which a person asks for something once: `makini.io/<what>-requested-at` with a moment in time.

A request is acted on once (`status.handled` echoes it). One that is older than the connection is
not acted on at all: Git keeps annotations, and a restore must not fire an old revocation.
"""

from __future__ import annotations

from datetime import UTC, datetime

from makini_operator.lifecycle.observation import Observation
from makini_operator.lifecycle.sync_view import AskedRun, SyncAsk
from makini_operator.resources.base import GROUP
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.token_status import HandledRequests

ROTATE = f"{GROUP}/rotate-requested-at"
REVOKE = f"{GROUP}/revoke-requested-at"
SYNCS = {
    SyncAsk.NOW: f"{GROUP}/sync-requested-at",
    SyncAsk.FULL: f"{GROUP}/full-sync-requested-at",
    SyncAsk.ACCEPT_GONE: f"{GROUP}/accept-gone-requested-at",
}
SYNC_FIELDS = {SyncAsk.NOW: "sync_at", SyncAsk.FULL: "full_sync_at", SyncAsk.ACCEPT_GONE: "accept_gone_at"}
"""Fields of `status.handled`."""
LONGEST = 64
"""Characters of an annotation that are looked at."""


def rotation_request(o: Observation) -> str | None:
    """The value of a request for a new token that was not acted on yet."""
    handled = o.connection.status.handled
    return _open_request(o.connection, ROTATE, handled.rotate_at if handled else None)


def revocation_request(o: Observation) -> str | None:
    """The value of a request to revoke the token that was not acted on yet."""
    handled = o.connection.status.handled
    return _open_request(o.connection, REVOKE, handled.revoke_at if handled else None)


def sync_request(o: Observation, ask: SyncAsk) -> str | None:
    """The value of a request for runs of all syncs that was not acted on yet."""
    acted_on = getattr(o.connection.status.handled, SYNC_FIELDS[ask], None)
    return _open_request(o.connection, SYNCS[ask], acted_on)


def is_still_asked(connection: MakiniConnection, run: AskedRun) -> bool:
    """Whether the annotation has the value for which this run was started."""
    return _value(connection, SYNCS[run.ask]) == run.request


def handled(connection: MakiniConnection, **changes: str) -> HandledRequests:
    """`status.handled` with these values."""
    return (connection.status.handled or HandledRequests()).model_copy(update=changes)


def complaint(connection: MakiniConnection) -> str:
    """What is wrong with a request's annotation, for the message; empty: nothing."""
    wrong = [
        name
        for name in (ROTATE, REVOKE, *SYNCS.values())
        if _value(connection, name) and _moment(connection, name) is None
    ]
    if not wrong:
        return ""
    return (
        f"annotation {wrong[0]} is not a time and was not acted on: set it to a time with its zone, "
        f"for example 2026-01-31T12:00:00Z"
    )


def _open_request(connection: MakiniConnection, name: str, acted_on: str | None) -> str | None:
    value, asked_at = _value(connection, name), _moment(connection, name)
    if not value or value == acted_on or asked_at is None:
        return None
    since = connection.status.connected_at
    is_older = since is not None and asked_at < datetime.fromisoformat(since)
    return None if is_older else value


def _value(connection: MakiniConnection, name: str) -> str:
    return connection.metadata.annotations.get(name, "").strip()[:LONGEST]


def _moment(connection: MakiniConnection, name: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_value(connection, name))
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.astimezone(UTC)
