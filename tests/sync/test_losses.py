"""The losses that dlt, used as one uses it, reports as success, and the same with the sync program.

Each test first shows the loss, so that nobody takes the guard away because "dlt does that": when an upgrade of dlt
mends one of them, its test says so.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.sync.fakemakini import TOKEN, Answer, FakeMakini, Hit, order, serving
from tests.sync.program import ORDERS, Program
from tests.sync.reading import ORDERS as TABLE
from tests.sync.reading import Destination, alive, compare

COUNT = 45
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.parametrize("kind", ["duckdb"], indirect=True)


def plain(fake: FakeMakini, folder: Path, paging: str) -> dict[str, Any]:
    """Run dlt alone; return what it has loaded so far, title by key. Fails the test if dlt reports a failure."""
    folder.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "DLT_DATA_DIR": str(folder), "DLT_PROJECT_DIR": str(folder),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}", "RUNTIME__DLTHUB_TELEMETRY": "false",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.sync.plain", fake.url, str(folder / "history.duckdb"), paging]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"dlt alone fails here, as it should: {done.stderr[-2000:]}"
    return dict(json.loads(done.stdout.splitlines()[-1]))


def without_envelope(hit: Hit) -> Answer | None:
    return (200, {}, b'{"message": "ok"}') if hit.page == 3 else None


def empty_with_meta(hit: Hit) -> Answer | None:
    if hit.page == 3:
        hit.envelope["data"] = []
    return None


@pytest.mark.parametrize(
    ("paging", "fault"),
    [("numbers", without_envelope), ("numbers-on-empty", empty_with_meta), ("links", without_envelope)],
    ids=["page-without-envelope", "empty-page-with-meta", "links-without-envelope"],
)
def test_a_page_that_is_no_page(  # noqa: PLR0917 - fixtures
    paging: str, fault: Any, fake: FakeMakini, program: Program, destination: Destination, tmp_path: Path
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(COUNT)])
    fake.fault = fault
    assert len(plain(fake, tmp_path / "plain", paging)) < COUNT  # lost, and reported as success
    guarded = program.run("--attempts", "2")
    assert (guarded.code, guarded.result["reason"]) == (1, "NotWhole")
    assert ORDERS not in destination.state()
    fake.fault = None
    assert program.run().code == 0
    compare(fake, destination)


def test_records_that_change_while_the_oldest_come_first(
    fake: FakeMakini, program: Program, destination: Destination, tmp_path: Path
) -> None:
    def touch(hit: Hit) -> Answer | None:
        """After the second page, records of the first ones change: everything behind them moves up."""
        answer = (200, {}, json.dumps(hit.envelope).encode())
        if hit.page == 2 and len(fake.hits) <= 2:
            fake.put(ORDERS, *[order(i, changed=1000 + i, title="changed") for i in range(5)])
        return answer

    fake.put(ORDERS, *[order(i) for i in range(COUNT)])
    fake.fault = touch
    plain(fake, tmp_path / "plain", "numbers")
    fake.fault = None
    assert len(plain(fake, tmp_path / "plain", "numbers")) < COUNT  # also after a second run: lost for good

    fake.records.clear()
    fake.hits.clear()
    fake.put(ORDERS, *[order(i) for i in range(COUNT)])
    fake.fault = touch
    assert program.run().code == 0
    compare(fake, destination)


def test_a_record_that_slips_by_while_one_leaves_and_one_comes_in_behind(
    fake: FakeMakini, program: Program, destination: Destination, tmp_path: Path
) -> None:
    def slip(hit: Hit) -> Answer | None:
        """After the second page the total stands still, and every place between moves by one."""
        answer = (200, {}, json.dumps(hit.envelope).encode())
        if hit.page == 2 and len(fake.hits) <= 2:
            is_oldest_first = hit.query["sort[updatedAt]"] == "0"
            fake.records[ORDERS].pop("po-0" if is_oldest_first else f"po-{COUNT - 1}")
            fake.put(ORDERS, order(99, changed=1000 if is_oldest_first else -5))
        return answer

    fake.put(ORDERS, *[order(i) for i in range(COUNT)])
    fake.fault = slip
    plain(fake, tmp_path / "plain", "numbers")
    fake.fault = None
    assert set(fake.records[ORDERS]) - set(plain(fake, tmp_path / "plain", "numbers")) == {"po-20"}  # lost for good

    fake.records.clear()
    fake.hits.clear()
    fake.put(ORDERS, *[order(i) for i in range(COUNT)])
    fake.fault = slip
    assert program.run().code == 0
    assert set(fake.records[ORDERS]) <= set(alive(destination, TABLE))


def test_the_token_on_its_way_to_another_origin(fake: FakeMakini, program: Program, tmp_path: Path) -> None:
    fake.put(ORDERS, *[order(i) for i in range(COUNT)])
    with serving(FakeMakini(records=fake.records)) as other:
        fake.links_to = other.url
        plain(fake, tmp_path / "plain", "links")
        assert TOKEN in {hit.token for hit in other.hits}  # dlt alone sends it along
        other.hits.clear()
        assert program.run().code == 0
        assert other.hits == []


@pytest.mark.usefixtures("kind")
def test_a_merge_into_plain_files_appends(tmp_path: Path) -> None:
    """Why files are Delta tables only."""
    script = (
        "import dlt, sys\n"
        "p = dlt.pipeline('p', destination=dlt.destinations.filesystem(sys.argv[1]), dataset_name='d')\n"
        "for _ in range(2):\n"
        "    r = dlt.resource([{'key': 1}], name='t', primary_key='key', write_disposition='merge')\n"
        "    p.run(r, loader_file_format='parquet').raise_on_failed_jobs()\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DLT_DATA_DIR": str(tmp_path)}
    environment["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    subprocess.run(
        [sys.executable, "-c", script, tmp_path.as_uri()],
        env=environment,
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert len(list((tmp_path / "d" / "t").glob("*.parquet"))) == 2
