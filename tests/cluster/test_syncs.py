"""Syncs on the real API server: CronJobs, runs that are asked for, how they ended in the status, and their end.

There is no node here, so a test says what the kubelet would say of a pod. Pods that really run: tests/node.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cluster.fixtures_operator import STARTED_WITH, Manifest, World, condition
from tests.harness import Rig

SYNC: Manifest = {
    "name": "orders",
    "schedule": "0 0 1 1 *",
    "entities": ["erp/purchase-orders"],
    "destination": {"duckdb": {"volumeClaimName": "history"}},
}
ARGUMENTS = (*STARTED_WITH, "--sync-image", "makini-sync:1")
"""Of the operator in these tests."""


@pytest.fixture
def rig(operator_of_the_file: Rig) -> Rig:
    """The rig with an operator that runs syncs."""
    if not operator_of_the_file.runs_with(*ARGUMENTS):
        operator_of_the_file.start_operator(*ARGUMENTS)
    return operator_of_the_file


def listed(world: World, kinds: str) -> list[Manifest]:
    found = world.rig.get(kinds, "-n", world.namespace, "-l", "makini.io/connection=acme")["items"]
    return [obj for obj in found if "deletionTimestamp" not in obj["metadata"]]


def connected(world: World, *syncs: Manifest, **spec: Any) -> None:
    world.make_pool()
    world.apply(world.connection("acme", syncs=list(syncs or (SYNC,)), **spec))
    world.until_ready("acme")
    world.until(lambda: len(listed(world, "cronjobs")) == len(syncs or (SYNC,)))


def ask(world: World, what: str = "sync", at: datetime | None = None) -> str:
    """Set a request annotation to now (or `at`); returns its value."""
    value = (at or datetime.now(UTC)).isoformat()
    annotation = f"makini.io/{what}-requested-at={value}"
    world.kubectl("annotate", "mconn", "acme", "-n", world.namespace, "--overwrite", annotation)
    return value


def pod_of(world: World, job: Manifest) -> Manifest:
    selector = f"batch.kubernetes.io/job-name={job['metadata']['name']}"
    (pod,) = world.until(lambda: world.rig.get("pods", "-n", world.namespace, "-l", selector)["items"])
    return pod


def new_run(world: World, what: str = "sync") -> Manifest:
    """Ask for a run, and return its Job."""
    before = {job["metadata"]["uid"] for job in listed(world, "jobs")}
    ask(world, what)

    def started() -> list[Manifest]:
        return [job for job in listed(world, "jobs") if job["metadata"]["uid"] not in before]

    (job,) = world.until(started)
    return job


def end(world: World, job: Manifest, *, code: int, message: str = "") -> None:
    """The run's pod ends."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    terminated = {
        "exitCode": code,
        "reason": "Error" if code else "Completed",
        "message": message,
        "startedAt": now,
        "finishedAt": now,
        "containerID": "containerd://1",
    }
    report(world, job, "Failed" if code else "Succeeded", {"terminated": terminated})


def report(world: World, job: Manifest, phase: str, state: Manifest) -> None:
    """Say what a kubelet would say of the run's pod."""
    container = {"name": "sync", "image": "i", "imageID": "i", "ready": False, "restartCount": 0}
    status = {"phase": phase, "containerStatuses": [container | {"state": state}]}
    name = pod_of(world, job)["metadata"]["name"]
    patch = json.dumps({"status": status})
    world.kubectl("patch", "pod", name, "-n", world.namespace, "--subresource=status", "--type=merge", "-p", patch)


def result(reason: str = "", message: str = "", **counts: int) -> str:
    found = {"result": "Failed" if reason else "Succeeded", "reason": reason, "message": message}
    return json.dumps(found | {"entities": [{"entity": "erp/purchase-orders"} | counts]})


def told(world: World) -> Manifest:
    (only,) = world.get("acme")["status"].get("syncs") or [{}]
    return only


def until_told(world: World, outcome: str) -> Manifest:
    return world.until(lambda: found if (found := told(world)).get("lastResult") == outcome else None)


# --- CronJobs -------------------------------------------------------------------------------------------------------


