"""Workflows in the plan: before credits, while connected, and on the way down."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.lifecycle.builders import (
    CLAIM,
    EARLIER,
    FOREIGN,
    GRANT,
    INTACT,
    INTENT,
    LIFE,
    NO_CRON_JOBS,
    NO_SECRET,
    NOT_LISTED,
    NOW,
    TOKEN,
    UNREACHABLE,
    connection,
    going_down,
    observation,
    planned,
    pool,
    ready,
    remote,
    secret,
    shown,
    status_of,
    told,
)

from makini_operator.lifecycle.actions import (
    ApplyCronJob,
    Close,
    DeleteCronJob,
    DeleteSecret,
    EndRuns,
    ListAccount,
    Open,
    Plan,
    PublishToken,
    RemoveFinalizer,
    RepairSecret,
    RequestCredits,
    TryCronJobs,
)
from makini_operator.lifecycle.observation import (
    Observation,
    RemoteView,
    RunKind,
    Scheduled,
    SecretState,
    SecretView,
    Trouble,
)
from makini_operator.lifecycle.plan import plan
from makini_operator.lifecycle.steps import LOOK_AGAIN
from makini_operator.resources.reasons import Reason

ORDERS = Scheduled(RunKind.WORKFLOW, "orders")
OLD = Scheduled(RunKind.WORKFLOW, "acme-old-1")
UP: dict[str, Any] = {
    "observedGeneration": 1,
    "credits": CLAIM,
    "connectionID": "c1",
    "connectedAt": EARLIER,
    "token": TOKEN,
    "metadataDigest": "digest",
}
CLOSING = UP | {"closing": "c1"}
REFUSED = {Reason.WORKFLOW_REFUSED: Trouble(Reason.WORKFLOW_REFUSED, "says Kubernetes", NOW + timedelta(seconds=9))}
OVERDUE = {Reason.WORKFLOW_REFUSED: Trouble(Reason.WORKFLOW_REFUSED, "said Kubernetes", NOW - timedelta(seconds=1))}
UNTRIED = replace(NO_CRON_JOBS, are_accepted=False, to_apply=(ORDERS,))
MISSING = replace(NO_CRON_JOBS, to_apply=(ORDERS,))
BROKEN = replace(
    NO_CRON_JOBS, problems={RunKind.WORKFLOW: "workflow orders: jobTemplate: env must be a list"}, are_accepted=False
)
LEFT = replace(NO_CRON_JOBS, is_anything_left=True)


def running(**changes: Any) -> Observation:
    defaults: dict[str, Any] = {"remote": remote("c1"), "secret": INTACT}
    return observation(connection(status=UP), **(defaults | changes))


def ending(**changes: Any) -> Observation:
    defaults: dict[str, Any] = {"remote": remote("c1"), "secret": INTACT, "cron_jobs": LEFT}
    return observation(going_down(UP), **(defaults | changes))


# --- before credits -------------------------------------------------------------------------------------------------


def test_they_are_tried_out_before_credits_are_asked_for() -> None:
    assert plan(observation(cron_jobs=UNTRIED), NOW) == Plan(actions=(TryCronJobs(),))
    (asked,) = plan(observation(cron_jobs=MISSING), NOW).actions
    assert isinstance(asked, RequestCredits)


@pytest.mark.parametrize("changes", [{"cron_jobs": BROKEN}, {"cron_jobs": UNTRIED, "refusals": REFUSED}])
def test_a_bad_template_is_stalled_and_asks_for_nothing(changes: dict[str, Any]) -> None:
    decided = plan(observation(**changes), NOW)
    assert decided.actions == ()
    assert shown(status_of(observation(**changes))) == ("Stalled", "WorkflowRefused")
    assert decided.requeue_after is not None


def test_after_a_while_it_is_tried_again() -> None:
    assert plan(observation(cron_jobs=UNTRIED, refusals=OVERDUE), NOW) == Plan(actions=(TryCronJobs(),))


# --- while connected ------------------------------------------------------------------------------------------------


def test_they_are_written_once_the_token_is_there() -> None:
    first = plan(running(cron_jobs=MISSING, secret=secret(SecretState.ABSENT)), NOW)
    assert first.actions == (PublishToken("c1"),)
    assert plan(running(cron_jobs=MISSING), NOW).actions == (ApplyCronJob(ORDERS),)


def test_what_the_spec_has_dropped_goes_first() -> None:
    both = replace(MISSING, superseded=(OLD,))
    assert plan(running(cron_jobs=both), NOW).actions == (DeleteCronJob(OLD), ApplyCronJob(ORDERS))


def test_only_the_leader_writes_them() -> None:
    assert plan(running(cron_jobs=MISSING, pool=pool(is_led=False)), NOW).actions == ()


@pytest.mark.parametrize("changes", [{"cron_jobs": BROKEN}, {"cron_jobs": MISSING, "refusals": REFUSED}])
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
        return PublishToken("c1") in planned(seen).actions

    assert [due(share, suspend=False) for share in (0.6, 0.7)] == [False, True]
    assert [due(share, suspend=True) for share in (0.7, 0.89, 0.91)] == [False, False, True]


# --- on the way down ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{}, {"pool": None}, {"pool": pool(trouble=UNREACHABLE), "remote": NOT_LISTED}, {"trouble": UNREACHABLE}]
)
def test_they_end_at_once_whether_or_not_makini_answers(changes: dict[str, Any]) -> None:
    assert plan(ending(**changes), NOW) == Plan(actions=(EndRuns(), DeleteSecret("acme-makini")))


def test_what_kubernetes_does_not_give_up_does_not_hold_up_the_disconnect() -> None:
    kept = REFUSED | {Reason.SECRET_REFUSED: Trouble(Reason.SECRET_REFUSED, "kept", NOW + timedelta(seconds=9))}
    assert plan(ending(refusals=kept), NOW) == Plan(actions=(Close(("c1",)),))


def test_what_kubernetes_did_not_give_up_is_tried_again_when_all_else_is_done() -> None:
    refused = {Reason.SECRET_REFUSED: Trouble(Reason.SECRET_REFUSED, "kept", NOW + timedelta(seconds=9))}
    done = observation(going_down({"observedGeneration": 1}, deleting=False), secret=INTACT, refusals=refused)
    decided = plan(done, NOW)
    assert decided.actions == ()
    assert decided.requeue_after == LOOK_AGAIN
    later = plan(done, NOW + LOOK_AGAIN)
    assert later.actions == (DeleteSecret("acme-makini"),)
    gone = plan(replace(done, secret=secret(SecretState.ABSENT)), NOW)
    assert gone.requeue_after is None


def test_they_end_when_somebody_else_ends_the_connection() -> None:
    seen = running(remote=remote(gone=True), cron_jobs=LEFT)
    assert plan(seen, NOW).actions == (EndRuns(), DeleteSecret("acme-makini"))


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
    held = ending(remote=renamed, cron_jobs=NO_CRON_JOBS, secret=secret(SecretState.ABSENT))
    decided = plan(held, NOW)
    assert decided.actions == ()
    assert status_of(held).credits is not None
    assert ready(status_of(held)).reason == "MarkerLost"


# --- every situation of each kind -----------------------------------------------------------------------------------

BOTH_WAYS = pytest.mark.parametrize("deleting", [True, False], ids=["deleted", "connected: false"])
TROUBLED = pytest.mark.parametrize(
    "trouble", [{"cron_jobs": BROKEN}, {"cron_jobs": MISSING, "refusals": REFUSED}], ids=["malformed", "refused"]
)
SECRET_KEPT = {Reason.SECRET_REFUSED: Trouble(Reason.SECRET_REFUSED, "kept", NOW + timedelta(seconds=9))}
RENAMED = RemoteView(is_complete=True, ids=(), is_recorded_absent=False, is_recorded_unmarked=True)


def down(status: dict[str, Any] | None = UP, *, deleting: bool, **changes: Any) -> Observation:
    return observation(going_down(status, deleting=deleting), **changes)


def aged(days: int) -> SecretView:
    """A token of 30 days that was issued so long ago."""
    issued = NOW - timedelta(days=days)
    return replace(INTACT, issued_at=issued, expires_at=issued + LIFE)


@TROUBLED
@pytest.mark.parametrize("grant", [None, GRANT])
def test_credits_that_were_granted_meanwhile_are_not_taken_for_a_bad_template(
    trouble: dict[str, Any], grant: Any
) -> None:
    decided = plan(observation(grant=grant, pool=pool(notice=told(12)), **trouble), NOW)
    assert decided.actions == ()
    assert decided.requeue_after == LOOK_AGAIN
    assert decided.status is not None
    assert (decided.status.credits, decided.status.intent, decided.status.waiting) == (None, None, None)
    assert decided.status.phase == "Failed"


@pytest.mark.parametrize("grant", [None, GRANT])
def test_they_are_tried_out_before_a_grant_is_taken(grant: Any) -> None:
    assert plan(observation(cron_jobs=UNTRIED, grant=grant), NOW) == Plan(actions=(TryCronJobs(),))


def test_a_refused_secret_says_nothing_about_workflows() -> None:
    (asked,) = plan(observation(cron_jobs=MISSING, refusals=SECRET_KEPT), NOW).actions
    assert isinstance(asked, RequestCredits)
    assert plan(running(cron_jobs=MISSING, refusals=SECRET_KEPT), NOW).actions == (ApplyCronJob(ORDERS),)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pool": pool(limit=3)}, "ExceedsPool"),
        ({"secret": FOREIGN}, "SecretConflict"),
        ({"is_login_present": False}, "LoginSecretNotFound"),
    ],
)
def test_what_else_keeps_a_connection_from_credits_is_told_first(changes: dict[str, Any], reason: str) -> None:
    assert shown(status_of(observation(cron_jobs=BROKEN, **changes)))[1] == reason


@TROUBLED
def test_credits_that_are_held_already_are_used_whatever_becomes_of_the_workflows(trouble: dict[str, Any]) -> None:
    claimed = connection(status={"credits": CLAIM, "intent": INTENT})
    assert plan(observation(claimed, may_post=True, **trouble), NOW).actions == (Open(4),)
    assert status_of(observation(claimed, remote=remote("c1"), **trouble)).connection_id == "c1"


def test_they_need_makini_neither_to_start_nor_to_be_restored() -> None:
    seen = running(cron_jobs=MISSING, remote=NOT_LISTED, pool=pool(trouble=UNREACHABLE))
    assert plan(seen, NOW).actions == (ApplyCronJob(ORDERS),)


@TROUBLED
@pytest.mark.parametrize(
    ("state", "action"),
    [
        (SecretState.ABSENT, PublishToken("c1")),
        (SecretState.TOKEN_LOST, PublishToken("c1")),
        (SecretState.ALTERED, RepairSecret("c1")),
    ],
)
def test_trouble_with_one_never_holds_up_a_repair(trouble: dict[str, Any], state: SecretState, action: Any) -> None:
    assert plan(running(secret=secret(state), **trouble), NOW).actions == (action,)


@TROUBLED
def test_trouble_with_one_never_holds_up_a_renewal(trouble: dict[str, Any]) -> None:
    assert planned(running(secret=aged(20), **trouble)).actions == (PublishToken("c1"),)
    soon = NOW - timedelta(days=18, hours=2, minutes=44, seconds=52)  # when this uid's tokens are renewed
    almost = replace(aged(20), issued_at=soon + timedelta(seconds=3), expires_at=soon + LIFE + timedelta(seconds=3))
    assert plan(running(secret=almost, **trouble), NOW).requeue_after == timedelta(seconds=3)


def test_while_connected_what_was_refused_is_applied_again_when_its_time_has_come() -> None:
    assert plan(running(cron_jobs=MISSING, refusals=OVERDUE), NOW).actions == (ApplyCronJob(ORDERS),)


def test_suspended_it_says_so_and_when_the_token_is_renewed_and_ends_no_run() -> None:
    conn = connection(status=UP, suspend=True)
    decided = plan(observation(conn, remote=remote("c1"), secret=INTACT), NOW)
    assert decided.status is not None
    assert shown(decided.status) == ("Ready", "Connected")
    assert "suspended" in ready(decided.status).message
    assert decided.status.token is not None
    assert decided.status.token.rotate_at == "2025-03-28T12:00:00Z"
    assert decided.requeue_after == timedelta(days=27)
    writes = plan(observation(conn, remote=remote("c1"), secret=INTACT, cron_jobs=MISSING), NOW)
    assert writes.actions == (ApplyCronJob(ORDERS),)


@BOTH_WAYS
@pytest.mark.parametrize(
    "changes",
    [{"pool": None}, {"pool": pool(is_led=False)}, {"remote": NOT_LISTED}, {"remote": remote()}, {"remote": RENAMED}],
    ids=["pool gone", "not led", "not listed", "nothing at Makini", "renamed"],
)
def test_they_end_first_and_together_with_the_secret_on_both_ways(deleting: bool, changes: dict[str, Any]) -> None:
    seen = down(deleting=deleting, secret=INTACT, cron_jobs=LEFT, **changes)
    assert plan(seen, NOW) == Plan(actions=(EndRuns(), DeleteSecret("acme-makini")))


@BOTH_WAYS
@pytest.mark.parametrize("status", [UP, {"credits": CLAIM, "intent": INTENT}, None], ids=["open", "claimed", "wiped"])
@pytest.mark.parametrize("found", [remote("c1"), remote(), NOT_LISTED], ids=["listed", "gone", "unknown"])
def test_nothing_is_closed_and_nothing_given_up_while_a_run_is_left(
    deleting: bool, status: dict[str, Any] | None, found: RemoteView
) -> None:
    assert plan(down(status, deleting=deleting, cron_jobs=LEFT, remote=found), NOW) == Plan(actions=(EndRuns(),))


@BOTH_WAYS
def test_a_refusal_to_end_them_holds_up_neither_secret_nor_credits(deleting: bool) -> None:
    seen = down(deleting=deleting, secret=INTACT, cron_jobs=LEFT, refusals=REFUSED, remote=remote("c1"))
    assert plan(seen, NOW).actions == (DeleteSecret("acme-makini"),)
    closing = down(CLOSING, deleting=deleting, cron_jobs=LEFT, refusals=REFUSED, remote=remote("c1"))
    assert plan(closing, NOW).actions == (Close(("c1",)),)
    released = status_of(replace(seen, secret=NO_SECRET, remote=remote()))
    assert (released.credits, released.connection_id) == (None, None)


@BOTH_WAYS
def test_ending_them_is_tried_again_when_its_time_has_come(deleting: bool) -> None:
    seen = down(deleting=deleting, cron_jobs=LEFT, refusals=OVERDUE, remote=remote("c1"))
    assert plan(seen, NOW).actions == (EndRuns(),)


@BOTH_WAYS
def test_a_secret_that_kubernetes_does_not_give_up_does_not_spare_them(deleting: bool) -> None:
    seen = down(deleting=deleting, secret=INTACT, cron_jobs=LEFT, refusals=SECRET_KEPT, remote=remote("c1"))
    assert plan(seen, NOW).actions == (EndRuns(),)


@BOTH_WAYS
@TROUBLED
def test_a_bad_template_does_not_matter_on_the_way_down(deleting: bool, trouble: dict[str, Any]) -> None:
    seen = down(CLOSING, deleting=deleting, remote=remote("c1"), **trouble)
    assert plan(seen, NOW).actions == (Close(("c1",)),)


def test_duplicates_of_what_somebody_ended_are_closed_after_the_workflows() -> None:
    seen = running(remote=remote("c2", gone=True), secret=NO_SECRET, cron_jobs=LEFT)
    assert plan(seen, NOW) == Plan(actions=(EndRuns(),))
    assert plan(replace(seen, cron_jobs=NO_CRON_JOBS), NOW) == Plan(actions=(Close(("c2",)),))


def test_inactive_it_starts_none_and_ends_what_is_left() -> None:
    conn = connection(status=status_of(running(remote=remote(gone=True), secret=NO_SECRET)).dump())
    assert plan(observation(conn, cron_jobs=LEFT), NOW).actions == (EndRuns(),)
    for other in (MISSING, UNTRIED, BROKEN):
        assert plan(observation(conn, cron_jobs=other, grant=GRANT), NOW).actions == ()
        assert shown(status_of(observation(conn, cron_jobs=other))) == ("Stalled", "DisconnectedRemotely")


def test_inactive_what_kubernetes_did_not_let_end_is_tried_again() -> None:
    conn = connection(status=status_of(running(remote=remote(gone=True), secret=NO_SECRET)).dump())
    refused = plan(observation(conn, cron_jobs=LEFT, refusals=REFUSED), NOW)
    assert (refused.actions, refused.requeue_after) == ((), LOOK_AGAIN)
    assert plan(observation(conn, cron_jobs=LEFT, refusals=OVERDUE), NOW).actions == (EndRuns(),)
    assert plan(observation(conn, refusals=REFUSED), NOW).requeue_after is None


@pytest.mark.parametrize("status", [None, {"observedGeneration": -1}, {"phase": "Disconnecting"}])
def test_with_a_wiped_status_and_makini_down_the_finalizer_stays_until_a_listing(status: dict[str, Any] | None) -> None:
    seen = down(status, deleting=True, remote=NOT_LISTED, pool=pool(trouble=UNREACHABLE))
    assert plan(seen, NOW).actions == ()
    assert shown(status_of(seen)) == ("Reconciling", "MakiniUnreachable")
    meanwhile = status_of(seen).dump()
    assert plan(down(meanwhile, deleting=True, remote=NOT_LISTED), NOW) == Plan(actions=(ListAccount(),))


@pytest.mark.parametrize("changes", [{"metadata_digest": "new"}, {"secret": NO_SECRET}, {"secret": aged(21)}])
def test_that_a_connection_was_renamed_is_told_as_soon_as_makini_is_needed(changes: dict[str, Any]) -> None:
    seen = running(**({"remote": RENAMED} | changes))
    decided = planned(seen)
    assert decided.actions == ()
    assert decided.status is not None
    assert shown(decided.status) == ("Stalled", "MarkerLost")
    assert "renamed" in ready(decided.status).message
    assert decided.status.credits is not None


@BOTH_WAYS
def test_a_renamed_connection_is_disconnected_once_it_has_its_name_again(deleting: bool) -> None:
    decided = plan(down(deleting=deleting, remote=RENAMED), NOW)
    assert (decided.actions, decided.requeue_after) == ((), LOOK_AGAIN)
    assert decided.status is not None
    assert shown(decided.status) == ("Reconciling", "MarkerLost")
    assert (decided.status.phase, decided.status.connection_id) == ("Disconnecting", "c1")
    closing = decided.status.dump() | {"closing": "c1"}
    assert plan(down(closing, deleting=deleting, remote=remote("c1")), NOW).actions == (Close(("c1",)),)
