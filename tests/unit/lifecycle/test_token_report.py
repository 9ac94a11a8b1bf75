"""What TokenReady and the Events say about a token, from the facts alone."""

from typing import Any

import pytest
from tests.unit.lifecycle.builders import NOW, TOKEN, connection

from makini_operator.lifecycle.happenings import happenings
from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.resources.conditions import Condition, find
from makini_operator.resources.connection_status import MakiniConnectionStatus, Phase
from makini_operator.resources.reasons import ConditionType, Reason

ROTATION = {"attempt": 1, "reason": "Due", "startedAt": "2025-03-01T12:00:00Z"}
SHORT = TOKEN | {"issuedAt": "2025-03-01T12:00:00Z", "expiresAt": "2025-03-01T13:00:00Z"}


def status(token: dict[str, Any], **more: Any) -> MakiniConnectionStatus:
    return connection(status={"connectionID": "c1", "token": token} | more).status


def token_ready(token: dict[str, Any], reason: Reason = Reason.CONNECTED, message: str = "connected") -> Condition:
    report = Report(Phase.ACTIVE, Progress.DONE, reason, message)
    told = tell(connection(status={"connectionID": "c1", "token": token}), report, now=NOW)
    found = find(told.conditions or [], ConditionType.TOKEN_READY)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("token", "reason", "words"),
    [
        (TOKEN, "TokenPublished", "valid until"),
        (SHORT, "TokenShortLived", "it lives only 1:00:00"),
        (TOKEN | {"rotation": ROTATION}, "TokenRotating", "a new one is being made"),
        (TOKEN | {"attempt": 1, "rotation": ROTATION}, "TokenRotating", "workloads are being restarted"),
        (
            TOKEN | {"attempt": 1, "previousExpiresAt": "2025-03-31T00:00:00Z", "rotation": ROTATION},
            "TokenRotating",
            "still holds the previous token",
        ),
        (TOKEN | {"attempt": 1, "rotation": ROTATION | {"previous": "Ended"}}, "TokenRotating", "no overlap"),
    ],
)
def test_while_it_is_published_it_is_ready_and_says_what_goes_on(
    token: dict[str, Any], reason: str, words: str
) -> None:
    found = token_ready(token)
    assert (found.status, found.reason) == ("True", reason)
    assert words in found.message


@pytest.mark.parametrize(
    "reason", [Reason.READERS_REFUSED, Reason.STORES_NOT_SERVED, Reason.STORE_NOT_READY, Reason.STORE_REFUSED]
)
def test_a_token_that_does_not_reach_all_who_should_get_it_is_not_ready(reason: Reason) -> None:
    found = token_ready(TOKEN, reason, "store vault: denied")
    assert (found.status, found.reason) == ("False", reason)
    assert "but store vault: denied" in found.message


@pytest.mark.parametrize(
    ("old", "new", "reasons"),
    [
        (TOKEN, TOKEN, []),
        (TOKEN, TOKEN | {"rotation": ROTATION}, []),
        (TOKEN | {"rotation": ROTATION}, TOKEN | {"attempt": 1, "rotation": ROTATION}, ["TokenRotated"]),
        (
            TOKEN | {"attempt": 1, "rotation": ROTATION},
            TOKEN | {"attempt": 1, "rotation": ROTATION | {"previous": "Ended"}},
            ["PreviousTokenEnded"],
        ),
        (TOKEN, SHORT, ["TokenShortLived"]),
        (SHORT, SHORT | {"attempt": 1}, ["TokenRotated"]),
    ],
)
def test_each_thing_is_told_once(old: dict[str, Any], new: dict[str, Any], reasons: list[str]) -> None:
    assert [h.reason for h in happenings(status(old), status(new))] == reasons
