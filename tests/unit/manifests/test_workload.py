"""When a restart is complete, and when it is stuck: as `kubectl rollout status` judges."""

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.lifecycle.builders import NOW, connection
from tests.unit.lifecycle.test_plan_rotation import rotating

from makini_operator.lifecycle.observation import WorkloadState
from makini_operator.manifests import workload
from makini_operator.resources.token import TargetKind

D, S, DS = TargetKind.DEPLOYMENT, TargetKind.STATEFUL_SET, TargetKind.DAEMON_SET
OWNER = connection(status=rotating())
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
UP_TO_DATE = {"currentRevision": "b", "updateRevision": "b"}
Manifest = dict[str, Any]


def restarted(
    spec: Manifest | None = None, status: Manifest | None = None, *, attempt: int = 1, ago: timedelta = timedelta(0)
) -> Manifest:
    patch = workload.restart_patch(OWNER, attempt, NOW - ago)
    template = patch["spec"]["template"]
    meta = {"name": "app", "generation": 2}
    return {
        "metadata": meta,
        "spec": {"template": template} | (spec or {}),
        "status": {"observedGeneration": 2} | (status or {}),
    }


def test_what_is_not_there_or_about_to_go_needs_no_restart() -> None:
    gone = restarted()
    gone["metadata"]["deletionTimestamp"] = "2025-03-01T12:00:00Z"
    for found in (None, gone):
        assert workload.view(D, found, OWNER, NOW).state is WorkloadState.DONE


def test_each_token_needs_a_restart_of_its_own() -> None:
    for found in (restarted(attempt=0), {"metadata": {"name": "app"}, "spec": {"template": {"spec": {}}}}):
        assert workload.view(D, found, OWNER, NOW).state is WorkloadState.PENDING
    other = connection(status=rotating() | {"connectionID": "c2"})
    assert workload.view(D, restarted(), other, NOW).state is WorkloadState.PENDING


def test_what_the_controller_has_not_seen_is_not_complete() -> None:
    found = restarted(status={"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1})
    assert workload.view(D, found, OWNER, NOW).state is WorkloadState.ROLLING


@pytest.mark.parametrize(
    ("kind", "spec", "status", "state", "words"),
    [
        (D, {"replicas": 0}, {}, WorkloadState.DONE, ""),
        (D, {}, {"updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}, WorkloadState.DONE, ""),
        (D, {"replicas": 2}, {"updatedReplicas": 1, "replicas": 3, "availableReplicas": 2}, WorkloadState.ROLLING, "1"),
        (
            D,
            {"replicas": 2},
            {"updatedReplicas": 2, "replicas": 3, "availableReplicas": 3},
            WorkloadState.ROLLING,
            "1 old ones are left",
        ),
        (D, {"replicas": 2}, {"updatedReplicas": 2, "replicas": 2}, WorkloadState.ROLLING, "0 of 2 new pods"),
        (D, {}, {"updatedReplicas": 1, "replicas": 2, "conditions": [LATE]}, WorkloadState.STUCK, "0 of 1"),
        (D, {"paused": True}, {"replicas": 1, "availableReplicas": 1}, WorkloadState.STUCK, "resume"),
        (S, {"replicas": 1}, UP_TO_DATE | {"updatedReplicas": 1, "readyReplicas": 1}, WorkloadState.DONE, ""),
        (S, {"replicas": 2}, {"updateRevision": "b", "updatedReplicas": 1}, WorkloadState.ROLLING, "1 of 2 pods"),
        (S, {"updateStrategy": {"type": "OnDelete"}}, {"updateRevision": "b"}, WorkloadState.STUCK, "delete its pods"),
        (
            S,
            {"replicas": 2, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
            {"updateRevision": "b", "updatedReplicas": 1, "readyReplicas": 2},
            WorkloadState.STUCK,
            "partition",
        ),
        (DS, {}, {}, WorkloadState.DONE, ""),
        (
            DS,
            {},
            {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3},
            WorkloadState.DONE,
            "",
        ),
        (DS, {}, {"desiredNumberScheduled": 3, "updatedNumberScheduled": 1}, WorkloadState.ROLLING, "1 of 3"),
        (
            DS,
            {"updateStrategy": {"type": "OnDelete"}},
            {"desiredNumberScheduled": 1},
            WorkloadState.STUCK,
            "delete its pods",
        ),
    ],
)
def test_a_rollout_is_complete_under_way_or_stuck(
    kind: TargetKind, spec: Manifest, status: Manifest, state: WorkloadState, words: str
) -> None:
    found = workload.view(kind, restarted(spec, status), OWNER, NOW)
    assert found.state is state
    assert words in found.why


@pytest.mark.parametrize(
    ("kind", "status"), [(S, {"updateRevision": "b"}), (DS, {"desiredNumberScheduled": 1})], ids=["stateful", "daemon"]
)
def test_a_kind_without_a_deadline_of_its_own_is_stuck_after_ten_minutes(kind: TargetKind, status: Manifest) -> None:
    young, old = (workload.view(kind, restarted({}, status, ago=timedelta(minutes=m)), OWNER, NOW) for m in (9, 11))
    assert (young.state, old.state) == (WorkloadState.ROLLING, WorkloadState.STUCK)


def test_two_connections_may_restart_one_workload() -> None:
    other = OWNER.model_copy(update={"metadata": OWNER.metadata.model_copy(update={"name": "second"})})
    keys = [
        next(iter(workload.restart_patch(owner, 1, NOW)["spec"]["template"]["metadata"]["annotations"]))
        for owner in (OWNER, other)
    ]
    assert keys == ["restarted.makini.io/acme", "restarted.makini.io/second"]
