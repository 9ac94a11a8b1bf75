"""The way down as a table: Secret, Makini, confirmation, release, finalizer, in this order."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.lifecycle.builders import (
    CLAIM,
    EARLIER,
    FOREIGN,
    INTACT,
    INTENT,
    NOT_LISTED,
    NOW,
    OVERDUE,
    TOKEN,
    UNREACHABLE,
    connection,
    going_down,
    observation,
    pool,
    remote,
    secret,
    shown,
    status_of,
)

from makini_operator.lifecycle.actions import Close, DeleteSecret, ListAccount, Plan, RemoveFinalizer
from makini_operator.lifecycle.observation import Observation, SecretState
from makini_operator.lifecycle.plan import plan
from makini_operator.resources.connection_status import Phase

UP: dict[str, Any] = {"credits": CLAIM, "connectionID": "c1", "connectedAt": EARLIER, "token": TOKEN}
CLOSING = UP | {"closing": "c1"}
CLAIMED: dict[str, Any] = {"credits": CLAIM, "intent": INTENT}
BOTH_WAYS = pytest.mark.parametrize("deleting", [True, False], ids=["deleted", "connected: false"])


def down(status: dict[str, Any] | None = UP, *, deleting: bool = True, **changes: Any) -> Observation:
    return observation(going_down(status, deleting=deleting), **changes)


@BOTH_WAYS
@pytest.mark.parametrize("state", [SecretState.INTACT, SecretState.ALTERED, SecretState.TOKEN_LOST])
def test_the_secret_goes_first(deleting: bool, state: SecretState) -> None:
    assert plan(down(deleting=deleting, remote=remote("c1"), secret=secret(state)), NOW) == Plan(
        actions=(DeleteSecret("acme-makini"),)
    )


@BOTH_WAYS
@pytest.mark.parametrize(
    "changes",
    [
        {"pool": None},
        {"pool": pool(trouble=UNREACHABLE)},
        {"pool": pool(is_led=False)},
        {"trouble": UNREACHABLE},
        {"remote": NOT_LISTED},
    ],
)
def test_the_secret_does_not_wait_for_makini(deleting: bool, changes: dict[str, Any]) -> None:
    seen = down(deleting=deleting, secret=INTACT, superseded_secrets=("old",), **changes)
    assert plan(seen, NOW) == Plan(actions=(DeleteSecret("old"), DeleteSecret("acme-makini")))


@BOTH_WAYS
def test_a_foreign_secret_stays(deleting: bool) -> None:
    seen = down(CLOSING, deleting=deleting, secret=FOREIGN, remote=remote("c1"))
    assert plan(seen, NOW) == Plan(actions=(Close(("c1",)),))


@BOTH_WAYS
def test_then_everything_of_ours_is_closed_at_makini(deleting: bool) -> None:
    assert plan(down(CLOSING, deleting=deleting, remote=remote("c1", "c2")), NOW) == Plan(
        actions=(Close(("c1", "c2")),)
    )


def test_a_disconnect_that_can_be_taken_back_is_recorded_before_makini_is_asked() -> None:
    seen = down(deleting=False, remote=remote("c1", "c2"))
    assert plan(seen, NOW).actions == ()
    status = status_of(seen)
    assert (status.closing, status.connection_id, status.phase) == ("c1", "c1", Phase.DISCONNECTING)
    assert status.credits is not None
    assert shown(status) == ("Reconciling", "Disconnecting")


def test_definitions_that_do_not_know_the_record_do_not_hold_up_the_disconnect() -> None:
    seen = down(deleting=False, remote=remote("c1"), may_record_closing=False)
    assert plan(seen, NOW) == Plan(actions=(Close(("c1",)),))


def test_a_deletion_or_a_revocation_is_on_record_already() -> None:
    assert plan(down(remote=remote("c1")), NOW) == Plan(actions=(Close(("c1",)),))
    revoking = UP | {"revocation": EARLIER}
    assert plan(down(revoking, deleting=False, remote=remote("c1")), NOW) == Plan(actions=(Close(("c1",)),))


def test_a_duplicate_of_what_is_not_recorded_needs_no_record() -> None:
    assert plan(down(CLAIMED, deleting=False, remote=remote("c2")), NOW) == Plan(actions=(Close(("c2",)),))


@BOTH_WAYS
@pytest.mark.parametrize("status", [UP, CLAIMED, {"credits": CLAIM}])
def test_then_the_account_is_listed_until_nothing_is_left(deleting: bool, status: dict[str, Any]) -> None:
    assert plan(down(status, deleting=deleting, remote=NOT_LISTED), NOW) == Plan(actions=(ListAccount(),))


@BOTH_WAYS
@pytest.mark.parametrize("status", [UP, CLOSING, CLAIMED, {"credits": CLAIM}])
def test_then_one_write_gives_up_claim_id_and_intent_together(deleting: bool, status: dict[str, Any]) -> None:
    decided = plan(down(status, deleting=deleting), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    left = decided.status.dump()
    gone = {
        "closing",
        "credits",
        "connectionID",
        "connectedAt",
        "intent",
        "token",
        "endpoint",
        "waiting",
        "metadataDigest",
    }
    assert not gone & set(left)
    assert shown(decided.status) == ("Ready", "Disconnected")
    assert decided.status.phase == "Disconnected"


def test_what_ended_is_in_history_and_what_was_never_open_is_not() -> None:
    (entry,) = status_of(down()).history or []
    assert entry.dump() == {
        "connectionID": "c1",
        "connectedAt": EARLIER,
        "disconnectedAt": "2025-03-01T12:00:00Z",
        "reason": "Disconnected",
    }
    assert status_of(down(CLAIMED)).history is None


def test_history_keeps_the_last_five_newest_first() -> None:
    former = [{"connectionID": f"old{n}", "disconnectedAt": EARLIER, "reason": "Disconnected"} for n in range(5)]
    history = status_of(down(UP | {"history": former})).history or []
    assert [entry.connection_id for entry in history] == ["c1", "old0", "old1", "old2", "old3"]


def test_the_finalizer_goes_last_and_in_a_write_of_its_own() -> None:
    released = status_of(down())
    assert plan(down(released.dump()), NOW) == Plan(actions=(RemoveFinalizer(),))


def test_after_the_finalizer_there_is_nothing_to_do() -> None:
    assert plan(observation(connection(deleting=True, finalizer=False)), NOW) == Plan()


def test_who_was_never_connected_is_let_go_at_once() -> None:
    assert plan(down({"waiting": {"need": 4, "available": 0}}), NOW) == Plan(actions=(RemoveFinalizer(),))
    assert plan(down(None, pool=None), NOW) == Plan(actions=(RemoveFinalizer(),))


def test_a_resource_that_was_never_wanted_connected_needs_no_finalizer_and_is_ready() -> None:
    decided = plan(observation(connection(finalizer=False, connected=False)), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert shown(decided.status) == ("Ready", "Disconnected")


@BOTH_WAYS
def test_a_connection_that_status_has_forgotten_is_closed_all_the_same(deleting: bool) -> None:
    assert plan(down(None, deleting=deleting, remote=remote("c9")), NOW) == Plan(actions=(Close(("c9",)),))


def test_disconnected_on_purpose_says_so_and_stays_as_it_is() -> None:
    released = status_of(down(deleting=False))
    again = plan(down(released.dump(), deleting=False), NOW)
    assert again.actions == ()
    assert again.status == released


@BOTH_WAYS
@pytest.mark.parametrize(
    ("changes", "reason", "after"),
    [
        ({"pool": None}, "PoolNotFound", None),
        ({"pool": pool(trouble=UNREACHABLE)}, "MakiniUnreachable", timedelta(seconds=5)),
        ({"trouble": UNREACHABLE}, "MakiniUnreachable", timedelta(seconds=5)),
    ],
)
def test_while_makini_cannot_be_asked_credits_and_finalizer_stay(
    deleting: bool, changes: dict[str, Any], reason: str, after: timedelta | None
) -> None:
    decided = plan(down(deleting=deleting, **({"remote": remote("c1")} | changes)), NOW)
    assert decided.actions == ()
    assert decided.requeue_after == after
    assert decided.status is not None
    assert decided.status.credits is not None
    assert decided.status.connection_id == "c1"
    assert shown(decided.status) == ("Reconciling", reason)
    assert decided.status.phase == "Disconnecting"
    assert (decided.status.conditions or [])[0].message.startswith("disconnecting, and not confirmed by Makini yet")


def test_a_pool_that_is_gone_is_named_by_the_claim_and_not_by_the_spec() -> None:
    status = status_of(down(UP | {"credits": CLAIM | {"pool": "former"}}, pool=None))
    assert "CreditPool former" in (status.conditions or [])[0].message


def test_when_the_pause_is_over_it_is_tried_again() -> None:
    assert plan(down(trouble=OVERDUE, remote=remote("c1")), NOW).actions == (Close(("c1",)),)


def test_another_process_that_leads_the_pool_does_the_work() -> None:
    assert plan(down(pool=pool(is_led=False), remote=NOT_LISTED), NOW) == Plan()


def test_a_pool_that_is_being_deleted_or_on_hold_still_disconnects() -> None:
    for held in (pool(is_deleting=True), pool(hold=True)):
        assert plan(down(pool=held, remote=remote("c1")), NOW).actions == (Close(("c1",)),)


def test_a_missing_login_does_not_matter_on_the_way_down() -> None:
    seen = replace(down(remote=remote("c1")), is_login_present=False)
    assert plan(seen, NOW).actions == (Close(("c1",)),)


# --- wanted again while it is being closed ---------------------------------------------------------------------------


def wanted_again(**changes: Any) -> Observation:
    return observation(connection(status=CLOSING), **changes)


def test_a_disconnect_that_was_recorded_is_not_taken_back() -> None:
    assert plan(wanted_again(remote=remote("c1")), NOW) == Plan(actions=(Close(("c1",)),))


def test_a_disconnect_that_was_begun_is_confirmed_before_anything_is_opened_again() -> None:
    assert plan(wanted_again(remote=NOT_LISTED), NOW) == Plan(actions=(ListAccount(),))
    closed = wanted_again(remote=remote())
    assert plan(closed, NOW).actions == ()
    status = status_of(closed)
    assert (status.credits, status.connection_id, status.closing) == (None, None, None)
    assert status.phase is Phase.CONNECTING
    assert [entry.reason for entry in status.history or []] == ["Disconnected"]
    assert shown(status) == ("Reconciling", "Connecting")


def test_what_is_left_of_it_goes_first_and_its_duplicates_too() -> None:
    made = plan(wanted_again(remote=remote(), secret=secret(SecretState.INTACT)), NOW)
    assert made == Plan(actions=(DeleteSecret("acme-makini"),))
    assert plan(wanted_again(remote=remote("c2")), NOW) == Plan(actions=(Close(("c2",)),))


def test_while_makini_is_down_it_says_that_it_is_being_disconnected() -> None:
    status = status_of(wanted_again(pool=pool(trouble=UNREACHABLE)))
    assert (status.phase, shown(status)[0]) == (Phase.DISCONNECTING, "Reconciling")
    assert status.credits is not None
