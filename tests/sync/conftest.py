"""A source, and each kind of destination, for one test."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.sync import postgres
from tests.sync.fakemakini import FakeMakini, serving
from tests.sync.program import Program
from tests.sync.reading import Destination, Duck, Files, Postgres

KINDS = ["postgres", "files", "duckdb"]


@pytest.fixture
def fake() -> Iterator[FakeMakini]:
    with serving(FakeMakini()) as made:
        yield made


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with postgres.running() as dsn:
        yield dsn


@pytest.fixture
def dataset() -> str:
    return f"acme_{uuid4().hex[:8]}"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def destination(kind: str, request: pytest.FixtureRequest, tmp_path: Path, dataset: str) -> Destination:
    match kind:
        case "postgres":
            return Postgres(request.getfixturevalue("postgres_server"), dataset)
        case "files":
            return Files(tmp_path / "delta", dataset)
        case _:
            return Duck(tmp_path / "volume", dataset)


@pytest.fixture
def program(fake: FakeMakini, destination: Destination, tmp_path: Path, dataset: str) -> Program:
    return Program(tmp_path, fake.url, destination.options, destination.environment, dataset)
