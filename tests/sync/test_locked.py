"""Two runs on one dataset never interleave."""

from threading import Event

import psycopg2
import pytest
from tests.sync import postgres
from tests.sync.fakemakini import Answer, FakeMakini, Hit, order
from tests.sync.program import ORDERS, Program
from tests.sync.reading import Destination, Postgres, compare


class Gate:
    """Holds the first request for a page until it is opened."""

    def __init__(self, page: int) -> None:
        self._page = page
        self.reached = Event()
        self.open = Event()

    def __call__(self, hit: Hit) -> Answer | None:
        if hit.page == self._page and not self.reached.is_set():
            self.reached.set()
            self.open.wait(60)
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
