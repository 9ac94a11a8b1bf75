"""The account's memory: connections and the hashes of their tokens, in one SQLite database.

Guarantees: a change is committed before the caller answers, so a reply that was seen stays true when the process is
killed (WAL and `synchronous=NORMAL` protect against the death of the process, not of the computer). A token is stored
only as its SHA-256 and cannot be read back. The client secret and the logins of customers' systems are never stored.
"""

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ACTIVE = "active"
DISCONNECTED = "disconnected"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS connections (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    provider TEXT NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL DEFAULT '{}',
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    disconnected_at REAL
) STRICT;
CREATE INDEX IF NOT EXISTS connections_of_account ON connections (account, seq);
CREATE TABLE IF NOT EXISTS tokens (
    hash TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    connection_id TEXT REFERENCES connections (id),
    expires_at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS tokens_of_connection ON tokens (connection_id);
"""
_COLUMNS = "id, name, email, provider, status, metadata, created_at, updated_at, disconnected_at"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A stored connection. Times are unix seconds."""

    id: str
    name: str
    email: str
    provider: str
    status: str
    metadata: Mapping[str, str]
    created_at: float
    updated_at: float
    disconnected_at: float | None


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """Whom a token speaks for: one connection, or the whole account when `connection_id` is None."""

    account: str
    connection_id: str | None


class Store:
    """The database; used from one thread. `path` None keeps everything in memory."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite alone would make it readable for others
        self._db = sqlite3.connect(path or ":memory:", timeout=5.0)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database; the store is unusable afterwards."""
        self._db.close()

    def open_connection(self, *, account: str, name: str, email: str, provider: str, now: float) -> str:
        """Add a connection and return its new id: fourteen digits, as in the vendor's examples, never used twice."""
        connection_id = f"{secrets.randbelow(10**14):014d}"
        with self._db:
            self._db.execute(
                "INSERT INTO connections (id, account, name, email, provider, status, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (connection_id, account, name, email, provider, ACTIVE, now, now),
            )
        return connection_id

    def close_connection(self, *, account: str, connection_id: str, now: float) -> bool:
        """Disconnect: tokens die in the same commit. Returns False when there is nothing alive of that id."""
        with self._db:
            changed = self._db.execute(
                "UPDATE connections SET status = ?, updated_at = ?, disconnected_at = ?"
                " WHERE account = ? AND id = ? AND status = ?",
                (DISCONNECTED, now, now, account, connection_id, ACTIVE),
            ).rowcount
            if changed:
                self._db.execute("DELETE FROM tokens WHERE connection_id = ?", (connection_id,))
        return changed == 1

    def connection(self, *, account: str, connection_id: str) -> Connection | None:
        """Return a living connection of the account."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM connections WHERE account = ? AND id = ? AND status = ?",  # noqa: S608 - a constant
            (account, connection_id, ACTIVE),
        ).fetchone()
        return None if row is None else _connection(row)

    def count(self, *, account: str, with_disconnected: bool) -> int:
        """Return how many connections a listing has."""
        query = "SELECT count(*) FROM connections WHERE account = ? AND (? OR status = ?)"
        return int(self._db.execute(query, (account, with_disconnected, ACTIVE)).fetchone()[0])

    def listed(self, *, account: str, with_disconnected: bool, offset: int = 0, limit: int = -1) -> list[Connection]:
        """Return a part of the account's connections, oldest first; `limit` -1 means all."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM connections WHERE account = ? AND (? OR status = ?)"  # noqa: S608 - a constant
            " ORDER BY seq LIMIT ? OFFSET ?",
            (account, with_disconnected, ACTIVE, limit, offset),
        )
        return [_connection(row) for row in rows]

    def merge_metadata(self, *, account: str, connection: Connection, metadata: Mapping[str, str], now: float) -> None:
        """Set these keys; other keys stay."""
        merged = json.dumps({**connection.metadata, **metadata})
        with self._db:
            self._db.execute(
                "UPDATE connections SET metadata = ?, updated_at = ? WHERE account = ? AND id = ?",
                (merged, now, account, connection.id),
            )

    def issue_token(
        self, *, account: str, connection_id: str | None, expires_at: float, now: float, kills_earlier: bool = False
    ) -> str:
        """Return a new token; only its hash is kept. Expired hashes are swept on the way."""
        token = secrets.token_urlsafe(32)
        with self._db:
            self._db.execute("DELETE FROM tokens WHERE expires_at <= ?", (now,))
            if kills_earlier:
                self._db.execute("DELETE FROM tokens WHERE connection_id = ?", (connection_id,))
            self._db.execute(
                "INSERT INTO tokens (hash, account, connection_id, expires_at) VALUES (?, ?, ?, ?)",
                (_hash(token), account, connection_id, expires_at),
            )
        return token

    def bearer(self, token: str, *, now: float) -> Bearer | None:
        """Return whom a token speaks for, or None when it is unknown, ended or killed."""
        row = self._db.execute(
            "SELECT account, connection_id FROM tokens WHERE hash = ? AND expires_at > ?", (_hash(token), now)
        ).fetchone()
        return None if row is None else Bearer(account=row[0], connection_id=row[1])


def _hash(token: str) -> str:
    # No salt and no slow hash: a token is 256 random bits, nothing that could be guessed from a list.
    return hashlib.sha256(token.encode()).hexdigest()


def _connection(row: Sequence[object]) -> Connection:
    names = [name.strip() for name in _COLUMNS.split(",")]
    fields = dict(zip(names, row, strict=True))
    return Connection(**{**fields, "metadata": json.loads(str(fields["metadata"]))})
