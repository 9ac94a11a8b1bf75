"""The rules of kstatus as a table, and one lie for each thing that `check_honest` looks at."""

from copy import deepcopy
from typing import Any

import pytest
from tests.cluster.kstatus import check_honest, compute


def condition(kind: str, status: str, **changes: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": "BecauseOfThis",
        "message": f"{kind} is {status}",
        "lastTransitionTime": "2024-05-01T10:00:00Z",
        "observedGeneration": 2,
        **changes,
    }


def resource(*conditions: dict[str, Any], observed: int | None = 2, **metadata: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"conditions": list(conditions)}
    if observed is not None:
        status["observedGeneration"] = observed
    return {"kind": "Thing", "metadata": {"name": "one", "generation": 2, **metadata}, "status": status}


READY = condition("Ready", "True")


@pytest.mark.parametrize(
    ("obj", "status", "message"),
    [
        (resource(READY), "Current", "Resource is Ready"),
        (resource(condition("Ready", "False")), "InProgress", "Ready is False"),
        (resource(condition("Ready", "Unknown")), "InProgress", "Ready is Unknown"),
        (resource(condition("Ready", "Perhaps")), "Current", "Resource is current"),
        (resource(condition("Reconciling", "True"), READY), "InProgress", "Reconciling is True"),
        (resource(READY, condition("Reconciling", "False")), "Current", "Resource is Ready"),
        (resource(condition("Ready", "False"), condition("Stalled", "True")), "Failed", "Stalled is True"),
        (resource(condition("Stalled", "True"), condition("Reconciling", "True")), "Failed", "Stalled is True"),
        (resource(condition("Reconciling", "True"), condition("Stalled", "True")), "InProgress", "Reconciling is True"),
        (
            resource(condition("Stalled", "True"), observed=1),
            "InProgress",
            "Thing generation is 2, but latest observed generation is 1",
        ),
        (
            resource(observed=-1),
            "InProgress",
            "Thing generation is 2, but latest observed generation is -1",
        ),
        (resource(READY, observed=None), "Current", "Resource is Ready"),
        (
            resource(condition("Stalled", "True"), observed=1, deletionTimestamp="2024-05-01T10:00:00Z"),
            "Terminating",
            "Resource scheduled for deletion",
        ),
        (resource(), "Current", "Resource is current"),
        ({"kind": "Thing", "metadata": {"generation": 2}}, "Current", "Resource is current"),
        ({"kind": "Thing"}, "Current", "Resource is current"),
    ],
)
def test_compute_answers_like_kstatus(obj: dict[str, Any], status: str, message: str) -> None:
    assert compute(obj) == (status, message)


@pytest.mark.parametrize(
    "obj",
    [
        resource(READY),
        resource(condition("Ready", "False"), condition("Reconciling", "True")),
        resource(condition("Ready", "False"), condition("Stalled", "True")),
        resource(condition("Ready", "False", observedGeneration=1), observed=1),
        resource(READY, condition("CreditsGranted", "True", observedGeneration=1)),
    ],
)
def test_an_honest_status_passes(obj: dict[str, Any]) -> None:
    check_honest(obj)


@pytest.mark.parametrize(
    ("conditions", "complaint"),
    [
        ([], "no Ready condition"),
        ([READY, condition("Ready", "False")], "there twice"),
        ([READY, condition("Reconciling", "True")], "Ready is True together with Reconciling"),
        ([READY, condition("Stalled", "True")], "Ready is True together with Stalled"),
        ([condition("Ready", "False"), condition("Stalled", "False")], "True or absent"),
        ([condition("Ready", "False"), condition("Reconciling", "Unknown")], "True or absent"),
        (
            [condition("Ready", "False"), condition("Reconciling", "True"), condition("Stalled", "True")],
            "Reconciling and Stalled at once",
        ),
        ([condition("Ready", "True", observedGeneration=1)], "Ready is about generation 1"),
        ([condition("Ready", "yes")], "Ready is 'yes'"),
        ([condition("Ready", "True", reason="")], "not CamelCase"),
        ([condition("Ready", "True", reason="all good")], "not CamelCase"),
        ([condition("Ready", "True", message="  ")], "no message"),
        ([condition("Ready", "True", lastTransitionTime="yesterday")], "no time"),
        ([condition("Ready", "True", lastTransitionTime=None)], "no time"),
        ([condition("Ready", "True", lastTransitionTime="2024-05-01T10:00:00")], "without a zone"),
        ([READY, condition("CreditsGranted", "True", observedGeneration=3)], "newer than the status"),
    ],
)
def test_a_dishonest_status_is_named(conditions: list[dict[str, Any]], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_honest(resource(*deepcopy(conditions)))


def test_a_status_without_an_observed_generation_is_dishonest() -> None:
    with pytest.raises(AssertionError, match="no observedGeneration"):
        check_honest(resource(READY, observed=None))


def test_a_status_cannot_have_observed_the_future() -> None:
    with pytest.raises(AssertionError, match="ahead of generation"):
        check_honest(resource(condition("Ready", "True", observedGeneration=3), observed=3))
