"""Annotations by which a person asks for something once: `makini.io/<what>-requested-at` with a moment in time.

A request is acted on once (`status.handled` echoes it). One that is older than the connection is
not acted on at all: Git keeps annotations, and a restore must not fire an old revocation.
"""

from __future__ import annotations

from datetime import UTC, datetime

from makini_operator.lifecycle.observation import Observation
from makini_operator.resources.base import GROUP
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.token_status import HandledRequests

ROTATE = f"{GROUP}/rotate-requested-at"
REVOKE = f"{GROUP}/revoke-requested-at"
SYNC = f"{GROUP}/sync-requested-at"
FULL_SYNC = f"{GROUP}/full-sync-requested-at"
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


def sync_request(o: Observation, *, is_full: bool) -> str | None:
    """The value of a request to run all syncs now, or to read everything again, that was not acted on yet."""
    handled = o.connection.status.handled
    if is_full:
        return _open_request(o.connection, FULL_SYNC, handled.full_sync_at if handled else None)
    return _open_request(o.connection, SYNC, handled.sync_at if handled else None)


def handled(connection: MakiniConnection, **changes: str) -> HandledRequests:
    """`status.handled` with these values."""
    return (connection.status.handled or HandledRequests()).model_copy(update=changes)


def complaint(connection: MakiniConnection) -> str:
    """What is wrong with a request's annotation, for the message; empty: nothing."""
    wrong = [
        name
        for name in (ROTATE, REVOKE, SYNC, FULL_SYNC)
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
