"""What is counted of tokens, and that nothing of a single connection is in it."""

from types import SimpleNamespace
from typing import Any

from tests.unit.lifecycle.builders import TOKEN, connection

from makini_operator.controllers.token_metrics import token_metrics

ROTATION = {"attempt": 1, "reason": "Due", "startedAt": "2025-03-01T12:00:00Z"}
SHORT = TOKEN | {"issuedAt": "2025-03-01T12:00:00Z", "expiresAt": "2025-03-01T13:00:00Z"}
STUCK = {
    "type": "TokenReady",
    "status": "True",
    "reason": "RolloutStuck",
    "message": "stuck",
    "lastTransitionTime": "2025-03-01T12:00:00Z",
}


def collected(*statuses: dict[str, Any]) -> dict[str, float]:
    world: Any = SimpleNamespace(connections=[connection(status=status) for status in statuses])
    samples = [sample for metric in token_metrics(world) for sample in metric.samples]
    return {sample.labels.get("state", sample.name): sample.value for sample in samples}


def test_tokens_are_counted_by_state_and_the_first_expiry_is_told() -> None:
    found = collected(
        {"token": TOKEN},
        {"token": TOKEN | {"rotation": ROTATION}, "conditions": [STUCK]},
        {"token": SHORT},
        {"phase": "Waiting"},
    )
    assert found == {
        "published": 3,
        "rotating": 1,
        "stuck": 1,
        "short_lived": 1,
        "makini_token_next_expiry_timestamp_seconds": 1740834000.0,
    }


def test_without_a_token_there_is_no_expiry() -> None:
    assert collected() == {"published": 0, "rotating": 0, "stuck": 0, "short_lived": 0}
