"""Delta tables on S3, against moto: rows, state, and a lock that outlives a killed run for a while only."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from deltalake import DeltaTable
from tests.harness.moto import moto_running
from tests.sync.fakemakini import FakeMakini, order
from tests.sync.program import ORDERS, Program
from tests.sync.reading import ORDERS as TABLE
from tests.sync.reading import Row, compare, gone

from makini_operator.sync.destinations.bucketlock import BucketLock
from makini_operator.sync.destinations.files import Files as DeltaFiles
from makini_operator.sync.destinations.objects import Bucket
from makini_operator.sync.errors import Locked, LockLost

BUCKET = "history"
SECRET = "canary-secret-key-of-s3"  # noqa: S105 - of a test


@dataclass
class S3:
    """A bucket of moto's, and a destination in it as its readers see it."""

    url: str
    dataset: str
    options: list[str] = field(
        default_factory=lambda: ["--destination", "files", "--files-url", f"s3://{BUCKET}/some/place"]
    )

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip

    @property
    def client(self) -> Any:
        session = botocore.session.get_session()
        return session.create_client(
            "s3", region_name="us-east-1", endpoint_url=self.url, aws_access_key_id="key", aws_secret_access_key=SECRET
        )

    def rows(self, table: str) -> list[Row]:
        options = self.environment | {"AWS_ALLOW_HTTP": "true"}
        url = f"s3://{BUCKET}/some/place/{self.dataset}/{table}"
        return DeltaTable(url, storage_options=options).to_pyarrow_table().to_pylist()

    def state(self) -> dict[str, Any]:
        folder = f"some/place/{self.dataset}.state/"
        names = [each["Key"] for each in self.client.list_objects_v2(Bucket=BUCKET, Prefix=folder)["Contents"]]
        texts = [self.client.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names]
        return {state.pop("entity"): state for state in map(json.loads, texts)}


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto_running() as url:
        yield url


@pytest.fixture
def s3(moto_url: str, dataset: str) -> S3:
    made = S3(moto_url, dataset)
    made.client.create_bucket(Bucket=BUCKET)
    return made


def test_a_sync_into_a_bucket(fake: FakeMakini, s3: S3, tmp_path: Path) -> None:
    program = Program(tmp_path, fake.url, s3.options, s3.environment, s3.dataset)
    fake.put(ORDERS, *[order(i) for i in range(25)])
    first = program.run()
    assert first.code == 0, first.log
    compare(fake, s3)
    fake.put(ORDERS, order(3, changed=100, lines=1))
    del fake.records[ORDERS]["po-7"]
    second = program.run("--full")
    assert (second.code, second.entity()["loaded"], second.entity()["gone"]) == (0, 1, 1), second.log
    compare(fake, s3)
    assert gone(s3, TABLE) == {"po-7"}
    third = program.run()
    assert (third.code, third.entity()["loaded"]) == (0, 0)
    assert s3.state()[ORDERS]["cursor"] == third.entity()["cursor"]
    assert "loading" not in s3.state()[ORDERS]
    assert SECRET not in first.log + second.log + third.log
    assert program.history("purge", "--confirm", s3.dataset).returncode == 0
    left = s3.client.list_objects_v2(Bucket=BUCKET, Prefix=f"some/place/{s3.dataset}").get("Contents", [])
    assert [item["Key"] for item in left] == [f"some/place/{s3.dataset}.lock"]


def test_objects_that_only_begin_with_a_datasets_name_are_neither_purged_nor_loaded_beside(
    s3: S3, tmp_path: Path
) -> None:
    names = {f"some/place/{s3.dataset}/2026/a.log", f"some/place/{s3.dataset}_staging/z"}
    for name in names:
        s3.client.put_object(Bucket=BUCKET, Key=name, Body=b"mine")
    program = Program(tmp_path, "http://127.0.0.1:1", s3.options, s3.environment, s3.dataset)
    for asked in ([], ["--confirm", s3.dataset]):
        refused = program.history("purge", *asked)
        assert refused.returncode == 2, refused.stdout
        assert "is not a dataset of ours" in refused.stderr
    sync = program.run()
    assert (sync.code, sync.result["reason"]) == (2, "BadSettings"), sync.log
    assert "holds files that are not a dataset of ours: choose another folder" in sync.result["message"]
    left = s3.client.list_objects_v2(Bucket=BUCKET, Prefix=f"some/place/{s3.dataset}")["Contents"]
    assert {item["Key"] for item in left} == names | {f"some/place/{s3.dataset}.lock"}  # of the sync


def test_a_bucket_that_is_not_there_fails_the_run(fake: FakeMakini, s3: S3, tmp_path: Path) -> None:
    options = ["--destination", "files", "--files-url", "s3://there-is-none"]
    outcome = Program(tmp_path, fake.url, options, s3.environment, s3.dataset).run()
    assert (outcome.code, outcome.result["reason"]) == (5, "DestinationFailed")


@pytest.mark.parametrize("endpoint", ["canary-endpoint", "http://u:canary-endpoint@[bad", "ftp//canary-endpoint"])
def test_an_endpoint_that_is_no_url_is_said_and_not_repeated(tmp_path: Path, endpoint: str) -> None:
    options = ["--destination", "files", "--files-url", "s3://bucket"]
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": endpoint}
    outcome = Program(tmp_path, "http://127.0.0.1:1", options, keys).run()
    assert (outcome.code, outcome.result["reason"]) == (2, "BadSettings")
    assert "AWS_ENDPOINT_URL must be a URL" in outcome.result["message"]
    assert "canary" not in outcome.log + str(outcome.result)


