"""Two runs on one dataset never interleave."""

import logging
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import IO

import psycopg2
import pytest
from tests.localkube.waiting import wait_until
from tests.sync import postgres
from tests.sync.fakemakini import Answer, FakeMakini, Hit, order
from tests.sync.program import ORDERS, Program
from tests.sync.reading import Destination, Postgres, compare

from makini_operator.sync.destinations.duck import Duck
from makini_operator.sync.destinations.postgres import Postgres as PostgresDestination
from makini_operator.sync.errors import Locked, LockLost
from makini_operator.sync.rows import RUN
from makini_operator.sync.waiting import ASK_EVERY, locked_within


class Gate:
    """Holds the first request for a page until it is opened."""

    def __init__(self, page: int) -> None:
        self._page = page
        self.reached = Event()
        self.open = Event()

    def __call__(self, hit: Hit) -> Answer | None:
        if hit.page == self._page and not self.reached.is_set():
            self.reached.set()
            assert self.open.wait(60), "nobody opened the gate"
        return None


def test_a_second_run_is_turned_away_while_the_first_is_at_work(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(25)])
    gate = Gate(page=2)
    fake.fault = gate
    first = program.start()
    assert gate.reached.wait(60)
    requests = len(fake.hits)
    second = program.run()
    assert (second.code, second.result["reason"]) == (3, "Locked")
    assert len(fake.hits) == requests
    purge = program.history("purge", "--confirm", program.dataset)
    assert purge.returncode == 3
    gate.open.set()
    first.communicate(timeout=60)
    assert first.returncode == 0
    compare(fake, destination)


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_another_dataset_is_not_locked(fake: FakeMakini, program: Program) -> None:
    fake.put(ORDERS, *[order(i) for i in range(25)])
    gate = Gate(page=2)
    fake.fault = gate
    first = program.start()
    assert gate.reached.wait(60)
    assert program.run("--dataset", f"{program.dataset}_2").code == 0
    assert first.poll() is None, "the other run has only waited for the end of this one"
    gate.open.set()
    first.communicate(timeout=60)
    assert first.returncode == 0


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_a_run_whose_connection_and_lock_are_lost_moves_no_cursor(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(25)])
    gate = Gate(page=2)
    fake.fault = gate
    first = program.start()
    assert gate.reached.wait(60)
    assert isinstance(destination, Postgres)
    killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'makini-sync'"
    postgres.query(destination.dsn, killed)
    gate.open.set()
    first.communicate(timeout=60)
    assert first.returncode in {3, 5}
    assert ORDERS not in destination.state()
    fake.fault = None
    assert program.run().code == 0
    compare(fake, destination)


UNLOCKING = f"""
CREATE VIEW {{}}.unlocking AS SELECT coalesce(pg_advisory_unlock_all()::text, '') AS {RUN}
"""


def test_a_session_without_its_lock_moves_no_cursor(postgres_server: str, dataset: str) -> None:
    """As behind a pooler that gives each statement another session. Here a view takes the lock away."""
    destination, other = (PostgresDestination(postgres_server, dataset) for _ in range(2))
    with destination.lock():
        destination.write_state("erp/uom", {"cursor": "1"})
        destination.check_lock()
        with pytest.raises(Locked), other.lock():
            pass
        postgres.query(postgres_server, UNLOCKING.format(dataset))
        destination.arrived("unlocking", "")
        with pytest.raises(LockLost, match="not a pooler in transaction mode"):
            destination.check_lock()
        with pytest.raises(LockLost):
            destination.write_state("erp/uom", {"cursor": "2"})
        assert destination.read_state() == {"erp/uom": {"cursor": "1"}}
        with other.lock():
            other.write_state("erp/uom", {"cursor": "3"})
            other.check_lock()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's table of sockets is Linux's")
def test_the_server_looks_after_a_silent_run_within_half_a_minute(postgres_server: str, dataset: str) -> None:
    """Or the lock of a node that died would be held for two hours."""
    destination = PostgresDestination(postgres_server, dataset)
    with destination.lock():
        found = "SELECT client_port FROM pg_stat_activity WHERE application_name = 'makini-sync'"
        ((port,),) = postgres.query(postgres_server, found)

        def keepalive() -> int | None:
            """When the server asks next, in hundredths of a second; a timer of kind 1 is that of what it just sent."""
            sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            (timer,) = [socket[5] for socket in sockets if socket[2].endswith(f":{port:04X}")]
            kind, _, left = timer.partition(":")
            return int(left, 16) if kind == "02" else None

        left = wait_until(keepalive, describe="a silent connection")
        assert left is not None
        assert left <= 3000
        options = destination.loading().destination.config_params["credentials"].get_query()["options"]
    connection = psycopg2.connect(postgres_server, options=options)  # as dlt does
    with connection.cursor() as cursor:
        cursor.execute("SHOW tcp_keepalives_count")
        assert cursor.fetchall() == [("3",)]
    connection.close()


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_a_user_with_rights_on_its_schema_only_is_enough(
    fake: FakeMakini, program: Program, postgres_server: str
) -> None:
    name = program.dataset
    admin = psycopg2.connect(postgres_server)
    with admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {name}_user LOGIN PASSWORD 'small'")
        for schema in (name, f"{name}_staging"):
            cursor.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {name}_user")
    admin.close()
    host = postgres_server.rsplit("@", 1)[1]
    program.environment["MAKINI_SYNC_POSTGRES_DSN"] = f"postgresql://{name}_user:small@{host}"
    fake.put(ORDERS, *[order(i) for i in range(12)])
    outcome = program.run()
    assert outcome.code == 0, outcome.log
    compare(fake, Postgres(postgres_server, name))
    purge = program.history("purge", "--confirm", name)
    assert purge.returncode == 0, purge.stderr
    assert postgres.query(postgres_server, "SELECT 1 FROM pg_namespace WHERE nspname LIKE %s", f"{name}%") == []


