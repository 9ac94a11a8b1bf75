"""A run may end at any point, by kill -9 or by being told to: nothing is lost or there twice, the next continues."""

import json
import select
import signal
import subprocess
from contextlib import closing
from threading import Event
from typing import IO

import psycopg2
import pytest
from tests.localkube.waiting import wait_until
from tests.sync import postgres
from tests.sync.fakemakini import Answer, FakeMakini, Hit, order
from tests.sync.program import ORDERS, Program
from tests.sync.reading import LINES, Destination, alive, compare, gone
from tests.sync.reading import ORDERS as TABLE

COUNT = 120
DELAYS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0]  # seconds after the load has begun


def wait_for_line(stream: IO[str], text: str, within: float = 60.0) -> None:
    """Read a process's log until a line holds the text."""
    while select.select([stream], [], [], within)[0]:
        line = stream.readline()
        if text in line:
            return
        assert line, f"the log ended without {text!r}"
    raise AssertionError(f"no {text!r} in the log within {within} s")


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def change_some(fake: FakeMakini, attempt: int) -> None:
    """New records, changed ones with fewer lines, and one that is gone."""
    start = 1000 * (attempt + 1)
    fake.put(ORDERS, *[order(i, changed=start + i, lines=1 + (i + attempt) % 3) for i in range(attempt, COUNT, 7)])
    fake.put(ORDERS, order(COUNT + attempt, changed=start + COUNT))
    fake.records[ORDERS].pop(f"po-{COUNT - 1 - attempt}", None)


def test_killed_at_many_points_of_loading(fake: FakeMakini, program: Program, destination: Destination) -> None:
    fake.put(ORDERS, *[order(i) for i in range(COUNT)])
    killed = 0
    for attempt, delay in enumerate(DELAYS):
        process = program.start("--full", "--page-size", "50")
        assert process.stderr is not None
        wait_for_line(process.stderr, "loading ")
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            killed += 1
        kill(process)
        alive(destination, TABLE), alive(destination, LINES)  # no row twice, at no time
        if attempt % 3 == 2:
            outcome = program.run("--page-size", "50")
            assert outcome.code == 0, outcome.log
        change_some(fake, attempt)
    assert killed >= 4
    assert program.run("--full").code == 0
    compare(fake, destination)


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
@pytest.mark.parametrize("page", [1, 2, 5])
def test_killed_while_reading(page: int, fake: FakeMakini, program: Program, destination: Destination) -> None:
    fake.put(ORDERS, *[order(i) for i in range(45)])
    reached, may_go_on = Event(), Event()

    def stop(hit: Hit) -> Answer | None:
        if hit.page == page:
            reached.set()
            may_go_on.wait(60)
        return None

    fake.fault = stop
    process = program.start()
    assert reached.wait(60)
    kill(process)
    fake.fault = None
    may_go_on.set()
    assert destination.rows(TABLE) == []
    assert program.run().code == 0
    compare(fake, destination)


def test_told_to_end_in_the_middle_of_a_slow_read(fake: FakeMakini, program: Program, destination: Destination) -> None:
    fake.put(ORDERS, *[order(i) for i in range(20)])
    assert program.run().code == 0
    fake.put(ORDERS, *[order(i, changed=100 + i) for i in range(20)])
    reached, may_go_on = Event(), Event()

    def stop(hit: Hit) -> Answer | None:
        if hit.page == 2:
            reached.set()
            may_go_on.wait(60)
        return None

    fake.fault = stop
    process = program.start()
    assert reached.wait(60)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=5)
    may_go_on.set()
    assert process.returncode == 143
    assert json.loads(out)["reason"] == "Terminated"
    assert len(alive(destination, TABLE)) == 20
    fake.fault = None
    assert program.run().code == 0
    compare(fake, destination)


def test_told_to_end_while_loading(fake: FakeMakini, program: Program, destination: Destination) -> None:
    fake.put(ORDERS, *[order(i) for i in range(COUNT)])
    process = program.start()
    assert process.stderr is not None
    wait_for_line(process.stderr, "loading ")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=5)
    assert process.returncode == 143
    assert program.run().code == 0
    compare(fake, destination)


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_a_whole_sync_killed_between_a_record_and_its_lines_is_finished_by_the_next_run(
    fake: FakeMakini, program: Program, destination: Destination, postgres_server: str
) -> None:
    """The change has no new `updatedAt` and is older than the cursor: an ordinary run would not ask for it."""
    fake.put(ORDERS, *[order(i) for i in range(30)], order(50, changed=900_000))
    assert program.run().code == 0
    silent = order(2, title="changed in silence")
    silent["lineItems"] = [*silent["lineItems"][:2], {**silent["lineItems"][2], "key": "po-2-4"}]
    fake.put(ORDERS, silent)
    assert program.run().entity()["loaded"] == 0
    with closing(psycopg2.connect(postgres_server)) as other:
        other.cursor().execute(f'LOCK TABLE "{program.dataset}"."{LINES}" IN ACCESS EXCLUSIVE MODE')
        process = program.start("--full")
        wait_until(lambda: alive(destination, TABLE)["po-2"]["title"] == silent["title"], 120, "the order is loaded")
        kill(process)
    outcome = program.run()
    assert outcome.code == 0, outcome.log
    compare(fake, destination)
    assert program.run("--full").entity()["loaded"] == 0


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_killed_when_only_the_lines_of_what_is_gone_are_marked_and_then_it_is_back(
    fake: FakeMakini, program: Program, destination: Destination, postgres_server: str
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(30)])
    assert program.run().code == 0
    lost = fake.records[ORDERS].pop("po-7")
    with closing(psycopg2.connect(postgres_server)) as other:
        other.cursor().execute(f'LOCK TABLE "{program.dataset}"."{TABLE}" IN SHARE MODE')
        process = program.start("--full")
        wait_until(lambda: len(gone(destination, LINES)) == 3, 120, "the lines are marked")
        kill(process)
        # Its server would else do what it still waits for, as if the run had lived a moment longer.
        end_waiting = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        assert postgres.query(postgres_server, end_waiting) == [(True,)]
    assert gone(destination, TABLE) == set()
    fake.put(ORDERS, lost)
    assert program.run().code == 0
    compare(fake, destination)


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_rows_that_did_not_arrive_are_loaded_by_the_next_run(
    fake: FakeMakini, program: Program, destination: Destination, postgres_server: str
) -> None:
    """Here the database drops them without a word, as one with a trigger or a rule may."""
    fake.put(ORDERS, *[order(i) for i in range(30)], order(50, changed=900_000))
    assert program.run().code == 0
    silent = order(2, title="changed in silence", lines=5)
    fake.put(ORDERS, silent)
    name = f'"{program.dataset}"."{LINES}"'
    postgres.query(
        postgres_server,
        f'CREATE FUNCTION "{program.dataset}".drop_it() RETURNS trigger LANGUAGE plpgsql AS '
        "$$BEGIN RETURN NULL; END$$; "
        f"CREATE TRIGGER dropping BEFORE INSERT ON {name} FOR EACH ROW WHEN (new.key = 'po-2-5') "
        f'EXECUTE FUNCTION "{program.dataset}".drop_it()',
    )
    failed = program.run("--full")
    assert (failed.code, failed.result["reason"]) == (5, "DestinationFailed")
    assert "4 of 5 rows arrived" in failed.result["message"]
    postgres.query(postgres_server, f"DROP TRIGGER dropping ON {name}")
    assert program.run().code == 0
    compare(fake, destination)
