"""How a situation is told: honest to kstatus, and derived from the facts in status."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cluster.kstatus import check_honest, compute
from tests.unit.lifecycle.builders import CLAIM, INTENT, NOW, TOKEN, connection

from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.resources.conditions import find
from makini_operator.resources.connection_status import Claim, MakiniConnectionStatus, Phase
from makini_operator.resources.reasons import ConditionType, Reason

DONE = Report(Phase.ACTIVE, Progress.DONE, Reason.CONNECTED, "connected")
WORKING = Report(Phase.CONNECTING, Progress.WORKING, Reason.CONNECTING, "being opened")
STUCK = Report(Phase.FAILED, Progress.STUCK, Reason.EXCEEDS_POOL, "too large")
OFF = Report(Phase.DISCONNECTED, Progress.DONE, Reason.DISCONNECTED, "disconnected")
ENDED = Report(Phase.INACTIVE, Progress.STUCK, Reason.DISCONNECTED_REMOTELY, "ended by somebody else")
ENDING = Report(Phase.DISCONNECTING, Progress.WORKING, Reason.MAKINI_UNREACHABLE, "not confirmed")
CONFLICT = Report(Phase.FAILED, Progress.STUCK, Reason.SECRET_CONFLICT, "not ours")

REPORTS = st.builds(
    Report, st.sampled_from(Phase), st.sampled_from(Progress), st.sampled_from(Reason), st.text("ab", min_size=1)
)
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "credits": st.just(CLAIM),
        "intent": st.just(INTENT),
        "token": st.just(TOKEN),
        "connectionID": st.just("c1"),
        "waiting": st.just({"need": 4, "available": 1}),
    },
)


def told(report: Report, **status: Any) -> MakiniConnectionStatus:
    return tell(connection(status=status), report, now=NOW)


def as_object(status: MakiniConnectionStatus, generation: int) -> dict[str, Any]:
    return {"kind": "MakiniConnection", "metadata": {"generation": generation}, "status": status.dump()}


@pytest.mark.parametrize(
    ("report", "word"),
    [
        (DONE, "Current"),
        (OFF, "Current"),
        (WORKING, "InProgress"),
        (ENDING, "InProgress"),
        (STUCK, "Failed"),
        (ENDED, "Failed"),
    ],
)
def test_kstatus_reads_done_working_and_stuck(report: Report, word: str) -> None:
    assert compute(as_object(told(report), 1))[0] == word


@given(REPORTS, REPORTS, STATUSES, st.integers(1, 9))
def test_no_situation_is_told_dishonestly(
    first: Report, second: Report, status: dict[str, Any], generation: int
) -> None:
    before = tell(connection(status=status), first, now=NOW)
    after = tell(connection(generation=generation, status=before.dump()), second, now=NOW)
    check_honest(as_object(after, generation))
    ready = find(after.conditions or [], ConditionType.READY)
    assert ready is not None
    assert (ready.reason, ready.message) == (second.reason, second.message)
    assert (ready.status == "True") == (second.progress is Progress.DONE)


@given(REPORTS, STATUSES)
def test_the_same_situation_told_again_is_the_same_status(report: Report, status: dict[str, Any]) -> None:
    once = told(report, **status)
    assert tell(connection(status=once.dump()), report, now=NOW) == once


@pytest.mark.parametrize(
    ("report", "status", "kind", "expected"),
    [
        (DONE, {"credits": CLAIM}, "CreditsHeld", ("True", "CreditsGranted")),
        (WORKING, {"waiting": {"need": 4, "available": 1}}, "CreditsHeld", ("False", "WaitingForCredits")),
        (OFF, {}, "CreditsHeld", ("False", "CreditsReturned")),
        (ENDED, {}, "CreditsHeld", ("False", "CreditsReturned")),
        (ENDING, {"credits": CLAIM}, "CreditsHeld", ("True", "CreditsGranted")),
        (STUCK, {}, "CreditsHeld", ("False", "ExceedsPool")),
        (DONE, {"connectionID": "c1"}, "Connected", ("True", "Connected")),
        (WORKING, {"intent": INTENT}, "Connected", ("Unknown", "Connecting")),
        (OFF, {}, "Connected", ("False", "Disconnected")),
        (ENDED, {}, "Connected", ("False", "DisconnectedRemotely")),
        (STUCK, {}, "Connected", ("False", "NotConnected")),
        (DONE, {"token": TOKEN}, "TokenReady", ("True", "TokenPublished")),
        (WORKING, {}, "TokenReady", ("False", "TokenPending")),
        (OFF, {}, "TokenReady", ("False", "TokenRemoved")),
        (ENDED, {}, "TokenReady", ("False", "TokenRemoved")),
        (ENDING, {}, "TokenReady", ("False", "TokenRemoved")),
        (CONFLICT, {}, "TokenReady", ("False", "SecretConflict")),
        (CONFLICT, {"token": TOKEN}, "TokenReady", ("False", "SecretConflict")),
    ],
)
def test_the_other_conditions_follow_from_the_facts(
    report: Report, status: dict[str, Any], kind: str, expected: tuple[str, str]
) -> None:
    found = find(told(report, **status).conditions or [], ConditionType(kind))
    assert found is not None
    assert (found.status, found.reason) == expected


def test_a_token_counts_as_dead_only_when_makini_has_confirmed() -> None:
    ending = find(told(ENDING, credits=CLAIM).conditions or [], ConditionType.TOKEN_READY)
    ended = find(told(OFF).conditions or [], ConditionType.TOKEN_READY)
    assert ending is not None
    assert ended is not None
    assert "dies when Makini confirms" in ending.message
    assert "the token is invalid" in ended.message


def test_facts_change_in_the_same_status_as_the_words() -> None:
    claim = Claim.model_validate(CLAIM)
    status = tell(connection(), WORKING, now=NOW, facts={"credits": claim})
    held = find(status.conditions or [], ConditionType.CREDITS_HELD)
    assert status.credits == claim
    assert held is not None
    assert held.message == "holds 4 credits of pool production (tier III)"
