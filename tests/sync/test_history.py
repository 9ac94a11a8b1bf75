"""Synced rows go only by an explicit act, which names what it deletes."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.sync.fakemakini import FakeMakini, order
from tests.sync.program import ORDERS, Program
from tests.sync.reading import LINES, Destination, Files
from tests.sync.reading import ORDERS as TABLE


def test_purge_tells_first_and_deletes_only_what_is_named(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(12)])
    assert program.run().code == 0
    told = program.history("purge")
    assert told.returncode == 0, told.stderr
    assert f"{TABLE}\t12" in told.stdout
    assert f"{LINES}\t36" in told.stdout
    assert f"--confirm {program.dataset}" in told.stdout
    wrong = program.history("purge", "--confirm", "another")
    assert wrong.returncode == 2
    assert len(destination.rows(TABLE)) == 12
    done = program.history("purge", "--confirm", program.dataset)
    assert done.returncode == 0, done.stderr
    assert destination.rows(TABLE) == []
    assert "There is no dataset" in program.history("show").stdout


def test_a_sync_after_a_purge_begins_anew(fake: FakeMakini, program: Program, destination: Destination) -> None:
    fake.put(ORDERS, *[order(i) for i in range(12)])
    assert program.run().code == 0
    assert program.history("purge", "--confirm", program.dataset).returncode == 0
    outcome = program.run()
    assert (outcome.code, outcome.entity()["loaded"]) == (0, 12), outcome.log
    assert len(destination.rows(LINES)) == 36


def test_looking_changes_nothing(program: Program, destination: Destination, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    shown = program.history("show")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == f"There is no dataset '{program.dataset}' there.\n"
    assert program.history("purge").returncode == 2
    assert destination.state() == {}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["files"], indirect=True)
def test_a_dataset_behind_a_link_is_shown_and_purged(fake: FakeMakini, program: Program, destination: Files) -> None:
    fake.put(ORDERS, *[order(i) for i in range(12)])
    assert program.run().code == 0
    place, real = destination.folder / program.dataset, destination.folder.parent / "real"
    place.rename(real)
    place.symlink_to(real)
    assert f"{TABLE}\t12" in program.history("show").stdout
    done = program.history("purge", "--confirm", program.dataset)
    assert (done.returncode, done.stderr) == (0, "")
    assert not place.is_symlink()
    assert list(real.iterdir()) == []


@pytest.mark.parametrize("kind", ["files"], indirect=True)
def test_what_is_beside_a_dataset_is_not_read(fake: FakeMakini, program: Program, destination: Files) -> None:
    fake.put(ORDERS, *[order(i) for i in range(12)])
    assert program.run().code == 0
    (destination.folder / "of-others").symlink_to(destination.folder)  # without an end for who goes there
    (destination.folder / "of-others-2").mkdir()
    (destination.folder / "of-others-2" / "\udc80").write_bytes(b"")  # a name that is no text
    assert f"{TABLE}\t12" in program.history("show").stdout
    assert program.run().code == 0


@pytest.mark.parametrize("kind", ["files"], indirect=True)
def test_a_folder_that_cannot_be_read_is_said_in_one_line(program: Program, destination: Files) -> None:
    destination.folder.mkdir()
    (destination.folder / f"{program.dataset}.state").write_text("a file where a folder is due")
    failed = program.history("show")
    assert (failed.returncode, failed.stderr.count("\n")) == (5, 1), failed.stderr
    assert "Not a directory" in failed.stderr


def test_a_library_that_is_missing_is_named_with_what_to_install(program: Program, kind: str) -> None:
    library = {"postgres": "psycopg2", "files": "deltalake", "duckdb": "duckdb"}[kind]
    code = f"import sys; sys.modules[{library!r}] = None; from makini_operator.cli.main import main; main()"
    options = ["history", "show", "--dataset", program.dataset, *program.destination]
    (program.folder / "delta" / program.dataset / "t" / "_delta_log").mkdir(parents=True)
    (program.folder / "delta" / program.dataset / "t" / "_delta_log" / "0.json").write_text("")
    (program.folder / "delta" / f"{program.dataset}.state").mkdir()
    (program.folder / "delta" / f"{program.dataset}.state" / "_dataset.json").write_text("{}")
    failed = subprocess.run(
        [sys.executable, "-c", code, *options],
        capture_output=True,
        text=True,
        env=program.full_environment,
        check=False,
        timeout=60,
    )
    expected = f"makini-operator: {library} is missing: pip install 'makini-operator[sync]'\n"
    assert (failed.returncode, failed.stderr) == (2, expected)
