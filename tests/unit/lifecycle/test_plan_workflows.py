"""Workflows in the plan: before credits, while connected, and on the way down."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.lifecycle.builders import (
    CLAIM,
    EARLIER,
    INTACT,
    LIFE,
    NO_WORKFLOWS,
    NOT_LISTED,
    NOW,
    TOKEN,
    UNREACHABLE,
    connection,
    going_down,
    observation,
    pool,
    ready,
    remote,
    secret,
    shown,
    status_of,
)

from makini_operator.lifecycle.actions import (
    ApplyWorkflow,
    Close,
    DeleteCronJob,
    DeleteSecret,
    EndWorkflows,
    ListAccount,
    Plan,
    PublishToken,
    RemoveFinalizer,
    RequestCredits,
    TryWorkflows,
)
from makini_operator.lifecycle.observation import Observation, SecretState, Trouble
from makini_operator.lifecycle.plan import plan
from makini_operator.resources.reasons import Reason

UP: dict[str, Any] = {
    "observedGeneration": 1,
    "credits": CLAIM,
    "connectionID": "c1",
    "connectedAt": EARLIER,
    "token": TOKEN,
    "metadataDigest": "digest",
}
REFUSED = {Reason.WORKFLOW_REFUSED: Trouble(Reason.WORKFLOW_REFUSED, "says Kubernetes", NOW + timedelta(seconds=9))}
OVERDUE = {Reason.WORKFLOW_REFUSED: Trouble(Reason.WORKFLOW_REFUSED, "said Kubernetes", NOW - timedelta(seconds=1))}
UNTRIED = replace(NO_WORKFLOWS, are_accepted=False, to_apply=("orders",))
MISSING = replace(NO_WORKFLOWS, to_apply=("orders",))
BROKEN = replace(NO_WORKFLOWS, problem="workflow orders: jobTemplate: env must be a list", are_accepted=False)
LEFT = replace(NO_WORKFLOWS, is_anything_left=True)


def running(**changes: Any) -> Observation:
    defaults: dict[str, Any] = {"remote": remote("c1"), "secret": INTACT}
    return observation(connection(status=UP), **(defaults | changes))


def ending(**changes: Any) -> Observation:
    defaults: dict[str, Any] = {"remote": remote("c1"), "secret": INTACT, "workflows": LEFT}
    return observation(going_down(UP), **(defaults | changes))


# --- before credits -------------------------------------------------------------------------------------------------


def test_they_are_tried_out_before_credits_are_asked_for() -> None:
    assert plan(observation(workflows=UNTRIED), NOW) == Plan(actions=(TryWorkflows(),))
    (asked,) = plan(observation(workflows=MISSING), NOW).actions
    assert isinstance(asked, RequestCredits)


@pytest.mark.parametrize("changes", [{"workflows": BROKEN}, {"workflows": UNTRIED, "refusals": REFUSED}])
def test_a_bad_template_is_stalled_and_asks_for_nothing(changes: dict[str, Any]) -> None:
    decided = plan(observation(**changes), NOW)
    assert decided.actions == ()
    assert shown(status_of(observation(**changes))) == ("Stalled", "WorkflowRefused")
    assert decided.requeue_after is not None


def test_after_a_while_it_is_tried_again() -> None:
    assert plan(observation(workflows=UNTRIED, refusals=OVERDUE), NOW) == Plan(actions=(TryWorkflows(),))


# --- while connected ------------------------------------------------------------------------------------------------


def test_they_are_written_once_the_token_is_there() -> None:
    first = plan(running(workflows=MISSING, secret=secret(SecretState.ABSENT)), NOW)
    assert first.actions == (PublishToken("c1"),)
    assert plan(running(workflows=MISSING), NOW).actions == (ApplyWorkflow("orders"),)


def test_what_the_spec_has_dropped_goes_first() -> None:
    both = replace(MISSING, superseded=("acme-old-1",))
    assert plan(running(workflows=both), NOW).actions == (DeleteCronJob("acme-old-1"), ApplyWorkflow("orders"))


def test_only_the_leader_writes_them() -> None:
    assert plan(running(workflows=MISSING, pool=pool(is_led=False)), NOW).actions == ()


@pytest.mark.parametrize("changes", [{"workflows": BROKEN}, {"workflows": MISSING, "refusals": REFUSED}])
def test_trouble_with_one_changes_nothing_about_connection_and_token(changes: dict[str, Any]) -> None:
    status = status_of(running(**changes))
    assert shown(status) == ("Stalled", "WorkflowRefused")
    assert (status.phase, status.connection_id) == ("Active", "c1")
    assert status.token is not None
    assert "the token is in Secret acme-makini" in ready(status).message
    lost = plan(running(secret=secret(SecretState.TOKEN_LOST), **changes), NOW)
    assert lost.actions == (PublishToken("c1"),)


def test_a_suspended_connection_renews_its_token_only_when_it_is_about_to_expire() -> None:
    def due(share: float, *, suspend: bool) -> bool:
        old = replace(INTACT, issued_at=NOW - LIFE * share, expires_at=NOW + LIFE * (1 - share))
        seen = observation(connection(status=UP, suspend=suspend), remote=remote("c1"), secret=old)
        return PublishToken("c1") in plan(seen, NOW).actions

    assert [due(share, suspend=False) for share in (0.6, 0.7)] == [False, True]
    assert [due(share, suspend=True) for share in (0.7, 0.89, 0.91)] == [False, False, True]


# --- on the way down ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{}, {"pool": None}, {"pool": pool(trouble=UNREACHABLE), "remote": NOT_LISTED}, {"trouble": UNREACHABLE}]
)
def test_they_end_at_once_whether_or_not_makini_answers(changes: dict[str, Any]) -> None:
    assert plan(ending(**changes), NOW) == Plan(actions=(EndWorkflows(), DeleteSecret("acme-makini")))


def test_what_kubernetes_does_not_give_up_does_not_hold_up_the_disconnect() -> None:
    kept = REFUSED | {Reason.SECRET_REFUSED: Trouble(Reason.SECRET_REFUSED, "kept", NOW + timedelta(seconds=9))}
    assert plan(ending(refusals=kept), NOW) == Plan(actions=(Close(("c1",)),))


def test_they_end_when_somebody_else_ends_the_connection() -> None:
    seen = running(remote=remote(gone=True), workflows=LEFT)
    assert plan(seen, NOW).actions == (EndWorkflows(), DeleteSecret("acme-makini"))


# --- what nobody may be sure of -------------------------------------------------------------------------------------


def test_a_wiped_status_is_not_believed_before_a_listing() -> None:
    wiped = observation(going_down(None), remote=NOT_LISTED)
    assert plan(wiped, NOW) == Plan(actions=(ListAccount(),))
    assert plan(replace(wiped, remote=remote("c1")), NOW) == Plan(actions=(Close(("c1",)),))
    assert plan(replace(wiped, remote=remote()), NOW) == Plan(actions=(RemoveFinalizer(),))


def test_a_connection_that_was_renamed_at_makini_is_neither_closed_nor_taken_for_ended() -> None:
    renamed = replace(remote(), is_recorded_unmarked=True)
    assert shown(status_of(running(remote=renamed))) == ("Ready", "Connected")
    needs_token = running(remote=renamed, secret=secret(SecretState.TOKEN_LOST))
    assert shown(status_of(needs_token)) == ("Stalled", "MarkerLost")
    held = ending(remote=renamed, workflows=NO_WORKFLOWS, secret=secret(SecretState.ABSENT))
    decided = plan(held, NOW)
    assert decided.actions == ()
    assert status_of(held).credits is not None
    assert ready(status_of(held)).reason == "MarkerLost"
