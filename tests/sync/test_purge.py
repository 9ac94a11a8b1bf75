"""A purge deletes all of what was a dataset of ours, and nothing of anybody else's; it says before what it will do."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from tests.sync import postgres
from tests.sync.fakemakini import FakeMakini, order
from tests.sync.program import ORDERS, Program
from tests.sync.reading import LINES, Destination, Duck, Files, Postgres, compare
from tests.sync.reading import ORDERS as TABLE

from makini_operator.sync.destinations import files_purge
from makini_operator.sync.destinations.objects import Folder


@pytest.fixture
def synced(fake: FakeMakini, program: Program) -> Program:
    fake.put(ORDERS, *[order(i) for i in range(12)])
    outcome = program.run()
    assert outcome.code == 0, outcome.log
    return program


@pytest.fixture
def elsewhere(postgres_server: str, dataset: str) -> Iterator[str]:
    """Another schema of the same database."""
    name = f"other_{dataset}"
    postgres.query(postgres_server, f"CREATE SCHEMA {name}")
    yield name
    postgres.query(postgres_server, f"DROP SCHEMA {name} CASCADE")


def of_others(destination: Destination) -> None:
    """Put something of the dataset's name where datasets are."""
    match destination:
        case Postgres():
            postgres.query(destination.dsn, f"CREATE SCHEMA {destination.dataset}")
            postgres.query(destination.dsn, f"CREATE TABLE {destination.dataset}.mine AS SELECT 1 AS here")
        case Files():
            place = destination.folder / destination.dataset / "2026"
            place.mkdir(parents=True)
            (place / "a.log").write_text("mine")
        case Duck():
            destination.folder.mkdir()
            with duckdb.connect(str(destination.folder / f"{destination.dataset}-history.duckdb")) as database:
                database.execute(f"CREATE SCHEMA {destination.dataset}")
                database.execute(f"CREATE TABLE {destination.dataset}.mine AS SELECT 1 AS here")


def is_intact(destination: Destination) -> bool:
    if isinstance(destination, Files):
        return (destination.folder / destination.dataset / "2026" / "a.log").read_text() == "mine"
    return destination.rows("mine") == [{"here": 1}]


def test_what_never_was_a_dataset_is_not_purged(program: Program, destination: Destination) -> None:
    of_others(destination)
    for asked in ([], ["--confirm", program.dataset]):
        refused = program.history("purge", *asked)
        assert refused.returncode == 2, refused.stdout
        assert "is not a dataset of ours" in refused.stderr
        assert "nothing was deleted" in refused.stderr
    assert is_intact(destination)


def test_a_purge_of_nothing_says_so(program: Program) -> None:
    for asked in ([], ["--confirm", program.dataset]):
        missing = program.history("purge", *asked)
        assert missing.returncode == 2
        assert f"There is no dataset '{program.dataset}' there. Nothing was deleted" in missing.stderr


def test_a_purge_tells_all_that_goes(synced: Program) -> None:
    told = synced.history("purge").stdout
    assert f"{TABLE}\t12" in told
    also = [line for line in told.splitlines() if line.startswith("also deleted: ")]
    assert any("_dlt_loads" in line for line in also)
    assert any("state" in line for line in also)
    assert "kept" not in told


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_others_tables_in_the_staging_schema_stay(synced: Program, destination: Postgres) -> None:
    staging = f"{destination.dataset}_staging"
    postgres.query(destination.dsn, f"CREATE TABLE {staging}.mine AS SELECT 1 AS here")
    told = synced.history("purge").stdout
    assert f"kept, for it is not of this dataset: table {staging}.mine" in told
    assert f"also deleted: table {staging}.{TABLE}" in told
    done = synced.history("purge", "--confirm", synced.dataset)
    assert done.returncode == 0, done.stderr
    left = postgres.query(
        destination.dsn,
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname LIKE %s AND tablename NOT LIKE '\\_dlt%%'",
        f"{destination.dataset}%",
    )
    assert left == [(staging, "mine")]


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_both_schemas_go_when_nothing_else_is_in_them(synced: Program, destination: Postgres) -> None:
    assert synced.history("purge", "--confirm", synced.dataset).returncode == 0
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s"
    assert postgres.query(destination.dsn, schemas, f"{destination.dataset}%") == []


