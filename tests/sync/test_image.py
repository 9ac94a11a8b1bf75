"""The image of sync pods, from its own files alone: as another user than root, on a root that is read-only."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import images
from tests.harness.moto import moto_running
from tests.harness.sandbox import Sandbox
from tests.images import confined, contents
from tests.sync.fakemakini import FakeMakini, order
from tests.sync.program import ORDERS, Program
from tests.sync.reading import ORDERS as TABLE
from tests.sync.reading import Destination, Duck, Files, Postgres, alive, compare, gone
from tests.sync.test_s3 import BUCKET, S3


@dataclass
class Pod(Program):
    """The program in the image; its folder is the only place to write to."""

    root: Path = Path()

    def __post_init__(self) -> None:
        super().__post_init__()
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, contents.USER, contents.USER)

    def command(self, *options: str, **how: object) -> list[str]:
        return self.inside(*contents.ENTRYPOINT, *super().command(*options, **how)[3:])  # type: ignore[arg-type]

    def inside(self, *arguments: str) -> list[str]:
        return confined.command(self.root, list(arguments), writable=self.folder)

    @property
    def full_environment(self) -> dict[str, str]:
        return confined.environment(self.folder / "work", self.environment)

    def history(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.say(*contents.ENTRYPOINT, "history", *arguments, "--dataset", self.dataset, *self.destination)

    def say(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.inside(*arguments), capture_output=True, text=True, env=self.full_environment, check=False, timeout=120
        )


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    if reason := confined.obstacle():
        pytest.skip(f"the image of syncs was not started: {reason}")
    with confined.unpacked(images.sync()) as files:
        yield files


@pytest.fixture(params=["postgres", "files", "duckdb", "s3"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def destination(kind: str, request: pytest.FixtureRequest, tmp_path: Path, dataset: str) -> Iterator[Destination]:
    match kind:
        case "postgres":
            yield Postgres(request.getfixturevalue("postgres_server"), dataset)
        case "files":
            yield Files(tmp_path / "volume", dataset)
        case "duckdb":
            yield Duck(tmp_path / "volume", dataset)
        case _:
            with moto_running() as url:
                bucket = S3(url, dataset)
                bucket.client.create_bucket(Bucket=BUCKET)
                yield bucket


@pytest.fixture
def pod(root: Path, fake: FakeMakini, tmp_path: Path) -> Pod:
    return Pod(tmp_path, fake.url, [], root=root)


def test_it_is_another_user_on_a_root_that_is_read_only(pod: Pod) -> None:
    told = pod.say("/usr/local/bin/python3", "-c", "import os; print(os.getuid(), os.getgid(), os.getgroups())")
    assert told.stdout == f"{contents.USER} {contents.USER} []\n", told.stderr
    for folder in ("/", "/app", "/tmp"):  # noqa: S108 - of the image
        told = pod.say("/usr/local/bin/python3", "-c", f"open({folder!r} + '/made', 'w')")
        assert "Read-only file system" in told.stderr
    told = pod.say("/usr/local/bin/python3", "-c", f"open({str(pod.folder / 'made')!r}, 'w')")
    assert told.returncode == 0, told.stderr


def test_it_says_its_version_and_what_is_not_in_it(pod: Pod) -> None:
    assert pod.say(*contents.ENTRYPOINT, "--version").stdout.split()[-1] == contents.version()
    for command, module in {"run": "makini_operator.cli.run", "sandbox": "makini_operator.cli.sandbox"}.items():
        told = pod.say(*contents.ENTRYPOINT, command)
        assert told.stderr == (
            f"Error: {command} is not part of this image or installation: it has no module {module}\n"
        )
        assert told.returncode == 1


@pytest.mark.parametrize("module", ["kopf", "kubernetes", "pydantic", "pip", "setuptools"])
def test_it_holds_nothing_of_the_operators(pod: Pod, module: str) -> None:
    assert f"No module named '{module}'" in pod.say("/usr/local/bin/python3", "-c", f"import {module}").stderr


def test_each_kind_of_destination_is_loaded_and_purged(
    root: Path, fake: FakeMakini, destination: Destination, tmp_path: Path, dataset: str
) -> None:
    pod = Pod(tmp_path, fake.url, destination.options, destination.environment, dataset, root=root)
    fake.put(ORDERS, *[order(i) for i in range(25)])
    first = pod.run()
    assert first.code == 0, first.log
    compare(fake, destination)
    fake.put(ORDERS, order(3, changed=100, lines=1))
    del fake.records[ORDERS]["po-7"]
    second = pod.run("--full")
    assert (second.code, second.entity()["loaded"], second.entity()["gone"]) == (0, 1, 1), second.log
    compare(fake, destination)
    assert gone(destination, TABLE) == {"po-7"}
    third = pod.run()
    assert (third.code, third.entity()["loaded"]) == (0, 0), third.log
    shown = pod.history("show")
    assert f"{TABLE}\t25" in shown.stdout.splitlines(), shown.stderr
    assert pod.history("purge", "--confirm", dataset).returncode == 0
    assert pod.history("show").stdout == f"There is no dataset '{dataset}' there.\n"


@pytest.mark.parametrize("kind", ["duckdb"], indirect=True)
def test_what_a_source_or_a_database_says_of_a_failure_is_told(
    root: Path, fake: FakeMakini, destination: Destination, tmp_path: Path, dataset: str
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(3)])
    refused = Pod(tmp_path, fake.url, destination.options, {"MAKINI_TOKEN": "wrong"}, dataset, root=root)
    refused.token_file.write_text("wrong")
    outcome = refused.run("--attempts", "1", "--retry-wait", "0.01")
    assert (outcome.code, outcome.result["reason"]) == (4, "TokenRefused"), outcome.log
    nowhere = ["--destination", "postgres"]
    dsn = {"MAKINI_SYNC_POSTGRES_DSN": "postgresql://sync:canary@127.0.0.1:1/none"}
    outcome = Pod(tmp_path, fake.url, nowhere, dsn, dataset, root=root).run()
    assert (outcome.code, outcome.result["reason"]) == (5, "DestinationFailed"), outcome.log
    assert "refused" in outcome.result["message"]
    assert "canary" not in outcome.log + str(outcome.result)


@pytest.mark.parametrize("kind", ["postgres", "files", "duckdb"], indirect=True)
def test_the_sandboxs_records_arrive(root: Path, destination: Destination, tmp_path: Path, dataset: str) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.start()
    try:
        body = {"name": "Acme", "email": "it@acme.example", "provider": "sap-ecc", "credentials": {"login": "l"}}
        status, made = sandbox.call("POST", "/api/system/connections", body=body)
        assert status < 300, made
        (connection,) = sandbox.connections()
        pod = Pod(tmp_path, sandbox.url, destination.options, destination.environment, dataset, root=root)
        token = (made.get("data") or made)["access_token"]
        pod.token_file.write_text(token)
        entities = (ORDERS, "erp/vendors", "eam/assets")
        outcome = pod.run("--page-size", "100", entities=entities, connection=connection["key"])
        assert outcome.code == 0, outcome.log
        for entity in entities:
            page = sandbox.call("GET", f"/api/{entity}?per_page=1000", token=token)[1]
            assert page["meta"]["total"] == len(page["data"]) > 0
            rows = alive(destination, entity.replace("/", "_").replace("-", "_"))
            assert sorted(rows) == sorted(record["key"] for record in page["data"])
    finally:
        sandbox.stop()
