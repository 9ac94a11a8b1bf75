"""Syncs where they run: rows as the source has them, in PostgreSQL and on a volume, whatever becomes of the connection.

One connection lives through it all: it is synced when somebody asks, disconnected in the middle of a slow run, opened
again and synced by its schedule, and deleted. Each of these is a fixture that builds on the one before and remembers
what was to be seen; the tests look at that. On a cluster that is not ours, whose pods may have no way to this computer,
the tests of PostgreSQL are skipped unless MAKINI_NODE_HOST_ADDRESS says which way.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from tests import images
from tests.localkube.waiting import wait_until
from tests.node import syncs
from tests.node.existing import HOST_ADDRESS
from tests.node.pods import Cluster, Manifest
from tests.node.syncs import DESTINATIONS, ENTITY, REACHED, SCALE, Moment, Scene, declared, end, has_ended
from tests.node.tenants import GONE_SECONDS
from tests.sync import postgres
from tests.sync.fakemakini import FakeMakini
from tests.sync.reading import ORDERS, compare
from tests.tools.helm import Helm

SLOW_SECONDS = 6.0
"""What a page takes while Makini is slow: longer than a run is silent, so that it speaks of the first of six pages."""
LOOK = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/1/status"))
writable = [folder for folder, _, _ in os.walk("/") if os.access(folder, os.W_OK)]
account = os.path.exists("/var/run/secrets/kubernetes.io")
print(json.dumps({"status": status, "writable": writable, "account": account}))
"""


# --- the connection's life ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene(node: Cluster, helm: Helm, sync_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    assert sync_image == images.SYNC
    with syncs.opened(node, helm, tmp_path_factory.mktemp("sandbox")) as made:
        yield made


@pytest.fixture(scope="module")
def synced(scene: Scene) -> Moment:
    """Connected, and synced because somebody asked for it."""
    scene.tenant.connect(syncs=declared("0 0 1 1 *"))
    scene.ask("sync")
    pods = scene.until_all(has_ended)
    wait_until(lambda: [told.get("lastResult") for told in scene.told()].count("Succeeded") == len(DESTINATIONS), 30)
    return scene.moment(pods)


@dataclass(frozen=True, kw_only=True)
class Interrupted(Moment):
    """The same after a disconnect in the middle of a run: how long its pods stayed, and what one saw of itself."""

    seconds: float = 0
    look: Manifest = field(default_factory=dict)
    left: list[Manifest] = field(default_factory=list)


@pytest.fixture(scope="module")
def interrupted(scene: Scene, synced: Moment) -> Interrupted:
    """Some records change, everything is to be read again, Makini is slow, and the connection ends meanwhile."""
    first, second, third, *_ = sorted(synced.source)
    changes = [
        {"kind": "change", "entity": "purchase-orders", "keys": [first, second]},
        {"kind": "vanish", "entity": "purchase-orders", "keys": [third]},
    ]
    assert scene.sandbox.call("POST", "/sandbox/changes", body=changes)[0] == 200
    scene.sandbox.fault({"kind": "latency", "path": "purchase-orders$", "seconds": SLOW_SECONDS, "times": -1})
    scene.ask("full-sync")
    pods = scene.until_all(lambda pod: re.search(r"page [1-5] of 6\b", scene.logs(pod)), after=synced.pods)
    logs = "".join(scene.logs(pod) for pod in pods)
    found = json.loads(scene.tenant.pods.python(pods[0]["metadata"]["name"], LOOK))
    phases = [pod["status"]["phase"] for pod in scene.tenant.runs()]
    assert phases.count("Running") == len(DESTINATIONS), scene.seen()
    seconds = scene.tenant.seconds_until_gone()
    left = scene.tenant.items("cronjobs,jobs,pods", "-l", "makini.io/connection=acme")
    history = scene.history()
    scene.tenant.pods.kubectl("wait", "mconn", "acme", "--for=jsonpath={.status.phase}=Disconnected", "--timeout=60s")
    status = scene.tenant.status()
    return Interrupted(history=history, status=status, pods=pods, logs=logs, seconds=seconds, look=found, left=left)


@pytest.fixture(scope="module")
def continued(scene: Scene, interrupted: Interrupted) -> Moment:
    """Makini is itself again, the connection is opened again, and its schedule comes."""
    assert interrupted.history
    scene.sandbox.heal()
    due = datetime.now(UTC) - timedelta(minutes=1)
    scene.tenant.patch(connected=True, syncs=declared(f"{due.minute} {due.hour} * * *"))
    scene.tenant.until_ready()
    wait_until(lambda: len(scene.tenant.items("cronjobs")) == len(DESTINATIONS), 30, scene.seen)
    scene.tenant.fire()
    return scene.moment(scene.until_all(has_ended))


