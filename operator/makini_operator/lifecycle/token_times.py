"""When a token is replaced and how long the one before stays: from its life, the spec, and the connection's uid.

The jitter depends on the uid alone, so that every look says the same and connections that were
made together do not rotate together. A storm is impossible: no token is replaced by age before
it is five minutes old, unless it would expire by then, and never before it is one minute old.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.durations import parse_duration
from makini_operator.resources.token import DEFAULT_OVERLAP, SHORTEST_OVERLAP, SHORTEST_ROTATION

ROTATE_AFTER = 2 / 3
"""Share of a token's life after which it is replaced when the spec does not say."""
ABOUT_TO_EXPIRE = 0.9
"""Share of a token's life after which nothing keeps it from being replaced: not a suspension, not a stuck rollout."""
JITTER = 0.1
"""Rotations are earlier by up to this share."""
STORM_FLOOR = timedelta(minutes=1)
SHORT_LIFE = timedelta(hours=24)
"""A token that lives shorter is an alarm: its consumers depend on the operator every few hours."""


@dataclass(frozen=True)
class TokenTimes:
    """The times of one published token."""

    rotate_at: datetime
    """When it is replaced, undisturbed."""
    urgent_at: datetime
    """When it is replaced whatever is in the way."""
    is_short_lived: bool


def times(connection: MakiniConnection, issued_at: datetime, expires_at: datetime) -> TokenTimes:
    """The times of a token that was issued and expires then."""
    life = max(expires_at - issued_at, timedelta(0))
    urgent = life * ABOUT_TO_EXPIRE
    every = urgent if connection.spec.suspend else min(_every(connection, life), urgent)
    age = max(every, min(SHORTEST_ROTATION, urgent), STORM_FLOOR)
    return TokenTimes(
        rotate_at=_whole_seconds(issued_at + age),
        urgent_at=_whole_seconds(issued_at + max(urgent, STORM_FLOOR)),
        is_short_lived=life < SHORT_LIFE,
    )


def overlap(connection: MakiniConnection) -> timedelta:
    """How long the Secret keeps the previous token."""
    rotation = connection.spec.token.rotation if connection.spec.token else None
    return max(parse_duration(rotation.overlap), SHORTEST_OVERLAP) if rotation and rotation.overlap else DEFAULT_OVERLAP


def _every(connection: MakiniConnection, life: timedelta) -> timedelta:
    rotation = connection.spec.token.rotation if connection.spec.token else None
    asked = parse_duration(rotation.every) if rotation and rotation.every else life * ROTATE_AFTER
    return asked * (1 - JITTER * _share(connection.metadata.uid))


def _share(uid: str) -> float:
    """A number from 0 to 1 that belongs to this uid."""
    return int.from_bytes(hashlib.sha256(f"rotation/{uid}".encode()).digest()[:4]) / 0xFFFFFFFF


def _whole_seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
