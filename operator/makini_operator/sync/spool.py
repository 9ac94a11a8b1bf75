"""What one entity's reading has brought, on this computer's disk: memory does not grow with the number of records.

An SQLite file without a journal in the run's scratch folder. It is thrown away with the run; nothing of it is trusted
by the next one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from makini_operator.sync.entities import Entity, column_name
from makini_operator.sync.envelope import Record
from makini_operator.sync.listing import Seen, Shelf
from makini_operator.sync.rows import OWN, Row, to_rows

_SCHEMA = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;
CREATE TABLE pulled (key TEXT PRIMARY KEY, first INTEGER, last INTEGER, is_new INTEGER DEFAULT 1,
  changed TEXT, digest TEXT, rows TEXT);
CREATE TABLE known (key TEXT PRIMARY KEY, digest TEXT, is_gone INTEGER) WITHOUT ROWID;
CREATE TABLE children (tbl TEXT, key TEXT, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE TABLE lost (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_BATCH = 2_000
_MISSED = "known WHERE NOT is_gone AND NOT EXISTS (SELECT 1 FROM pulled WHERE pulled.key = known.key)"


class Spool:
    """The records of one entity. `known` is what the destination has of them."""

    def __init__(self, folder: Path, entity: Entity) -> None:
        self._entity = entity
        self._path = folder / f"{entity.table}.sqlite"
        self._path.unlink(missing_ok=True)
        # The load has a thread of its own.
        self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")
        self._columns: dict[str, dict[str, None]] = {
            entity.table: dict.fromkeys(column_name(name) for name in entity.fields)
        } | {entity.child_table(field): dict.fromkeys(map(column_name, names)) for field, names in entity.lists.items()}
        self._reading = self._came = 0
        self._used: dict[str, set[str]] = {table: set() for table in self._columns}

    def close(self) -> None:
        """Throw the file away, so that the next entity has the room."""
        self._db.close()
        self._path.unlink(missing_ok=True)

    @property
    def shelf(self) -> Shelf:
        """The spool as a reading sees it."""
        return Shelf(begin=self.begin, put=self.put, count=self.came, forget=self.forget)

    def begin(self) -> int:
        """Begin a reading of the list; return its number."""
        self._reading, self._came = self._reading + 1, 0
        return self._reading

    def put(self, record: Record) -> Seen:
        """Keep a record, unless a newer version of it is there.

        Raises:
            NotWhole: two of its fields have the same column.
        """
        rows = to_rows(record, self._entity)
        changed = record.changed.isoformat(timespec="microseconds") if record.changed else ""
        found = self._db.execute("SELECT last, changed, digest FROM pulled WHERE key = ?", (rows.key,)).fetchone()
        if not found or found[0] != self._reading:
            self._came += 1
        if found and found[0] != self._reading:
            self._db.execute("UPDATE pulled SET last = ? WHERE key = ?", (self._reading, rows.key))
        if found and (found[1] > changed or found[1:] == (changed, rows.digest)):
            return Seen.SAME
        for table, of_table in rows.tables.items():
            columns, used = self._columns[table], self._used[table]
            for row in of_table:
                for name, value in row.items():
                    columns[name] = None
                    if value is not None:
                        used.add(name)
        self._db.execute(
            "INSERT INTO pulled (key, first, last, changed, digest, rows) VALUES (?1, ?2, ?2, ?3, ?4, ?5) "
            "ON CONFLICT (key) DO UPDATE SET changed = ?3, digest = ?4, rows = ?5",
            (rows.key, self._reading, changed, rows.digest, json.dumps(rows.tables)),
        )
        return Seen.CHANGED if found else Seen.NEW

    def came(self) -> int:
        """Return how many different records came in this reading."""
        return self._came

    def forget(self, start: int) -> None:
        """Forget what came first in reading `start` or later, and did not come in this one."""
        self._db.execute("DELETE FROM pulled WHERE first >= ? AND last < ?", (start, self._reading))

    def count(self) -> int:
        """Return how many different records there are, of all readings."""
        return self._count("pulled")

    def keys(self) -> Iterator[list[str]]:
        """Return the keys of the records that are to be loaded, in batches."""
        return self._batches("SELECT key FROM pulled WHERE is_new")

    def know(self, known: Iterable[tuple[str, str | None, bool]]) -> None:
        """Take in (key, digest, is gone) of the destination."""
        self._db.execute("DELETE FROM known")
        self._db.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", known)

    def compare(self) -> int:
        """Find the records that are new at the destination, or differ there; return how many they are."""
        self._db.execute(
            "UPDATE pulled SET is_new = NOT EXISTS (SELECT 1 FROM known WHERE known.key = pulled.key "
            "AND known.digest = pulled.digest AND NOT known.is_gone)"
        )
        return self._count("pulled WHERE is_new")

    def alive(self) -> int:
        """Return how many records the destination has that are not marked as gone."""
        return self._count("known WHERE NOT is_gone")

    def gone(self) -> Iterator[list[str]]:
        """Return the keys that the destination has, not yet marked, and the source did not show; in batches."""
        return self._batches(f"SELECT key FROM {_MISSED}")  # noqa: S608 - a constant

    def count_gone(self) -> int:
        """Return how many those are."""
        return self._count(_MISSED)

    def count_strangers(self) -> int:
        """Return how many records came that the destination has never had."""
        return self._count("pulled WHERE NOT EXISTS (SELECT 1 FROM known WHERE known.key = pulled.key)")

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table that come from the source: the documented ones and those that were met."""
        return [name for name in self._columns[table] if name not in OWN]

    def used_columns(self, table: str) -> list[str]:
        """Return those columns that hold anything."""
        return [name for name in self.columns(table) if name in self._used[table]]

    def rows(self, table: str) -> Iterator[list[Row]]:
        """Return the rows of a table that are to be loaded, in batches of about two thousand."""
        with closing(self._db.execute("SELECT rows FROM pulled WHERE is_new")) as found:
            batch: list[Row] = []
            for (text,) in found:
                batch += json.loads(text).get(table, ())
                if len(batch) >= _BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def note_children(self, table: str) -> int:
        """Remember the children's keys of the records to be loaded; return how many there are."""
        self._db.execute("DELETE FROM children WHERE tbl = ?", (table,))
        self._db.execute(
            "INSERT INTO children SELECT ?1, json_extract(item.value, '$._makini_key') "
            "FROM pulled, json_each(pulled.rows, '$.' || ?1) AS item WHERE is_new",
            (table,),
        )
        return int(self._db.execute("SELECT count(*) FROM children WHERE tbl = ?", (table,)).fetchone()[0])

    def parents(self, table: str) -> Iterator[list[str]]:
        """Return the keys of the records to be loaded that say what they have in a child table, in batches."""
        return self._batches("SELECT key FROM pulled WHERE is_new AND json_type(rows, '$.' || ?) IS NOT NULL", table)

    def note_lost(self, table: str, known: Iterable[tuple[str, str | None, bool]]) -> tuple[int, int]:
        """Take in a child table's (key, digest, is gone); return how many are there, and how many were not noted."""
        self._db.execute("DELETE FROM lost")
        self._db.executemany(
            "INSERT OR IGNORE INTO lost VALUES (?)", ((key,) for key, _, is_gone in known if not is_gone)
        )
        there = self._count("lost")
        self._db.execute("DELETE FROM lost WHERE key IN (SELECT key FROM children WHERE tbl = ?)", (table,))
        return there, self._count("lost")

    def lost(self) -> Iterator[list[str]]:
        """Return the keys of those that were not noted, in batches."""
        return self._batches("SELECT key FROM lost")

    def _count(self, what: str) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {what}").fetchone()[0])  # noqa: S608 - constants

    def _batches(self, query: str, *values: str) -> Iterator[list[str]]:
        with closing(self._db.execute(query, values)) as found:
            while batch := [key for (key,) in found.fetchmany(_BATCH)]:
                yield batch
