"""Housekeeping of Delta tables: it comes seldom, so a fault in it would show late."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from makini_operator.sync.destinations.files import Files
from makini_operator.sync.rows import DIGEST, GONE_AT, KEY, RUN


def test_many_small_files_become_few_and_no_row_is_lost(tmp_path: Path) -> None:
    files = Files(tmp_path.as_uri(), "acme")
    place = tmp_path / "acme" / "orders"
    for version in range(20):
        row = {KEY: [f"k{version}"], DIGEST: ["d"], RUN: ["r"], GONE_AT: pa.array([None], pa.timestamp("us", "UTC"))}
        write_deltalake(str(place), pa.table(row), mode="append")
    assert len(DeltaTable(str(place)).file_uris()) == 20
    files.tidy({"orders": [], "there-is-none": []})
    assert len(DeltaTable(str(place)).file_uris()) == 1
    assert sorted(key for key, _, _ in files.known("orders", by=KEY)) == sorted(f"k{i}" for i in range(20))
    assert files.arrived("orders", "r") == 20
    assert dict(files.rows()) == {"orders": 20}


def test_files_are_joined_however_many_versions_a_run_makes(tmp_path: Path) -> None:
    files = Files(tmp_path.as_uri(), "acme")
    place = str(tmp_path / "acme" / "orders")
    most = 0
    for run in range(30):  # each loads, and marks: two versions
        row = {KEY: [f"k{run}"], GONE_AT: pa.array([None], pa.timestamp("us", "UTC"))}
        write_deltalake(place, pa.table(row), mode="append")
        most = max(most, len(DeltaTable(place).file_uris()))
        files.tidy({"orders": []})
        assert files.mark_gone("orders", [[f"k{run}"]], at=datetime.now(UTC)) == 1
    assert most < 20
    operations = [entry["operation"] for entry in DeltaTable(place).history()]
    assert operations.count("OPTIMIZE") == 2


def test_keys_are_looked_for_exactly(tmp_path: Path) -> None:
    files = Files(tmp_path.as_uri(), "acme")
    names = ["a", "b'c", "d"]
    table = pa.table({KEY: names, DIGEST: names, GONE_AT: pa.array([None] * 3, pa.timestamp("us", "UTC"))})
    write_deltalake(str(tmp_path / "acme" / "orders"), table)
    assert [found[0] for found in files.known("orders", keys=[["b'c"], ["e"]], by=KEY)] == ["b'c"]
    assert list(files.known("orders", keys=[], by=KEY)) == []
