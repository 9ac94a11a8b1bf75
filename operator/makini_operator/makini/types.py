"""What goes to Makini and what comes back, as small values whose `repr` is safe to log.

A field that holds a secret is excluded from `repr`, so that a value in a traceback or a debug line gives nothing
away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ClientCredentials:
    """The account's OAuth client (makini-facts, API v3: `POST /link/token`)."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class NewConnection:
    """What a connection is opened with; `credentials` are the login of the customer's system, never of Makini."""

    name: str
    email: str
    provider: str
    credentials: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ConnectionToken:
    """A token that reaches one connection, and when (UTC) it ends. Refresh tokens are dropped, never kept."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class RemoteConnection:
    """One row of the account's connection list. `user_metadata` is whatever came: its shape is not documented."""

    id: str
    name: str
    status: str
    integration_name: str
    user_metadata: Any = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class CurrentIntegration:
    """What a connection's token says about its connection.

    `sync_status` is one of inprogress, done, fulldone, error, fail (= credentials rejected), as far as is known.
    """

    id: str
    company_name: str
    provider: str
    sync_status: str
