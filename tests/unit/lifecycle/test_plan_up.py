"""The way up as a table: in this situation, this is the next step."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.lifecycle.builders import (
    CLAIM,
    EARLIER,
    ELSEWHERE,
    FOREIGN,
    GRANT,
    INTACT,
    INTENT,
    LIFE,
    NOT_LISTED,
    NOW,
    OVERDUE,
    REFUSED,
    TOKEN,
    UNREACHABLE,
    connection,
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

from makini_operator.credits.ledger import Obstacle
from makini_operator.credits.queue import Notice
from makini_operator.lifecycle.actions import (
    Action,
    AddFinalizer,
    Close,
    DeleteSecret,
    ListAccount,
    Open,
    Plan,
    PublishToken,
    RepairSecret,
    RequestCredits,
    SendMetadata,
)
from makini_operator.lifecycle.observation import Observation, SecretState
from makini_operator.lifecycle.plan import plan
from makini_operator.lifecycle.steps import LOOK_AGAIN
from makini_operator.resources.systems import Tier

ASK = RequestCredits(4, Tier.III)
CLAIMED = connection(status={"credits": CLAIM, "intent": INTENT})
OPEN = connection(status={"credits": CLAIM, "connectionID": "c1", "connectedAt": EARLIER})
ACTIVE = connection(status={"credits": CLAIM, "connectionID": "c1", "connectedAt": EARLIER, "token": TOKEN})


def opened(conn: Any = OPEN, **changes: Any) -> Observation:
    """Open at Makini as c1."""
    return observation(conn, **({"remote": remote("c1")} | changes))


# --- one step after the other --------------------------------------------------------------------------------------


def test_the_finalizer_comes_before_everything() -> None:
    assert plan(observation(connection(finalizer=False), grant=GRANT, remote=NOT_LISTED), NOW) == Plan(
        actions=(AddFinalizer(),)
    )


def test_then_credits_are_asked_for_and_nothing_is_said_before_the_queue_was_looked_at() -> None:
    assert plan(observation(), NOW) == Plan(actions=(ASK,))


def test_who_waits_says_how_many_credits_are_missing_and_keeps_asking() -> None:
    decided = plan(observation(pool=pool(notice=told(3))), NOW)
    assert decided.actions == (ASK,)
    assert decided.status is not None
    assert decided.status.dump()["waiting"] == {
        "need": 4,
        "available": 3,
        "position": 1,
        "reason": "WaitingForCredits",
    }
    assert shown(decided.status) == ("Reconciling", "WaitingForCredits")


@pytest.mark.parametrize(
    ("notice", "reason", "words"),
    [
        (told(3, 7), "WaitingForCredits", "number 7 in the queue"),
        (told(9, 2, Obstacle.NAMESPACE), "NamespaceLimitReached", "namespace tenant holds as much as it may (8)"),
        (told(9, 2, Obstacle.LINE), "WaitingInLine", "strictly in order"),
    ],
)
def test_who_waits_is_told_what_for(notice: Notice, reason: str, words: str) -> None:
    status = status_of(observation(pool=pool(notice=notice, namespace_limit=8)))
    assert shown(status) == ("Reconciling", reason)
    assert words in ready(status).message
    assert status.waiting is not None
    assert status.waiting.reason == reason


def test_a_namespace_that_may_never_hold_that_much_is_told_at_once() -> None:
    status = status_of(observation(pool=pool(namespace_limit=3)))
    assert shown(status) == ("Stalled", "ExceedsNamespaceLimit")
    assert "maxCreditsPerNamespace" in ready(status).message


def test_a_pool_on_hold_is_waited_for() -> None:
    decided = plan(observation(pool=pool(hold=True, notice=told(12))), NOW)
    assert decided.actions == (ASK,)
    assert decided.status is not None
    assert shown(decided.status) == ("Reconciling", "PoolOnHold")


def test_claim_and_intent_are_recorded_in_one_write_and_nothing_is_done_before_it() -> None:
    decided = plan(observation(grant=GRANT), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert decided.status.credits is not None
    assert (decided.status.credits.amount, decided.status.credits.pool_uid) == (4, "pool-uid")
    assert decided.status.intent is not None
    assert (decided.status.intent.incarnation, decided.status.intent.attempt) == ("me", 1)
    assert decided.status.connection_id is None


def test_credits_that_were_granted_are_claimed_as_they_were_granted_and_not_priced_again() -> None:
    status = status_of(observation(grant=replace(GRANT, amount=9, tier=Tier.II)))
    assert status.credits is not None
    assert (status.credits.amount, status.credits.tier) == (9, Tier.II)


def test_who_is_open_at_makini_already_is_adopted_with_the_claim() -> None:
    status = status_of(observation(grant=GRANT, remote=remote("c1", "c2")))
    assert status.credits is not None
    assert (status.connection_id, status.intent) == ("c1", None)


def test_a_fresh_intent_allows_one_post() -> None:
    assert plan(observation(CLAIMED, may_post=True), NOW) == Plan(actions=(Open(4),))


def test_the_price_that_was_claimed_is_the_price_in_the_marker() -> None:
    conn = connection(status={"credits": CLAIM | {"amount": 7}, "intent": INTENT})
    assert plan(observation(conn, may_post=True), NOW).actions == (Open(7),)


def test_the_id_is_recorded_and_the_intent_cleared_in_one_write() -> None:
    status = status_of(observation(CLAIMED, remote=remote("c1")))
    assert (status.connection_id, status.intent) == ("c1", None)
    assert status.connected_at == "2025-03-01T12:00:00Z"
    assert shown(status) == ("Reconciling", "Connecting")


def test_metadata_and_token_follow() -> None:
    decided = plan(opened(metadata_at_makini=None), NOW)
    assert decided == Plan(actions=(SendMetadata("c1"), PublishToken("c1")))


def test_when_all_is_as_it_should_be_the_status_says_so_and_the_token_has_its_date() -> None:
    decided = plan(opened(secret=INTACT), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert shown(decided.status) == ("Ready", "Connected")
    assert decided.status.endpoint == "https://api.makini.io"
    assert decided.status.dump()["token"] == {
        "secretName": "acme-makini",
        "issuedAt": "2025-03-01T12:00:00Z",
        "expiresAt": "2025-03-31T12:00:00Z",
        "rotateAt": "2025-03-19T14:44:52Z",  # two thirds of its life, and for this uid six hundredths less
    }
    assert decided.requeue_after == timedelta(days=18, hours=2, minutes=44, seconds=52)


def test_a_connection_at_rest_is_not_written_again() -> None:
    status = status_of(opened(secret=INTACT))
    assert status_of(opened(connection(status=status.dump()), secret=INTACT)) == status


# --- an outcome that is unknown ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "situation",
    [
        observation(CLAIMED, remote=NOT_LISTED),
        observation(CLAIMED, remote=NOT_LISTED, trouble=OVERDUE),
        observation(connection(status={"credits": CLAIM}), remote=NOT_LISTED),
        observation(CLAIMED, remote=replace(NOT_LISTED, ids=("c1",))),
    ],
)
def test_an_unknown_outcome_leads_to_a_listing_and_never_to_a_second_post(situation: Observation) -> None:
    assert plan(situation, NOW) == Plan(actions=(ListAccount(),))


@pytest.mark.parametrize("incarnation", ["me", "former"])
def test_when_nothing_was_found_a_new_intent_starts_again(incarnation: str) -> None:
    conn = connection(status={"credits": CLAIM, "intent": INTENT | {"incarnation": incarnation, "attempt": 3}})
    decided = plan(observation(conn), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert decided.status.intent is not None
    assert (decided.status.intent.incarnation, decided.status.intent.attempt) == ("me", 4)


def test_what_was_found_is_adopted_smallest_id_first() -> None:
    assert status_of(observation(CLAIMED, remote=remote("c1", "c2"), trouble=OVERDUE)).connection_id == "c1"


def test_after_a_failure_the_pause_is_kept_and_the_cause_is_told() -> None:
    decided = plan(observation(CLAIMED, may_post=False, trouble=UNREACHABLE), NOW)
    assert decided.actions == ()
    assert decided.requeue_after == timedelta(seconds=5)
    assert decided.status is not None
    assert shown(decided.status) == ("Reconciling", "MakiniUnreachable")
    assert decided.status.credits is not None


def test_a_second_attempt_keeps_telling_why_the_first_failed() -> None:
    assert shown(status_of(observation(CLAIMED, trouble=OVERDUE))) == ("Reconciling", "MakiniUnreachable")


# --- refused by Makini ---------------------------------------------------------------------------------------------


def test_a_refusal_is_believed_only_after_a_listing() -> None:
    assert plan(observation(CLAIMED, trouble=REFUSED, remote=NOT_LISTED), NOW) == Plan(actions=(ListAccount(),))


def test_what_is_open_in_spite_of_a_refusal_is_closed() -> None:
    assert plan(observation(CLAIMED, trouble=REFUSED, remote=remote("c1")), NOW) == Plan(actions=(Close(("c1",)),))


def test_a_refusal_gives_the_credits_back_and_stalls() -> None:
    decided = plan(observation(CLAIMED, trouble=REFUSED), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert (decided.status.credits, decided.status.intent) == (None, None)
    assert shown(decided.status) == ("Stalled", "CredentialsRejected")
    assert decided.status.phase == "Failed"


def test_who_was_refused_does_not_ask_for_credits_again_until_something_changes() -> None:
    decided = plan(observation(trouble=REFUSED, grant=GRANT), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert decided.status.credits is None
    assert shown(decided.status) == ("Stalled", "CredentialsRejected")
    assert plan(observation(trouble=None), NOW).actions == (ASK,)


# --- obstacles before credits are booked ---------------------------------------------------------------------------

UNKNOWN = {"system": {"name": "acme-erp", "deployment": "Cloud"}}
ON_PREMISES = {"system": {"name": "sap-s4hana", "deployment": "OnPremises"}}
LARGE = {"system": {"name": "sap-ecc", "deployment": "OnPremises"}}
SANDBOX = {"environment": "Sandbox"}


@pytest.mark.parametrize(
    ("situation", "progress", "reason", "remedy"),
    [
        (observation(pool=None), "Reconciling", "PoolNotFound", "mend spec.poolRef.name"),
        (observation(connection(**UNKNOWN)), "Stalled", "UnknownSystem", "mend spec.system.name"),
        (observation(connection(**ON_PREMISES)), "Stalled", "DeploymentNotOffered", "mend spec.system.deployment"),
        (observation(connection(**SANDBOX)), "Stalled", "NoSandboxAccount", "ask for spec.account.sandbox"),
        (
            observation(connection(**LARGE), pool=pool(limit=7)),
            "Stalled",
            "ExceedsPool",
            "raise the pool's spec.credits",
        ),
        (observation(secret=FOREIGN), "Stalled", "SecretConflict", "choose another spec.token.secretName"),
        (observation(is_login_present=False), "Reconciling", "LoginSecretNotFound", "create it"),
        (observation(pool=pool(is_deleting=True)), "Reconciling", "PoolDeleting", "name another pool"),
        (observation(pool=pool(trouble=UNREACHABLE)), "Reconciling", "PoolNotReady", "Makini does not answer"),
        (observation(installation_trouble=ELSEWHERE), "Stalled", "InstallationElsewhere", "another cluster"),
    ],
)
def test_no_credits_are_booked_for_what_cannot_work(
    situation: Observation, progress: str, reason: str, remedy: str
) -> None:
    for seen in (situation, replace(situation, grant=GRANT)):
        decided = plan(seen, NOW)
        assert decided.actions == ()
        assert decided.status is not None
        assert shown(decided.status) == (progress, reason)
        assert remedy in (decided.status.conditions or [])[0].message
        assert decided.status.credits is None


@pytest.mark.parametrize("situation", [observation(secret=FOREIGN), observation(is_login_present=False)])
def test_secrets_that_send_no_event_are_looked_at_again(situation: Observation) -> None:
    assert plan(situation, NOW).requeue_after == LOOK_AGAIN


def test_sample_data_is_free_and_needs_only_a_sandbox() -> None:
    situation = observation(connection(**SANDBOX), pool=pool(has_sandbox=True, limit=0))
    assert plan(situation, NOW).actions == (RequestCredits(0, Tier.III),)


@pytest.mark.parametrize(
    "situation",
    [
        observation(pool=pool(is_led=False), grant=GRANT),
        observation(CLAIMED, pool=pool(is_led=False), may_post=True),
        opened(pool=pool(is_led=False)),
    ],
)
def test_nothing_is_done_for_a_pool_that_another_process_leads(situation: Observation) -> None:
    assert plan(situation, NOW) == Plan()


def test_credits_are_asked_for_only_after_the_account_was_listed() -> None:
    assert plan(observation(remote=NOT_LISTED), NOW) == Plan(actions=(ListAccount(),))


@pytest.mark.parametrize(
    "situation",
    [
        observation(connection(finalizer=False), installation_trouble=ELSEWHERE),
        observation(CLAIMED, installation_trouble=ELSEWHERE, may_post=True),
        opened(installation_trouble=ELSEWHERE, secret=secret(SecretState.TOKEN_LOST)),
        opened(connection(deleting=True, status=OPEN.status.dump()), installation_trouble=ELSEWHERE, secret=INTACT),
    ],
)
def test_an_installation_of_another_cluster_does_nothing_at_all(situation: Observation) -> None:
    decided = plan(situation, NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert shown(decided.status) == ("Stalled", "InstallationElsewhere")


def test_trouble_with_the_account_stops_an_opening_even_with_a_fresh_intent() -> None:
    decided = plan(observation(CLAIMED, may_post=True, pool=pool(trouble=UNREACHABLE)), NOW)
    assert decided.actions == ()
    assert decided.requeue_after == timedelta(seconds=5)


# --- keeping it so -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "actions"),
    [
        ({"secret": secret(SecretState.ABSENT)}, (PublishToken("c1"),)),
        ({"secret": secret(SecretState.TOKEN_LOST)}, (PublishToken("c1"),)),
        ({"secret": secret(SecretState.ALTERED)}, (RepairSecret("c1"),)),
        ({"secret": INTACT, "metadata_digest": "new"}, (SendMetadata("c1"),)),
        ({"secret": INTACT, "superseded_secrets": ("old",)}, (DeleteSecret("old"),)),
        ({"secret": INTACT, "remote": remote("c0", "c1", "c2")}, (Close(("c0", "c2")),)),
        (
            {"superseded_secrets": ("old",), "metadata_digest": "new", "remote": remote("c1", "c2")},
            (Close(("c2",)), SendMetadata("c1"), PublishToken("c1"), DeleteSecret("old")),
        ),
    ],
)
def test_drift_is_repaired(changes: dict[str, Any], actions: tuple[Action, ...]) -> None:
    assert plan(opened(ACTIVE, **changes), NOW).actions == actions


def test_a_new_secret_is_published_before_the_old_one_goes() -> None:
    actions = plan(opened(ACTIVE, superseded_secrets=("old",)), NOW).actions
    assert actions == (PublishToken("c1"), DeleteSecret("old"))


@pytest.mark.parametrize(("age", "is_due"), [(0, False), (17, False), (20, True), (29, True), (40, True)])
def test_a_token_is_renewed_after_two_thirds_of_its_life(age: int, is_due: bool) -> None:
    issued = NOW - timedelta(days=age)
    seen = opened(ACTIVE, secret=replace(INTACT, issued_at=issued, expires_at=issued + LIFE))
    assert planned(seen).actions == ((PublishToken("c1"),) if is_due else ())


def test_no_duplicate_is_closed_while_the_recorded_one_is_not_seen() -> None:
    assert plan(opened(ACTIVE, remote=remote("c2"), secret=INTACT), NOW).actions == ()
    assert plan(opened(ACTIVE, remote=remote("c2")), NOW).actions == (ListAccount(),)


def test_no_token_is_minted_for_a_connection_that_is_not_listed() -> None:
    assert plan(opened(ACTIVE, remote=NOT_LISTED), NOW) == Plan(actions=(ListAccount(),))


def test_a_secret_can_be_repaired_while_makini_is_down() -> None:
    seen = opened(ACTIVE, remote=NOT_LISTED, pool=pool(trouble=UNREACHABLE), secret=secret(SecretState.ALTERED))
    assert plan(seen, NOW).actions == (RepairSecret("c1"),)


def test_makini_being_down_does_not_make_a_connected_system_unready() -> None:
    seen = opened(ACTIVE, remote=NOT_LISTED, pool=pool(trouble=UNREACHABLE), secret=INTACT)
    assert shown(status_of(seen)) == ("Ready", "Connected")


def test_a_lost_token_waits_for_makini_and_says_so() -> None:
    seen = opened(ACTIVE, remote=NOT_LISTED, pool=pool(trouble=UNREACHABLE))
    decided = plan(seen, NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert shown(decided.status) == ("Reconciling", "MakiniUnreachable")


def test_a_foreign_secret_is_left_alone_and_named() -> None:
    decided = plan(opened(secret=FOREIGN), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert shown(decided.status) == ("Stalled", "SecretConflict")
    assert "belongs to Deployment shop" in (decided.status.conditions or [])[0].message
    assert decided.status.credits is not None


def test_a_connection_with_its_pool_gone_says_which_pool() -> None:
    assert shown(status_of(opened(ACTIVE, pool=None))) == ("Reconciling", "PoolNotFound")


# --- ended by somebody else ----------------------------------------------------------------------------------------

GONE = {"remote": remote(gone=True)}
INACTIVE = status_of(observation(ACTIVE, remote=remote(gone=True)))


def test_the_secret_goes_before_anything_is_said() -> None:
    assert plan(opened(ACTIVE, secret=INTACT, **GONE), NOW) == Plan(actions=(DeleteSecret("acme-makini"),))


def test_credits_return_and_it_stalls_and_history_names_it() -> None:
    assert shown(INACTIVE) == ("Stalled", "DisconnectedRemotely")
    assert (INACTIVE.credits, INACTIVE.connection_id, INACTIVE.intent, INACTIVE.token) == (None, None, None, None)
    (entry,) = INACTIVE.history or []
    assert (entry.connection_id, entry.reason) == ("c1", "DisconnectedRemotely")


@pytest.mark.parametrize("generation", [1, 2])
def test_it_is_not_opened_again_by_itself_whatever_else_changes(generation: int) -> None:
    conn = connection(generation=generation, status=INACTIVE.dump(), metadata={"plan": "gold"})
    decided = plan(observation(conn, grant=GRANT, pool=pool(notice=told(12))), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert shown(decided.status) == ("Stalled", "DisconnectedRemotely")
    assert decided.status.credits is None


def test_it_is_opened_again_after_connected_was_off_and_on() -> None:
    off = status_of(observation(connection(generation=2, connected=False, status=INACTIVE.dump())))
    assert shown(off) == ("Ready", "Disconnected")
    assert plan(observation(connection(generation=3, status=off.dump())), NOW).actions == (ASK,)


def test_one_missing_row_in_a_listing_is_not_the_end() -> None:
    assert shown(status_of(opened(ACTIVE, remote=remote(), secret=INTACT))) == ("Ready", "Connected")


def test_what_an_account_in_trouble_does_not_show_is_not_gone() -> None:
    seen = opened(ACTIVE, pool=pool(trouble=UNREACHABLE), secret=INTACT, **GONE)
    assert shown(status_of(seen)) == ("Ready", "Connected")


def test_duplicates_of_what_somebody_ended_are_closed_before_the_credits_return() -> None:
    assert plan(opened(ACTIVE, remote=remote("c2", gone=True)), NOW) == Plan(actions=(Close(("c2",)),))
    paused = plan(opened(ACTIVE, remote=remote("c2", gone=True), trouble=UNREACHABLE), NOW)
    assert (paused.actions, paused.status, paused.requeue_after) == ((), None, timedelta(seconds=5))


def test_a_late_duplicate_of_an_inactive_connection_is_closed() -> None:
    decided = plan(observation(connection(status=INACTIVE.dump()), remote=remote("c2")), NOW)
    assert decided.actions == (Close(("c2",)),)


def test_an_interlude_does_not_make_it_forget_that_somebody_ended_it() -> None:
    meanwhile = status_of(observation(connection(status=INACTIVE.dump()), installation_trouble=ELSEWHERE))
    assert shown(meanwhile) == ("Stalled", "InstallationElsewhere")
    after = plan(observation(connection(status=meanwhile.dump())), NOW)
    assert after.actions == ()
    assert after.status is not None
    assert shown(after.status) == ("Stalled", "DisconnectedRemotely")
