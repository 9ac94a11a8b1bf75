"""Synced rows go only by an explicit act, which names what it deletes."""

from tests.sync.fakemakini import FakeMakini, order
from tests.sync.program import ORDERS, Program
from tests.sync.reading import LINES, Destination
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


def test_looking_changes_nothing(program: Program, destination: Destination) -> None:
    shown = program.history("show")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == f"There is no dataset '{program.dataset}' there.\n"
    assert destination.state() == {}