@pytest.fixture(scope="module")
def deleted(scene: Scene, continued: Moment) -> Moment:
    """The resource is gone."""
    assert continued.history
    scene.tenant.pods.kubectl("delete", "mconn", "acme", "--timeout=60s")
    return Moment(history=scene.history())


# --- what is to be seen ---------------------------------------------------------------------------------------------

_UNREACHED = pytest.mark.skipif(not REACHED, reason=f"{HOST_ADDRESS} is not set: nothing was seen of PostgreSQL")
both = pytest.mark.parametrize("destination", ["duckdb", pytest.param("postgres", marks=_UNREACHED)])


@both
def test_a_run_that_was_asked_for_loads_what_makini_serves(synced: Moment, destination: str) -> None:
    assert len(synced.source) == SCALE
    compare(FakeMakini({ENTITY: synced.source}), synced.history[destination])
    (told,) = (each for each in synced.status["syncs"] if each["name"] == destination)
    assert (told["lastResult"], told["message"]) == ("Succeeded", f"{SCALE} records read, {SCALE} written")
    assert told["lastSuccess"] == told["lastFinished"]


def test_a_pod_of_a_sync_has_no_privilege(interrupted: Interrupted) -> None:
    for pod in interrupted.pods:
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert not any("projected" in volume for volume in pod["spec"]["volumes"])
    seen = interrupted.look
    status = {key: value.split() for key, value in seen["status"].items()}
    assert (status["Uid"], status["Gid"]) == (["65532"] * 4, ["65532"] * 4)
    assert {int(value[0], 16) for key, value in status.items() if key.startswith("Cap")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == (["1"], ["2"])
    assert seen["account"] is False
    tops = {"/".join(folder.split("/")[:2]) for folder in seen["writable"]}
    assert tops - {"/proc", "/dev", "/sys"} <= {"/work", "/history"}


def test_nothing_tells_the_token_or_the_password(synced: Moment, interrupted: Interrupted) -> None:
    ends = [end(pod)["message"] for pod in synced.pods]
    assert all('"Succeeded"' in text for text in ends)
    assert synced.logs
    assert "page " in interrupted.logs
    told = "".join([*ends, synced.logs, interrupted.logs, json.dumps([synced.pods, synced.jobs, synced.status])])
    assert synced.token
    assert not [text for text in (synced.token, postgres.PASSWORD) if text in told]


def test_a_disconnect_ends_slow_runs_within_five_seconds(
    interrupted: Interrupted, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\nthe pods of two syncs were gone {interrupted.seconds:.1f} s after the disconnect")  # noqa: T201
    assert interrupted.seconds < GONE_SECONDS
    assert interrupted.left == []


@both
def test_after_the_disconnect_rows_and_results_are_what_they_were(
    synced: Moment, interrupted: Interrupted, destination: str
) -> None:
    assert interrupted.history[destination] == synced.history[destination]
    assert interrupted.status["syncs"] == synced.status["syncs"]


@both
def test_opened_again_the_schedule_continues_without_a_row_twice(
    synced: Moment, continued: Moment, destination: str
) -> None:
    compare(FakeMakini({ENTITY: continued.source}), continued.history[destination])
    old, new = synced.status["connectionID"], continued.status["connectionID"]
    assert old != new
    changed = {key for key, record in continued.source.items() if record != synced.source[key]}
    assert len(changed) == 2
    orders = continued.history[destination].rows(ORDERS)
    assert len(orders) == SCALE, "the one that is gone stays"
    (vanished,) = (row for row in orders if row["_makini_gone_at"])
    assert vanished["_makini_key"] in set(synced.source) - set(continued.source)
    by = {row["_makini_key"]: row["_makini_connection_id"] for row in orders if not row["_makini_gone_at"]}
    assert by == {key: new if key in changed else old for key in continued.source}
    assert all(
        "batch.kubernetes.io/cronjob-scheduled-timestamp" in job["metadata"]["annotations"] for job in continued.jobs
    )
    (pod,) = (pod for pod in continued.pods if pod["metadata"]["labels"]["makini.io/sync"] == destination)
    (entity,) = json.loads(end(pod)["message"])["entities"]
    assert (entity["loaded"], entity["gone"], entity["compared"]) == (2, 1, True)


@both
def test_deletion_leaves_rows_and_volume(continued: Moment, deleted: Moment, scene: Scene, destination: str) -> None:
    assert deleted.history[destination] == continued.history[destination]
    assert scene.tenant.pods.get("pvc", "history")["status"]["phase"] == "Bound"
    assert scene.tenant.items("cronjobs,jobs") == []


@both
def test_the_documented_job_purges_them_when_somebody_says_so(deleted: Moment, scene: Scene, destination: str) -> None:
    assert deleted.history[destination].rows(ORDERS)
    done = scene.purge(destination)
    assert f"{SCALE}" in done
    assert scene.is_empty(destination)
