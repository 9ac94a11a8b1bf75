"""Destinations as their readers see them, by the databases' own libraries and not by the code under test."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg2
from deltalake import DeltaTable
from tests.sync import postgres
from tests.sync.fakemakini import FakeMakini, Record

Row = dict[str, Any]
ORDERS, LINES = "erp_purchase_orders", "erp_purchase_orders_line_items"


class Destination(Protocol):
    """Somewhere to load to."""

    options: list[str]
    environment: dict[str, str]

    def rows(self, table: str) -> list[Row]:
        """All rows of a table; none if there is no table."""

    def state(self) -> dict[str, Any]:
        """The state by entity."""


@dataclass
class Postgres:
    dsn: str
    dataset: str
    options: list[str] = field(default_factory=lambda: ["--destination", "postgres"])

    @property
    def environment(self) -> dict[str, str]:
        return {"MAKINI_SYNC_POSTGRES_DSN": self.dsn}

    def rows(self, table: str) -> list[Row]:
        try:
            found = postgres.query(self.dsn, f'SELECT row_to_json(t) FROM "{self.dataset}"."{table}" t')  # noqa: S608
        except psycopg2.errors.UndefinedTable:
            return []
        return [dict(row) for (row,) in found]  # type: ignore[call-overload]

    def state(self) -> dict[str, Any]:
        return {row["entity"]: json.loads(row["state"]) for row in self.rows("_makini_state")}


@dataclass
class Duck:
    folder: Path
    dataset: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        return ["--destination", "duckdb", "--duckdb-folder", str(self.folder)]

    def rows(self, table: str) -> list[Row]:
        path = self.folder / f"{self.dataset}-history.duckdb"
        if not path.exists():
            return []
        with duckdb.connect(str(path)) as database:
            try:
                found = database.execute(f'SELECT * FROM "{self.dataset}"."{table}"')  # noqa: S608
            except duckdb.CatalogException:
                return []
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def state(self) -> dict[str, Any]:
        return {row["entity"]: json.loads(row["state"]) for row in self.rows("_makini_state")}


@dataclass
class Files:
    folder: Path
    dataset: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        return ["--destination", "files", "--files-url", self.folder.as_uri()]

    def rows(self, table: str) -> list[Row]:
        path = str(self.folder / self.dataset / table)
        return DeltaTable(path).to_pyarrow_table().to_pylist() if DeltaTable.is_deltatable(path) else []

    def state(self) -> dict[str, Any]:
        found = [json.loads(path.read_text()) for path in (self.folder / f"{self.dataset}.state").glob("*.json")]
        return {state.pop("entity"): state for state in found}


def compare(fake: FakeMakini, destination: Destination, entity: str = "erp/purchase-orders") -> None:
    """Assert that the rows that are not marked as gone are the source's records, field by field, with their lines."""
    records = fake.records.get(entity, {})
    orders, lines = alive(destination, ORDERS), alive(destination, LINES)
    assert sorted(orders) == sorted(records)
    for key, record in records.items():
        assert _shown(orders[key]) == _expected({k: v for k, v in record.items() if k != "lineItems"})
    expected = {f"{key}/{line['key']}": line for key, record in records.items() for line in record["lineItems"]}
    assert sorted(lines) == sorted(expected)
    for key, line in expected.items():
        assert _shown(lines[key]) == _expected(line)
        assert lines[key]["_makini_parent"] == key.split("/")[0]


def alive(destination: Destination, table: str) -> dict[str, Row]:
    """The rows that are not marked as gone, by key; a key that is there twice is an error."""
    rows = destination.rows(table)
    assert len({row["_makini_key"] for row in rows}) == len(rows), "a row is there twice"
    return {row["_makini_key"]: row for row in rows if row["_makini_gone_at"] is None}


def gone(destination: Destination, table: str) -> set[str]:
    return {row["_makini_key"] for row in destination.rows(table) if row["_makini_gone_at"] is not None}


def _shown(row: Row) -> Row:
    return {name: value for name, value in row.items() if not name.startswith("_") and value is not None}


def _expected(record: Record) -> Row:
    texts = {
        _snake(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        for name, value in record.items()
    }
    return {name: text for name, text in texts.items() if text != "null"}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
