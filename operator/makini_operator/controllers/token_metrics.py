"""What Prometheus learns about tokens: how many stand how, and when the next one expires; no series for each."""

from __future__ import annotations

from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric

from makini_operator.controllers.world import World
from makini_operator.lifecycle.token_report import is_short_lived
from makini_operator.resources.conditions import find
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.reasons import ConditionType, Reason

STATES = ("published", "rotating", "stuck", "short_lived")


def token_metrics(world: World) -> list[Metric]:
    """`makini_tokens` by state (one token may be in several), and the earliest expiry as unix time."""
    counts = dict.fromkeys(STATES, 0)
    expiries = []
    for connection in world.connections:
        for state in _states(connection.status):
            counts[state] += 1
        if connection.status.token:
            expiries.append(datetime.fromisoformat(connection.status.token.expires_at).timestamp())
    tokens = GaugeMetricFamily("makini_tokens", "Tokens by state; one may be in several.", labels=["state"])
    for state, count in counts.items():
        tokens.add_metric([state], count)
    expiry = GaugeMetricFamily("makini_token_next_expiry_timestamp_seconds", "When the first of all tokens expires.")
    if expiries:
        expiry.add_metric([], min(expiries))
    return [tokens, expiry]


def _states(status: MakiniConnectionStatus) -> list[str]:
    if status.token is None:
        return []
    ready = find(status.conditions or [], ConditionType.TOKEN_READY)
    return [
        "published",
        *(["rotating"] if status.token.rotation else []),
        *(["stuck"] if ready and ready.reason == Reason.ROLLOUT_STUCK else []),
        *(["short_lived"] if is_short_lived(status.token) else []),
    ]
