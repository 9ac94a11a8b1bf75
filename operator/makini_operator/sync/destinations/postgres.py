"""PostgreSQL: a schema for each dataset, its lock an advisory lock of the session that also writes the cursor.

So a run whose connection broke, and with it its lock, cannot move the cursor any more. What dlt loads at that moment
goes over sessions of its own, and still arrives. A connection pooler in transaction mode takes the lock away in
silence; that is looked for with each write of the cursor. The run needs a connection of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from makini_operator.sync.destinations import postgres_purge
from makini_operator.sync.destinations.base import (
    STATE,
    Doomed,
    Known,
    Loading,
    State,
    checked_dataset,
    is_data,
    locked,
)
from makini_operator.sync.destinations.postgres_session import Session
from makini_operator.sync.errors import DestinationFailed, Locked, LockLost
from makini_operator.sync.rows import DIGEST, GONE_AT, KEY, PARENT, RUN

_MAX_NAME = 63  # bytes of an identifier, beyond which dlt shortens a column's
_HELD = """
SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
AND (classid::bigint << 32) | objid::bigint = %s
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_PASSED_ON = ("ssl", "options", "target_session", "channel_binding", "gss")  # parts of a DSN that dlt hands on


class Postgres:
    """A schema of a PostgreSQL database. `dsn` is a URL or a libpq connection string, with its password."""

    def __init__(self, dsn: str, dataset: str) -> None:
        self.dataset = checked_dataset(dataset)
        self._session = Session(dsn)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password."""
        return self._session.secrets

    def is_there(self) -> bool:
        """Say whether the schema is there, over a connection of its own."""
        with self._session.opened():
            return postgres_purge.is_there(self._session.ask, self.dataset)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Connect and take the dataset's advisory lock."""
        with self._session.opened():
            if not self._session.one("SELECT pg_try_advisory_lock(%s)", self._lock_number())[0]:
                raise Locked(locked(self.dataset))
            yield

    def check_lock(self) -> None:
        """Raise LockLost unless the server says that this session holds the lock."""
        try:
            is_held = self._session.ask(_HELD, self._lock_number())
        except DestinationFailed as error:
            raise LockLost(f"the connection that held the lock of dataset {self.dataset!r} is lost: {error}") from None
        if not is_held:
            raise self._lost()

    def read_state(self) -> dict[str, State]:
        """Return the state by entity."""
        if not self._exists(STATE):
            return {}
        return {
            name: json.loads(text) for name, text in self._session.ask(f"SELECT entity, state FROM {self._name(STATE)}")
        }

    def write_state(self, entity: str, state: State) -> None:
        """Replace one entity's state, in one statement with looking whether this session holds the lock."""
        self._prepare()
        written = self._session.run(
            f"INSERT INTO {self._name(STATE)} (entity, state) SELECT %s::text, %s::text WHERE EXISTS ({_HELD}) "
            "ON CONFLICT (entity) DO UPDATE SET state = excluded.state",
            entity,
            json.dumps(state),
            self._lock_number(),
        )
        if not written:
            raise self._lost()

    def known(self, table: str, *, keys: Iterable[list[str]] | None = None, by: str = KEY) -> Iterator[Known]:
        """Return key, digest and mark of rows."""
        if not self._exists(table):
            return
        query = f'SELECT "{KEY}", "{DIGEST}", "{GONE_AT}" IS NOT NULL FROM {self._name(table)}'
        if keys is None:
            yield from self._session.stream(query)
            return
        for batch in keys:
            yield from self._session.ask(f'{query} WHERE "{by}" = ANY(%s)', batch)

    def arrived(self, table: str, run: str) -> int:
        """Return how many rows came with a run."""
        if not self._exists(table):
            return 0
        return int(self._session.one(f'SELECT count(*) FROM {self._name(table)} WHERE "{RUN}" = %s', run)[0])

    def mark_gone(self, table: str, keys: Iterable[list[str]], *, by: str = KEY, at: datetime) -> int:
        """Mark rows that are not marked yet."""
        if not self._exists(table):
            return 0
        query = f'UPDATE {self._name(table)} SET "{GONE_AT}" = %s WHERE "{GONE_AT}" IS NULL AND "{by}" = ANY(%s)'
        return sum(self._session.run(query, at, batch) for batch in keys)

    def tidy(self, tables: Mapping[str, list[str]]) -> None:
        """Add columns that are empty so far; index what is looked up by: dlt makes no index, and would read it all."""
        from dlt.common.normalizers.naming.snake_case import NamingConvention  # noqa: PLC0415 - slow to import

        shortened = NamingConvention(max_length=_MAX_NAME).normalize_identifier
        for table, wanted in tables.items():
            if self._exists(table):
                columns = self._columns(table)
                for column in map(shortened, wanted):
                    if column not in columns:
                        self._session.run(f'ALTER TABLE {self._name(table)} ADD COLUMN "{column}" varchar')
                for column in (KEY, PARENT):
                    if column in columns:
                        name = f"{table[:40]}_{hashlib.sha256(table.encode()).hexdigest()[:6]}{column[7:]}"
                        self._session.run(f'CREATE INDEX IF NOT EXISTS "{name}" ON {self._name(table)} ("{column}")')

    def loading(self) -> Loading:
        """Loaded as INSERT statements: with CSV dlt 1.31 makes NULL of every empty text, without a word."""
        import dlt  # noqa: PLC0415 - slow to import
        from dlt.destinations.impl.postgres.configuration import PostgresCredentials  # noqa: PLC0415

        # What libpq took from its environment and defaults, dlt has to be told.
        used = self._session.used()
        parts = self._session.parts | {name: used[name] for name in ("host", "port", "dbname", "user") if name in used}
        made = PostgresCredentials(
            {
                "drivername": "postgresql",
                "host": parts.get("host", "localhost"),
                "port": int(parts.get("port", 5432)),
                "database": parts["dbname"],
                "username": parts["user"],
                "password": parts.get("password") or used.get("password") or "-",  # dlt wants one where none is needed
                "query": {name: parts[name] for name in parts if name.startswith(_PASSED_ON)} | self._session.options(),
            }
        )
        return Loading(
            destination=dlt.destinations.postgres(credentials=made),
            file_format="insert_values",
            table_format=None,
            strategy="delete-insert",
        )

    def rows(self) -> Mapping[str, int]:
        """Return the tables with their number of rows."""
        return {
            table: int(self._session.one(f"SELECT count(*) FROM {self._name(table)}")[0])
            for table in self._tables(self.dataset)
        }

    def doomed(self) -> Doomed:
        """Return what a purge would drop."""
        return postgres_purge.doomed(self._session.ask, self.dataset)

    def purge(self) -> None:
        """Drop the schema, and dlt's copies of its tables in the one that it stages in, in one transaction."""
        postgres_purge.drop(self._session.ask, self.dataset)

    def _prepare(self) -> None:
        # Looked up first: CREATE … IF NOT EXISTS needs the right to create also where there is nothing to create.
        if not self._exists(STATE):
            is_new = not self._session.ask("SELECT 1 FROM pg_namespace WHERE nspname = %s", self.dataset)
            schema = f'CREATE SCHEMA "{self.dataset}"; ' if is_new else ""
            # One message, so one transaction: a schema without this table would not be known as ours by a purge.
            self._session.run(
                f"{schema}CREATE TABLE {self._name(STATE)} (entity text PRIMARY KEY, state text NOT NULL)"
            )

    def _lost(self) -> LockLost:
        return LockLost(
            f"this session does not hold the lock of dataset {self.dataset!r} any more: a run needs a connection "
            "of its own, not a pooler in transaction mode"
        )

    def _lock_number(self) -> int:
        return int.from_bytes(hashlib.sha256(f"makini-sync/{self.dataset}".encode()).digest()[:8], "big", signed=True)

    def _name(self, table: str) -> str:
        return f'"{self.dataset}"."{table}"'

    def _exists(self, table: str) -> bool:
        return self._session.one("SELECT to_regclass(%s)", self._name(table))[0] is not None

    def _tables(self, schema: str) -> list[str]:
        found = self._session.ask("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", schema)
        return [name for (name,) in found if is_data(name)]

    def _columns(self, table: str) -> set[str]:
        query = "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        return {name for (name,) in self._session.ask(query, self.dataset, table)}