NEEDING = {
    "view": ("view {there}.mine", "CREATE VIEW {there}.mine AS SELECT _makini_key FROM {ours}.{table}", "VIEW"),
    "materialized view": (
        "materialized view {there}.mine",
        "CREATE MATERIALIZED VIEW {there}.mine AS SELECT * FROM {ours}.{table}",
        "MATERIALIZED VIEW",
    ),
    "view on staging": (
        "view {there}.mine",
        "CREATE VIEW {there}.mine AS SELECT count(*) FROM {ours}_staging.{table}",
        "VIEW",
    ),
    "foreign key": (
        "table constraint mine_entity_fkey on {there}.mine",
        "CREATE TABLE {there}.mine (entity text REFERENCES {ours}._makini_state)",
        "TABLE",
    ),
    "inheriting table": ("table {there}.mine", "CREATE TABLE {there}.mine () INHERITS ({ours}.{table})", "TABLE"),
}


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
@pytest.mark.parametrize("what", NEEDING)
def test_what_needs_the_dataset_is_named_and_not_dropped(
    fake: FakeMakini, synced: Program, destination: Postgres, elsewhere: str, what: str
) -> None:
    named, make, drop = (text.format(there=elsewhere, ours=destination.dataset, table=TABLE) for text in NEEDING[what])
    postgres.query(destination.dsn, make)
    for asked in ([], ["--confirm", synced.dataset]):
        refused = synced.history("purge", *asked)
        assert refused.returncode == 2, refused.stdout
        assert re.search(f"Drop first: {re.escape(named)}$", refused.stderr.strip()), refused.stderr
    compare(fake, destination)
    postgres.query(destination.dsn, f"DROP {drop} {elsewhere}.mine")
    done = synced.history("purge", "--confirm", synced.dataset)
    assert done.returncode == 0, done.stderr
    assert destination.rows(LINES) == []


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_views_in_the_schema_itself_are_told_and_go(synced: Program, destination: Postgres) -> None:
    ours = destination.dataset
    for view, of in {"latest": TABLE, "latest_2": "latest"}.items():
        postgres.query(destination.dsn, f"CREATE VIEW {ours}.{view} AS SELECT * FROM {ours}.{of}")  # noqa: S608
    told = synced.history("purge").stdout
    assert f"also deleted: view {ours}.latest\n" in told
    assert synced.history("purge", "--confirm", synced.dataset).returncode == 0


@pytest.mark.parametrize("kind", ["files"], indirect=True)
def test_others_files_in_the_staging_folder_stay_and_those_in_the_datasets_own_are_told(
    synced: Program, destination: Files
) -> None:
    others = destination.folder / f"{destination.dataset}_staging" / "z"
    others.write_text("mine")
    (destination.folder / destination.dataset / "notes.txt").write_text("mine")
    told = synced.history("purge")
    assert f"kept, for it is not of this dataset: {destination.dataset}_staging/z" in told.stdout, told.stderr
    assert f"also deleted: {destination.dataset}/notes.txt (1 file)" in told.stdout
    done = synced.history("purge", "--confirm", synced.dataset)
    assert done.returncode == 0, done.stderr
    assert others.read_text() == "mine"
    assert {path.name for path in Path(destination.folder).iterdir()} == {
        f"{destination.dataset}_staging",
        f"{destination.dataset}.lock",
    }


class Killed(Exception):
    """The process ends here."""


class Mortal(Folder):
    """Files whose process is killed after so many deletions, be it in the middle of a folder."""

    def __init__(self, root: Path, deletions: int) -> None:
        super().__init__(root)
        self._left = deletions

    def delete(self, name: str) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1
        super().delete(name)

    def delete_all(self, folder: str) -> None:
        for name in self.names(folder):
            self.delete(name)
        super().delete_all(folder)


@pytest.mark.parametrize("kind", ["files"], indirect=True)
def test_a_purge_that_is_killed_anywhere_can_be_repeated(
    fake: FakeMakini, synced: Program, destination: Files, tmp_path: Path
) -> None:
    count = len(Folder(destination.folder).names(destination.dataset))
    for deletions in range(count):
        root = tmp_path / "copy"
        shutil.copytree(destination.folder, root)
        with pytest.raises(Killed):
            files_purge.purge(Mortal(root, deletions), destination.dataset)
        files_purge.purge(Folder(root), destination.dataset)
        assert {path.name for path in root.iterdir()} == {f"{destination.dataset}.lock"}, deletions
        shutil.rmtree(root)

    with pytest.raises(Killed):
        files_purge.purge(Mortal(destination.folder, count // 2), destination.dataset)
    outcome = synced.run()
    assert (outcome.code, outcome.result["reason"]) == (2, "BadSettings"), outcome.log
    assert "was interrupted: finish it with makini-operator history purge" in outcome.result["message"]
    assert "was interrupted" in synced.history("show").stderr
    assert "also deleted: " in synced.history("purge").stdout
    done = synced.history("purge", "--confirm", synced.dataset)
    assert done.returncode == 0, done.stderr
    assert synced.run().code == 0
    compare(fake, destination)