def test_what_nobody_foresaw_ends_in_a_result_that_repeats_no_value(tmp_path: Path) -> None:
    options = ["--destination", "files", "--files-url", "s3://bucket"]
    profile = {"AWS_PROFILE": "canary-profile", "AWS_CONFIG_FILE": str(tmp_path / "none")}
    outcome = Program(tmp_path, "http://127.0.0.1:1", options, profile).run()
    assert (outcome.code, outcome.result["reason"]) == (1, "Failed")
    assert "unexpected ProfileNotFound with these settings" in outcome.result["message"]
    assert "canary" not in outcome.log + str(outcome.result)


TOKEN = "canary-session-token-of-s3"  # noqa: S105 - of a test
EXPIRED = f"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message><Token-0>{TOKEN}</Token-0></Error>"""
LISTED = """<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<IsTruncated>false</IsTruncated><Contents><Key>acme/erp_uom/_delta_log/0.json</Key></Contents></ListBucketResult>"""


class Expired(BaseHTTPRequestHandler):
    """A bucket with a dataset in it, whose keys end before the Delta library comes."""

    def do_GET(self) -> None:
        if "Botocore" not in self.headers["User-Agent"]:
            return self.answer(400, EXPIRED)
        if "list-type" in self.path:
            return self.answer(200, LISTED)
        return self.answer(200, "{}") if self.path.endswith("/_dataset.json") else self.answer(404, "")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, "")

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_an_error_of_the_delta_library_is_one_line_with_its_cause_and_without_secrets(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Expired)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    environment = {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_REGION": "us-east-1",
    }  # fmt: skip
    options = ["--destination", "files", "--files-url", "s3://bucket"]
    failed = Program(tmp_path, "http://127.0.0.1:1", options, environment, "acme").history("show")
    server.shutdown()
    server.server_close()
    thread.join()
    assert failed.returncode == 5
    assert failed.stderr.startswith("makini-operator: Delta: OSError: ")
    assert "ExpiredToken: The provided token has expired." in failed.stderr
    assert (failed.stderr.count("\n"), "\x1b" in failed.stderr, "canary" in failed.stderr) == (1, False, False)


ROLE = """#!{python}
import datetime, json, pathlib
count = pathlib.Path("{count}")
number = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(number))
ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
print(json.dumps({{"Version": 1, "AccessKeyId": f"key-{{number}}", "SecretAccessKey": f"secret-{{number}}",
                   "SessionToken": f"token-{{number}}", "Expiration": ends.isoformat()}}))
"""


def role(tmp_path: Path) -> dict[str, str]:
    """Keys that are about to end, so that botocore asks a program for new ones whenever they are needed."""
    program, config = tmp_path / "keys", tmp_path / "config"
    program.write_text(ROLE.format(python=sys.executable, count=tmp_path / "count"))
    program.chmod(0o755)
    config.write_text(f"[default]\ncredential_process = {program}\n")
    return {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}


def test_each_load_and_query_has_the_keys_of_its_time(
    s3: S3, tmp_path: Path, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_ENDPOINT_URL": s3.url, "AWS_REGION": "us-east-1", **role(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    files = DeltaFiles(f"s3://{BUCKET}/some/place", dataset)

    def number() -> int:
        given = files.loading().destination.config_params
        ours, theirs = given["deltalake_storage_options"]["AWS_ACCESS_KEY_ID"], given["credentials"].aws_access_key_id
        assert {ours[:4], theirs[:4]} == {"key-"}
        return min(int(ours[4:]), int(theirs[4:]))

    first = number()
    assert list(files.known("none", by="_makini_key")) == []
    assert number() > first + 1, "the query between had no keys of its own"
    assert {f"secret-{first}", f"token-{first}"} <= set(files.secrets)


def test_a_sync_with_keys_of_a_role(fake: FakeMakini, s3: S3, tmp_path: Path) -> None:
    environment = {"AWS_ENDPOINT_URL": s3.url, "AWS_REGION": "us-east-1", **role(tmp_path)}
    fake.put(ORDERS, *[order(i) for i in range(25)])
    outcome = Program(tmp_path, fake.url, s3.options, environment, s3.dataset).run()
    assert outcome.code == 0, outcome.log
    compare(fake, s3)
    assert "secret-" not in outcome.log + str(outcome.result)


def lock(s3: S3, **how: float) -> BucketLock:
    bucket = Bucket(client=s3.client, bucket=BUCKET, prefix="")
    return BucketLock(bucket, f"{s3.dataset}.lock", s3.dataset, **how)


def test_a_lock_that_is_renewed_turns_others_away(s3: S3) -> None:
    held, other = (lock(s3, renew_every=0.1, take_over_after=5) for _ in range(2))
    with held.held(), pytest.raises(Locked), other.held():
        pass


def test_a_lock_is_free_after_its_run(s3: S3) -> None:
    for _ in range(2):
        with lock(s3).held():
            pass


def test_a_lock_of_a_dead_run_is_taken_over_and_the_dead_one_finds_out(s3: S3) -> None:
    paused = lock(s3, renew_every=3600)
    with paused.held(), lock(s3, renew_every=0.2, take_over_after=0.5).held(), pytest.raises(LockLost):
        paused.check()
