"""Events: each thing that happens is told once, when it happens."""

import itertools
from typing import Any

import pytest
from tests.unit.lifecycle.builders import CLAIM, EARLIER, INTENT, TOKEN

from makini_operator.lifecycle.happenings import happenings
from makini_operator.resources.connection_status import MakiniConnectionStatus

UP: dict[str, Any] = {"credits": CLAIM, "connectionID": "c1", "token": TOKEN}


def stalled(reason: str, message: str = "mend it") -> dict[str, Any]:
    condition = {
        "type": "Stalled",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": EARLIER,
    }
    return {"conditions": [condition]}


def ended(reason: str) -> dict[str, Any]:
    return {"history": [{"connectionID": "c1", "disconnectedAt": EARLIER, "reason": reason}]}


def told(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, bool]]:
    before, after = MakiniConnectionStatus.model_validate(old), MakiniConnectionStatus.model_validate(new)
    return [(happening.reason, happening.is_warning) for happening in happenings(before, after)]


@pytest.mark.parametrize(
    ("old", "new", "events"),
    [
        ({}, {}, []),
        ({}, {"waiting": {"need": 4, "available": 0}}, []),
        ({}, {"credits": CLAIM, "intent": INTENT}, [("CreditsGranted", False)]),
        ({"credits": CLAIM, "intent": INTENT}, {"credits": CLAIM, "connectionID": "c1"}, []),
        ({"credits": CLAIM, "connectionID": "c1"}, UP, [("Connected", False)]),
        (UP, UP, []),
        (UP, UP | {"token": TOKEN | {"secretName": "other"}}, []),
        (UP, ended("Disconnected"), [("Disconnected", False), ("CreditsReturned", False)]),
        (UP, ended("DisconnectedRemotely"), [("Disconnected", True), ("CreditsReturned", False)]),
        (
            UP,
            ended("DisconnectedRemotely") | stalled("DisconnectedRemotely"),
            [("Disconnected", True), ("CreditsReturned", False), ("DisconnectedRemotely", True)],
        ),
        ({"credits": CLAIM}, {}, [("CreditsReturned", False)]),
        (
            {"credits": CLAIM},
            stalled("CredentialsRejected"),
            [("CreditsReturned", False), ("CredentialsRejected", True)],
        ),
        ({}, stalled("ExceedsPool"), [("ExceedsPool", True)]),
        (stalled("ExceedsPool"), stalled("ExceedsPool"), []),
        (stalled("ExceedsPool"), stalled("ExceedsPool", "in other words"), []),
        (stalled("ExceedsPool"), stalled("UnknownSystem"), [("UnknownSystem", True)]),
        (stalled("ExceedsPool"), {}, []),
    ],
)
def test_what_is_told_between_two_statuses(
    old: dict[str, Any], new: dict[str, Any], events: list[tuple[str, bool]]
) -> None:
    assert told(old, new) == events


def test_a_whole_life_tells_each_thing_once() -> None:
    opening = {"credits": CLAIM, "intent": INTENT}
    opened = {"credits": CLAIM, "connectionID": "c1"}
    life: list[dict[str, Any]] = [
        {},
        {},
        opening,
        opening,
        opened,
        opened,
        UP,
        UP,
        ended("Disconnected"),
        ended("Disconnected"),
    ]
    events = [event for old, new in itertools.pairwise(life) for event, _ in told(old, new)]
    assert events == ["CreditsGranted", "Connected", "Disconnected", "CreditsReturned"]


def test_an_event_names_what_a_person_looks_for() -> None:
    empty, up = MakiniConnectionStatus(), MakiniConnectionStatus.model_validate(UP)
    granted, connected = happenings(empty, up)
    assert granted.message == "4 credits granted from pool production"
    assert connected.message == "connected at Makini as c1; token published in Secret acme-makini"
    gone, returned = happenings(up, empty)
    assert gone.message == "connection c1 disconnected as asked"
    assert returned.message == "4 credits returned to pool production"
