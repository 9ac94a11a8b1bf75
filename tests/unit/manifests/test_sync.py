"""A sync's CronJob, the Jobs of runs that are asked for, and what is read from a run that has ended."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.lifecycle.builders import connection

from makini_operator.lifecycle.observation import RunKind, Scheduled
from makini_operator.lifecycle.sync_view import AskedRun, SyncAsk
from makini_operator.manifests import cron_job, sync, sync_run
from makini_operator.manifests.ownership import Manifest
from makini_operator.manifests.sync import SyncImage
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.sync import Destination

URL = "https://api.makini.io"
IMAGE = SyncImage("makini-sync:1", "Never")
POSTGRES = {"postgres": {"credentialsSecretRef": {"name": "database", "key": "dsn"}, "dataset": "acme"}}
VOLUME = {"duckdb": {"volumeClaimName": "history"}}
DELTA = {"files": {"url": "file:///history/erp", "volumeClaimName": "history"}}
BUCKET = {"files": {"url": "s3://bucket/erp", "credentialsSecretRef": {"name": "bucket"}}}


def owner(destination: Manifest = VOLUME, **more: Any) -> MakiniConnection:
    one = {"name": "orders", "schedule": "@hourly", "entities": ["erp/purchase-orders", "erp/vendors"]}
    return connection(syncs=[one | {"destination": destination} | more])


def made(of: MakiniConnection, image: SyncImage = IMAGE) -> Manifest:
    (only,) = of.spec.syncs or []
    return sync.cron_job(of, only, endpoint=URL, image=image)


def pod_of(cron: Manifest) -> Manifest:
    found: Manifest = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def container(of: MakiniConnection) -> Manifest:
    (only,) = pod_of(made(of))["containers"]
    found: Manifest = only
    return found


def volumes(of: MakiniConnection) -> dict[str, Manifest]:
    return {volume["name"]: volume for volume in pod_of(made(of))["volumes"]}


# --- the pod --------------------------------------------------------------------------------------------------------


def test_it_runs_the_program_for_the_entities_with_the_token_as_a_file() -> None:
    found = container(owner(window="all", withoutCursor=["erp/vendors"]))
    assert found["image"] == "makini-sync:1"
    assert found["imagePullPolicy"] == "Never"
    assert found["args"] == [
        "sync",
        "--entity=erp/purchase-orders",
        "--entity=erp/vendors",
        "--no-cursor=erp/vendors",
        "--url=$(MAKINI_ENDPOINT)",
        "--token-file=/var/run/secrets/makini.io/token",
        "--connection-id-file=/var/run/secrets/makini.io/connection-id",
        "--owner=tenant/acme",
        "--window=all",
        "--lock-wait=23h",
        "--work-dir=/work",
        "--result-file=/dev/termination-log",
        "--dataset=tenant_acme",
        "--destination=duckdb",
        "--duckdb-folder=/history",
    ]
    assert {"name": "MAKINI_ENDPOINT", "value": URL} in found["env"]
    assert volumes(owner())["makini-token"]["secret"]["secretName"] == "acme-makini"


def test_it_has_no_rights() -> None:
    pod = pod_of(made(owner()))
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (only,) = pod["containers"]
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize(
    ("destination", "arguments", "mounts"),
    [
        (POSTGRES, ["--destination=postgres", "--postgres-dsn-file=/var/run/secrets/destination/dsn"], {"login"}),
        (VOLUME, ["--destination=duckdb", "--duckdb-folder=/history"], {"history"}),
        (DELTA, ["--destination=files", "--files-url=file:///history/erp"], {"history"}),
        (BUCKET, ["--destination=files", "--files-url=s3://bucket/erp"], set()),
    ],
)
def test_each_destination_gets_what_it_needs(destination: Manifest, arguments: list[str], mounts: set[str]) -> None:
    found = container(owner(destination))
    assert found["args"][-2:] == arguments
    assert {mount["name"] for mount in found["volumeMounts"]} == {"work", "makini-token"} | mounts
    assert set(volumes(owner(destination))) == {"work", "makini-token"} | mounts


def test_secrets_are_only_referred_to() -> None:
    login = volumes(owner(POSTGRES))["login"]["secret"]
    assert (login["secretName"], login["items"]) == ("database", [{"key": "dsn", "path": "dsn"}])
    keys = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in container(owner(BUCKET))["env"] if "valueFrom" in e}
    assert keys["AWS_SECRET_ACCESS_KEY"] == {"name": "bucket", "key": "AWS_SECRET_ACCESS_KEY", "optional": True}
    assert not [e for e in container(owner(DELTA))["env"] if "valueFrom" in e]


@pytest.mark.parametrize(
    ("asked", "requests", "limits"),
    [
        (None, {"cpu": "100m", "memory": "256Mi"}, {"memory": "512Mi"}),
        ({"limits": {"memory": "128Mi"}}, {"cpu": "100m"}, {"memory": "128Mi"}),
        ({"requests": {"memory": "1Gi"}}, {"cpu": "100m", "memory": "1Gi"}, {"memory": "1Gi"}),
        ({"requests": {"memory": "600000k"}}, {"cpu": "100m", "memory": "600000k"}, {"memory": "600000k"}),
        ({"requests": {"memory": "536870913"}}, {"cpu": "100m", "memory": "536870913"}, {"memory": "536870913"}),
        ({"requests": {"memory": "512Mi"}}, {"cpu": "100m", "memory": "512Mi"}, {"memory": "512Mi"}),
        ({"requests": {"memory": "0.25Gi"}}, {"cpu": "100m", "memory": "0.25Gi"}, {"memory": "512Mi"}),
        ({"requests": {"memory": "300M"}}, {"cpu": "100m", "memory": "300M"}, {"memory": "512Mi"}),
        (
            {"requests": {"memory": "1Gi"}, "limits": {"cpu": "2"}},
            {"memory": "1Gi"},
            {"memory": "1Gi", "cpu": "2"},
        ),
        ({"requests": {"cpu": "2"}}, {"cpu": "2", "memory": "256Mi"}, {"memory": "512Mi"}),
        (
            {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi", "cpu": "2"}},
            {"memory": "1Gi"},
            {"memory": "2Gi", "cpu": "2"},
        ),
    ],
)
def test_what_is_not_said_of_resources_fits_what_is(asked: Any, requests: Manifest, limits: Manifest) -> None:
    found = container(owner(**({"resources": asked} if asked else {})))["resources"]
    assert found == {"requests": requests, "limits": limits}


def test_it_is_bounded() -> None:
    spec = made(owner())["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["successfulJobsHistoryLimit"] == spec["failedJobsHistoryLimit"] == 3
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 24 * 3600
    assert volumes(owner())["work"]["emptyDir"]["sizeLimit"]


def test_it_bears_its_own_label_and_a_name_that_no_workflow_has() -> None:
    found = made(owner())
    labels = {"makini.io/connection": "acme", "makini.io/sync": "orders"}
    assert labels.items() <= found["metadata"]["labels"].items()
    template = found["spec"]["jobTemplate"]
    assert template["metadata"]["labels"] == template["spec"]["template"]["metadata"]["labels"] == labels
    other = cron_job.cron_job_name(owner(), Scheduled(RunKind.WORKFLOW, "orders"))
    assert found["metadata"]["name"] == sync.sync_name(owner(), "orders") != other


def test_without_an_image_there_are_no_syncs() -> None:
    with pytest.raises(cron_job.TemplateError, match="--sync-image"):
        made(owner(), SyncImage())


# --- the dataset ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("namespace", "name", "dataset"),
    [
        ("shop", "acme", "shop_acme"),
        ("team-a", "acme.eu", "team_a_acme_eu"),
        ("9-to-5", "acme", "n_9_to_5_acme"),
        ("a" * 63, "b" * 52, f"d_{'a' * 27}_"),
        ("pg", "acme", "d_pg_acme_"),
        ("information", "schema", "d_information_schema_"),
        ("shop", "acme-staging", "d_shop_acme_staging_"),
    ],
)
def test_the_dataset_is_named_after_the_connection(namespace: str, name: str, dataset: str) -> None:
    of = owner()
    of = of.model_copy(update={"metadata": of.metadata.model_copy(update={"namespace": namespace, "name": name})})
    found = sync.dataset(of, Destination.model_validate(VOLUME))
    assert found.startswith(dataset)
    assert len(found) <= 40
    assert (found == dataset) is not dataset.startswith("d_")
    assert not found.endswith("_staging")


def test_the_dataset_of_the_spec_wins() -> None:
    assert sync.dataset(owner(), Destination.model_validate(POSTGRES)) == "acme"


# --- runs that are asked for ----------------------------------------------------------------------------------------


def stored(of: MakiniConnection) -> Manifest:
    found = made(of)
    return found | {"metadata": found["metadata"] | {"uid": "cron-uid"}}


@pytest.mark.parametrize(
    ("ask", "switches"), [(SyncAsk.NOW, []), (SyncAsk.FULL, ["--full"]), (SyncAsk.ACCEPT_GONE, ["--accept-gone"])]
)
def test_a_run_that_is_asked_for_is_the_cron_jobs_own(ask: SyncAsk, switches: list[str]) -> None:
    cron = stored(owner())
    run = AskedRun("orders", ask, "2026-01-31T12:00:00Z")
    job = sync.run_now(cron, run)
    assert len(job["metadata"]["name"]) <= 63
    assert job == sync.run_now(cron, run)
    others = [AskedRun("orders", ask, "2026"), *(AskedRun("orders", other, run.request) for other in SyncAsk)]
    assert len({job["metadata"]["name"], *(sync.run_now(cron, other)["metadata"]["name"] for other in others)}) == 4
    assert cron_job.started_by(job, owner()) == cron["metadata"]["name"]
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments == [*pod_of(cron)["containers"][0]["args"], *switches]
    pod = {"metadata": {"labels": job["metadata"]["labels"], "ownerReferences": [owned_by(job)]}}
    assert cron_job.started_by(pod, owner()) == cron["metadata"]["name"]


def owned_by(job: Manifest) -> Manifest:
    return {"kind": "Job", "name": job["metadata"]["name"], "uid": "job-uid", "controller": True}


# --- runs that have ended -------------------------------------------------------------------------------------------

AT = "2026-01-31T12:00:00Z"


def job(*conditions: Manifest, **status: Any) -> Manifest:
    meta = {
        "name": "run",
        "namespace": "tenant",
        "uid": "job-uid",
        "resourceVersion": "7",
        "creationTimestamp": AT,
        "ownerReferences": [{"kind": "CronJob", "uid": "cron-uid", "controller": True}],
    }
    return {"metadata": meta, "status": {"conditions": list(conditions)} | status}


def ended(kind: str, reason: str = "") -> Manifest:
    return {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": AT}


def pod(message: str = "", *, at: str = AT, of: str = "job-uid", **state: Any) -> Manifest:
    owner_reference = {"kind": "Job", "name": "run", "uid": of, "controller": True}
    end = {"reason": "Error", "exitCode": 1, "finishedAt": at, "message": message} | state
    statuses = [{"name": "sync", "state": {"terminated": end}}]
    return {"metadata": {"ownerReferences": [owner_reference]}, "status": {"containerStatuses": statuses}}


FAILED = sync_run.record(job(ended("Failed", "BackoffLimitExceeded")))
DONE = sync_run.record(job(ended("Complete"), completionTime=AT))


def test_a_run_is_remembered_in_short() -> None:
    assert (DONE.owner_uid, DONE.has_succeeded) == ("cron-uid", True)
    assert DONE.finished_at == FAILED.finished_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert (FAILED.has_succeeded, FAILED.why) == (False, "BackoffLimitExceeded")
    for unfinished in (job(), job({"type": "Failed", "status": "False"}), job(ended("SuccessCriteriaMet"))):
        assert sync_run.record(unfinished).finished_at is None


@pytest.mark.parametrize(
    ("status", "is_at_work"),
    [
        ({}, False),
        ({"active": 1, "ready": 0}, False),
        ({"ready": 1}, True),
        ({"failed": 1}, True),
        ({"failed": 1, "active": 1}, False),  # the next attempt's pod has not begun
        ({"failed": 1, "active": 1, "ready": 1}, True),
        ({"succeeded": 1}, True),
    ],
)
def test_a_run_is_at_work_when_a_pod_of_it_has_begun(status: Manifest, is_at_work: bool) -> None:
    assert sync_run.record(job(**status)).is_at_work is is_at_work


LATER = datetime(2026, 1, 31, 12, 5, tzinfo=UTC)
BEGUN_ONCE = sync_run.record(job(failed=1, active=1))
NEVER_BEGUN = sync_run.record(job(active=1))


def pending(made_at: str = AT, **status: Any) -> Manifest:
    return {"metadata": {"creationTimestamp": made_at}, "status": {"phase": "Pending"} | status}


def test_what_a_run_waits_for_is_what_its_pod_says() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "none"'}
    pulling = pending(containerStatuses=[{"name": "sync", "state": {"waiting": waiting}}])
    for run in (NEVER_BEGUN, BEGUN_ONCE):
        assert sync_run.awaited([pulling], run, since=LATER) == 'ImagePullBackOff: Back-off pulling image "none"'
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "claim not found"}
    words = sync_run.awaited([pending(conditions=[unplaced])], NEVER_BEGUN, since=LATER)
    assert words == "Unschedulable: claim not found"
    assert sync_run.awaited([pending()], NEVER_BEGUN, since=LATER) == "no reason given: see its pod"
    assert sync_run.awaited([], NEVER_BEGUN, since=LATER).startswith("it has no pod")


def test_a_pod_that_is_new_or_has_begun_waits_for_nothing() -> None:
    for pods in ([pending("2026-01-31T12:06:00Z")], [pending(phase="Running")], []):
        assert sync_run.awaited(pods, BEGUN_ONCE, since=LATER) == ""


def said(**result: Any) -> str:
    return json.dumps({"result": "Failed", "reason": "NotWhole", "message": "page 4 is empty", "entities": []} | result)


def test_the_words_of_a_success_are_numbers() -> None:
    entities = [{"read": 90, "loaded": 3}, {"read": 5, "loaded": 0, "gone": 2}]
    words = sync_run.last_words([pod(said(entities=entities), reason="Completed", exitCode=0)], DONE)
    assert words == "95 records read, 3 written, 2 marked as gone"
    entities[0]["goneLines"] = 6
    words = sync_run.last_words([pod(said(entities=entities), reason="Completed", exitCode=0)], DONE)
    assert words == "95 records read, 3 written, 2 marked as gone, 6 lines marked as gone"


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        ([pod(said())], "NotWhole: page 4 is empty"),
        ([pod(said(), at="2026-01-31T11:00:00Z"), pod(said(message="page 5"))], "NotWhole: page 5"),
        ([pod(said(), of="somebody-elses")], "its pod is gone (BackoffLimitExceeded)"),
        ([], "its pod is gone (BackoffLimitExceeded)"),
        ([{"metadata": {}, "status": {}}], "its pod is gone (BackoffLimitExceeded)"),
        ([pod(said(message="a\nb\x1b[31m"))], "NotWhole: a b [31m"),
        ([pod(reason="OOMKilled", exitCode=137)], "it was killed, most likely for want of memory"),
        ([pod()], "it ended with code 1 and said nothing (Error): see its pod's log"),
        ([pod("Usage: sync\n\nError: no such option\n")], "it ended with code 1: Error: no such option"),
        ([pod("Traceback\nValueError: Invalid endpoint: canary\n")], "it ended with code 1 and said nothing (Error)"),
        ([pod("[]")], "it ended with code 1 and said nothing (Error)"),
        ([pod(json.dumps({"entities": 3}))], "it ended with code 1 and said nothing (Error)"),
        ([pod(said(entities=None))], "it ended with code 1 and said nothing (Error)"),
        ([pod("[" * 4096)], "it ended with code 1 and said nothing (Error)"),
    ],
)
def test_the_words_of_a_failure_are_one_sentence(pods: list[Manifest], words: str) -> None:
    assert sync_run.last_words(pods, FAILED).startswith(words)


def test_only_pods_with_marks_that_nobody_else_may_set_are_asked() -> None:
    selector = "batch.kubernetes.io/job-name=run,makini.io/connection,makini.io/sync"
    assert sync_run.pods_selector(FAILED) == selector


def test_numbers_that_are_none_are_no_words() -> None:
    endless = '{"result": "Succeeded", "entities": [{"read": 1e999}]}'
    assert sync_run.last_words([pod(endless, reason="Completed", exitCode=0)], DONE) == ""


def test_words_are_bounded() -> None:
    assert len(sync_run.last_words([pod(said(message="x" * 100_000))], FAILED)) <= 512
    assert len(sync_run.last_words([pod(said(message="x" * 4000))], FAILED)) <= 512


def test_a_run_that_took_too_long_says_so() -> None:
    run = sync_run.record(job(ended("Failed", "DeadlineExceeded")))
    assert sync_run.last_words([], run).startswith("it took more than 24 hours")
    words = sync_run.last_words([], run, awaited="ImagePullBackOff: none")
    assert words == "it was ended after 24 hours without having begun: ImagePullBackOff: none"