# --- waiting for the lock ------------------------------------------------------------------------------------------

WAITS = "another run works on dataset"


@contextmanager
def at_work(fake: FakeMakini, program: Program) -> Iterator[tuple[Gate, "subprocess.Popen[str]"]]:
    """A run that holds the lock until its gate is opened; it comes to its end."""
    fake.put(ORDERS, *[order(i) for i in range(25)])
    gate = Gate(page=2)
    fake.fault = gate
    first = program.start()
    try:
        assert gate.reached.wait(60)
        yield gate, first
    finally:
        gate.open.set()
        out, log = first.communicate(timeout=60)
    assert first.returncode == 0, (out, log)


def until_it_waits(process: "subprocess.Popen[str]") -> str:
    """The first line that says so; reading blocks until there is one, or the process ends."""
    stream: IO[str] | None = process.stderr
    assert stream is not None
    line = next((line for line in stream if WAITS in line), "")
    assert line, "it ended without waiting"
    return line


def test_a_run_waits_for_the_lock_as_long_as_it_is_told_to(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    with at_work(fake, program) as (gate, first):
        requests = len(fake.hits)
        second = program.start("--lock-wait", "5m")
        assert "waiting up to 300 s more" in until_it_waits(second)
        assert (first.poll(), len(fake.hits)) == (None, requests)
        gate.open.set()
        out, log = second.communicate(timeout=60)
        assert second.returncode == 0, (out, log)
    compare(fake, destination)


def test_a_run_that_has_waited_in_vain_is_turned_away(fake: FakeMakini, program: Program) -> None:
    with at_work(fake, program):
        requests = len(fake.hits)
        second = program.run("--lock-wait", "1s")
        assert (second.code, second.result["reason"]) == (3, "Locked")
        assert WAITS in second.log
        assert len(fake.hits) == requests


def test_a_run_that_waits_ends_when_it_is_told_to(fake: FakeMakini, program: Program) -> None:
    with at_work(fake, program):
        second = program.start("--lock-wait", "5m")
        until_it_waits(second)
        second.send_signal(signal.SIGTERM)
        out, _ = second.communicate(timeout=60)
        assert second.returncode == 143
        assert '"reason": "Terminated"' in out


@pytest.mark.parametrize("kind", ["duckdb"], indirect=True)
def test_a_run_says_how_long_it_waits_and_refuses_what_is_no_duration(program: Program) -> None:
    process = program.start("--lock-wait", "a while")
    _, log = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "expected a duration such as 90d, 2160h or 1h30m, found 'a while' (or 'none')" in log


def test_whoever_waits_is_told_so_at_once_and_then_once_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A real lock, and a clock that goes on only while it is waited."""
    caplog.set_level(logging.INFO)
    asked: list[float] = []
    time = 0.0

    def pause(seconds: float) -> None:
        nonlocal time
        asked.append(seconds)
        time += seconds

    holder, waiter = Duck(tmp_path, "acme"), Duck(tmp_path, "acme")
    wait = timedelta(seconds=150.5)
    with (
        holder.lock(),
        pytest.raises(Locked, match="nothing was read or changed"),
        locked_within(wait, waiter, clock=lambda: time, pause=pause),
    ):
        pytest.fail("the lock is another's")
    assert time == wait.total_seconds()
    assert set(asked[:-1]) == {ASK_EVERY}
    told = [record.getMessage() for record in caplog.records]
    assert [text.rpartition("waiting up to ")[2] for text in told] == ["150 s more", "90 s more", "30 s more"]


def test_the_lock_is_had_as_soon_as_it_is_free_and_given_back(tmp_path: Path) -> None:
    holder, waiter = Duck(tmp_path, "acme"), Duck(tmp_path, "acme")
    held = holder.lock()
    held.__enter__()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        held.__exit__(None, None, None)

    with locked_within(timedelta(minutes=1), waiter, clock=lambda: 0.0, pause=pause):
        assert pauses == [ASK_EVERY]
        with pytest.raises(Locked), holder.lock():
            pass
    with holder.lock():
        pass