def test_syncs_become_cron_jobs_that_follow_the_spec(world: World) -> None:
    connected(world, SYNC, SYNC | {"name": "vendors", "suspend": True, "timeZone": "Europe/Berlin"})
    found = {cron["metadata"]["labels"]["makini.io/sync"]: cron for cron in listed(world, "cronjobs")}
    assert [found[name]["spec"]["suspend"] for name in ("orders", "vendors")] == [False, True]
    assert found["vendors"]["spec"]["timeZone"] == "Europe/Berlin"
    pod = found["orders"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert (pod["containers"][0]["image"], pod["automountServiceAccountToken"]) == ("makini-sync:1", False)
    assert told_names(world) == [(name, found[name]["metadata"]["name"]) for name in ("orders", "vendors")]
    world.patch("acme", {"syncs": [SYNC | {"window": "all"}]})
    world.until(lambda: [("--window=all" in arguments(cron)) for cron in listed(world, "cronjobs")] == [True])
    world.patch("acme", {"suspend": True})
    world.until(lambda: [cron["spec"]["suspend"] for cron in listed(world, "cronjobs")] == [True])
    world.patch("acme", {"syncs": None, "suspend": False})
    world.until(lambda: listed(world, "cronjobs") == [])
    world.until(lambda: "syncs" not in world.get("acme")["status"])


@pytest.mark.parametrize("given", [{"requests": {"memory": "1Gi"}}, {"limits": {"memory": "128Mi", "cpu": "50m"}}])
def test_kubernetes_takes_a_sync_that_says_only_one_side_of_its_resources(world: World, given: Manifest) -> None:
    connected(world, SYNC | {"resources": given})
    (cron,) = listed(world, "cronjobs")
    (container,) = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    for side, amounts in given.items():
        assert amounts.items() <= container["resources"][side].items()


def told_names(world: World) -> list[tuple[str, str]]:
    return [(each["name"], each["cronJob"]) for each in world.get("acme")["status"]["syncs"]]


def arguments(cron: Manifest) -> list[str]:
    found: list[str] = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def test_an_operator_without_an_image_says_so_before_it_costs_anything(world: World) -> None:
    world.rig.start_operator(*STARTED_WITH)
    world.make_pool()
    world.apply(world.connection("acme", syncs=[SYNC]))
    refused = world.until_reason("acme", "SyncRefused")
    assert "--sync-image" in condition(refused, "Ready")["message"]
    assert "credits" not in refused["status"]
    world.rig.start_operator(*ARGUMENTS)
    world.until_ready("acme")
    world.until(lambda: listed(world, "cronjobs"))


def test_an_operator_whose_image_is_taken_away_lets_no_sync_run(world: World) -> None:
    connected(world)
    pod_of(world, new_run(world))
    world.rig.start_operator(*STARTED_WITH)
    world.until_reason("acme", "SyncRefused")
    for kind in ("cronjobs", "jobs", "pods"):
        world.until(lambda kind=kind: listed(world, kind) == [])
    assert "credits" in world.get("acme")["status"]
    world.rig.start_operator(*ARGUMENTS)
    world.until_ready("acme")
    world.until(lambda: listed(world, "cronjobs"))


def test_a_time_zone_that_kubernetes_does_not_know_is_said_before_it_costs_anything(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("acme", syncs=[SYNC | {"timeZone": "Mars/Olympus"}]))
    refused = world.until_reason("acme", "SyncRefused")
    assert "sync orders is refused by Kubernetes" in condition(refused, "Ready")["message"]
    assert "credits" not in refused["status"]


# --- runs and their results -----------------------------------------------------------------------------------------


def test_a_run_that_is_asked_for_is_started_once_and_its_result_is_told(world: World) -> None:
    connected(world)
    assert condition(world.get("acme"), "SyncsHealthy")["reason"] == "SyncPending"
    job = new_run(world)
    asked = world.until(lambda: world.get("acme")["status"].get("handled", {}).get("syncAt"))
    assert asked == world.get("acme")["metadata"]["annotations"]["makini.io/sync-requested-at"]
    assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    end(world, job, code=0, message=result(read=95, loaded=3))
    found = until_told(world, "Succeeded")
    assert found["message"] == "95 records read, 3 written"
    assert found["lastSuccess"] == found["lastFinished"]
    assert condition(world.get("acme"), "SyncsHealthy")["status"] == "True"
    assert len(listed(world, "jobs")) == 1


def test_a_full_run_reads_everything(world: World) -> None:
    connected(world)
    job = new_run(world, "full-sync")
    assert "--full" in job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--full" not in arguments(listed(world, "cronjobs")[0])
    world.until(lambda: world.get("acme")["status"].get("handled", {}).get("fullSyncAt"))


def test_requests_are_done_one_after_another_also_when_they_have_the_same_value(world: World) -> None:
    connected(world)
    at = datetime.now(UTC)
    for what in ("sync", "full-sync"):
        ask(world, what, at=at)
    (first,) = world.until(lambda: listed(world, "jobs"))
    pod_of(world, first)
    handled = world.get("acme")["status"].get("handled", {})
    assert not {"syncAt", "fullSyncAt"} <= set(handled)
    end(world, first, code=0, message=result(read=1))
    jobs = world.until(lambda: found if len(found := listed(world, "jobs")) == 2 else None)
    switches = ["--full" in job["spec"]["template"]["spec"]["containers"][0]["args"] for job in jobs]
    assert sorted(switches) == [False, True]
    handled = world.until(lambda: found if len(found := world.get("acme")["status"]["handled"]) == 2 else None)
    assert handled == {"syncAt": at.isoformat(), "fullSyncAt": at.isoformat()}


def test_a_run_that_has_not_ended_keeps_any_number_of_requests_back(world: World) -> None:
    connected(world)
    first = new_run(world)
    for _ in range(3):
        last = ask(world)
    world.patch("acme", {"metadata": {"plan": "gold"}})
    world.until_ready("acme")
    assert [job["metadata"]["uid"] for job in listed(world, "jobs")] == [first["metadata"]["uid"]]
    end(world, first, code=0, message=result(read=1))
    world.until(lambda: world.get("acme")["status"]["handled"]["syncAt"] == last)
    assert len(listed(world, "jobs")) == 2


def test_an_old_request_starts_nothing(world: World) -> None:
    connected(world)
    ask(world, at=datetime.now(UTC) - timedelta(days=1))
    ask(world, "full-sync", at=datetime.now(UTC) - timedelta(days=1))
    world.apply(world.connection("acme", syncs=[SYNC], metadata={"plan": "gold"}))
    world.until_ready("acme")
    assert listed(world, "jobs") == []


def test_a_failure_is_told_in_its_own_words_and_degrades_only_if_that_is_asked(world: World) -> None:
    connected(world)
    end(world, new_run(world), code=2, message=result("BadSettings", "expected --files-url"))
    failed = until_told(world, "Failed")
    assert failed["message"] == "BadSettings: expected --files-url"
    assert "lastSuccess" not in failed
    acme = world.get("acme")
    assert condition(acme, "SyncsHealthy")["reason"] == "SyncFailed"
    assert "it has never succeeded" in condition(acme, "SyncsHealthy")["message"]
    assert condition(acme, "Ready")["status"] == "True"
    assert ("SyncFailed", condition(acme, "SyncsHealthy")["message"]) in world.events("acme")
    world.patch("acme", {"healthPolicy": {"syncFailures": "Degrade"}})
    degraded = world.until_reason("acme", "SyncFailed")
    assert condition(degraded, "Stalled")["status"] == "True"
    end(world, new_run(world), code=0, message=result())
    world.until_ready("acme")
    assert "SyncSucceeded" in [reason for reason, _ in world.events("acme")]


def test_a_result_that_stays_the_same_is_not_written_again_nor_after_a_restart(world: World) -> None:
    connected(world)
    end(world, new_run(world), code=0, message=result(read=1))
    until_told(world, "Succeeded")
    job = new_run(world)
    world.until(lambda: world.get("acme")["status"]["handled"]["syncAt"] == asked_at(world))
    version = world.get("acme")["metadata"]["resourceVersion"]
    end(world, job, code=0, message=result(read=2))
    world.until(lambda: is_complete(world, job))
    world.rig.operator.kill()
    world.rig.start_operator(*ARGUMENTS)
    before = world.sandbox.requests().get("GET /api/system/connections", 0)
    world.until(lambda: world.sandbox.requests().get("GET /api/system/connections", 0) >= before + 3)
    assert world.get("acme")["metadata"]["resourceVersion"] == version
    assert told(world)["message"] == "1 records read, 0 written"


def asked_at(world: World) -> str:
    return str(world.get("acme")["metadata"]["annotations"]["makini.io/sync-requested-at"])


def is_complete(world: World, job: Manifest) -> bool:
    found = world.rig.get("job", job["metadata"]["name"], "-n", world.namespace)
    return any(each["type"] == "Complete" for each in found["status"].get("conditions", []))


def test_a_run_that_does_not_begin_is_told_with_what_it_waits_for(world: World) -> None:
    world.rig.start_operator(*ARGUMENTS, "--sync-begin-within", "15")
    connected(world)
    job = new_run(world)
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    report(world, job, "Pending", state)
    assert world.until(lambda: told(world).get("waiting"), 60) == "ImagePullBackOff: Back-off pulling image"
    assert condition(world.get("acme"), "SyncsHealthy")["reason"] == "SyncNotStarted"
    end(world, job, code=0, message=result(read=1))
    until_told(world, "Succeeded")
    world.until(lambda: "waiting" not in told(world))
    assert condition(world.get("acme"), "SyncsHealthy")["status"] == "True"


# --- the end --------------------------------------------------------------------------------------------------------


def test_a_disconnect_ends_runs_and_keeps_what_they_did(world: World) -> None:
    connected(world)
    end(world, new_run(world), code=0, message=result(read=1))
    until_told(world, "Succeeded")
    pod_of(world, new_run(world))
    world.patch("acme", {"connected": False})
    world.until_reason("acme", "Disconnected")
    assert [listed(world, kind) for kind in ("cronjobs", "jobs", "pods")] == [[], [], []]
    acme = world.get("acme")
    assert told(world)["lastResult"] == "Succeeded"
    assert condition(acme, "SyncsHealthy")["reason"] == "NotConnected"
    world.patch("acme", {"connected": True})
    world.until_ready("acme")
    world.until(lambda: listed(world, "cronjobs"))
    assert listed(world, "jobs") == []  # the request from before the new connection is not acted on again


def test_a_sync_that_leaves_the_spec_takes_its_runs_along(world: World) -> None:
    connected(world, SYNC, SYNC | {"name": "vendors"})
    ask(world)
    world.until(lambda: len(listed(world, "pods")) == 2)
    world.patch("acme", {"syncs": [SYNC]})
    for kind in ("cronjobs", "jobs", "pods"):
        world.until(lambda kind=kind: len(listed(world, kind)) == 1)
