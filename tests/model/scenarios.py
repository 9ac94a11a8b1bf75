"""Where the protocol is explored: who is there at first, and what may happen.

`COMPLETE` is small enough that every reachable state is looked at, `DEEP` is looked at up to
a bound, `LIMITS` are situations in which a promise is known not to hold (docs/credits.md).
"""

from __future__ import annotations

from tests.model.rules import Scenario

_OPEN = (0,)
_OFF = "uid 0 is set to connected: False"

DEPOSED = Scenario({"toggle": 1}, unwanted=(0,), prologue=((1, "claim of uid 1"),))
"""P1 has taken over and granted the only credit to uid 1; P0 does not know that yet; uid 0 may be wanted any time."""

COMPLETE = {
    "undisturbed": Scenario(is_exact=True),
    "lost replies": Scenario({"toggle": 2, "lost": 1}, is_exact=True),
    "slow listings": Scenario({"toggle": 2, "lost": 1}, open=_OPEN, is_exact=True, slow_listing=True),
    "deleted and created again": Scenario({"delete": 1, "recreate": 1, "lost": 1}, open=_OPEN, is_exact=True),
    "late requests": Scenario({"toggle": 1, "late": 1}),
    "lowered limit": Scenario({"toggle": 1, "lower": 1, "lost": 1}, weights=(1, 2), limits=(2,)),
    "three connections": Scenario(
        {"toggle": 1, "lost": 1}, weights=(1, 1, 2), pool_of=(0, 0, 0), limits=(2,), namespaces=(0, 1, 0)
    ),
    "namespace limit": Scenario(
        {"toggle": 1, "lost": 1},
        weights=(1, 1, 1),
        pool_of=(0, 0, 0),
        limits=(2,),
        namespaces=(0, 0, 1),
        namespace_limit=1,
    ),
    "two pools, one account": Scenario({"toggle": 1, "lost": 1}, pool_of=(0, 1), limits=(1, 1), accounts=(0, 0)),
    "moved between pools": Scenario({"move": 1, "toggle": 1}, pool_of=(0, 1), limits=(1, 1), accounts=(0, 0)),
    "wiped, then moved": Scenario({"move": 1, "wipe": 1}, pool_of=(0, 1), limits=(1, 1), accounts=(0, 0), open=(0, 1)),
    "restored without status": Scenario({"restore": 1, "start": 1}, open=_OPEN),
    "restored, two processes": Scenario({"restore": 1, "start": 2}, open=_OPEN),
    "pool's status wiped": Scenario({"wipe_pool": 1, "start": 1}, open=_OPEN),
    "connection's status wiped": Scenario({"wipe": 1, "start": 1}, open=_OPEN),
    "take-over, one worker": Scenario({"start": 1}, workers=1),
    "revoked, lost reply": Scenario({"revoke": 1, "lost": 1}, open=_OPEN, is_exact=True),
    "revoked and disconnected": Scenario({"revoke": 1, "toggle": 1, "delete": 1}, open=_OPEN, is_exact=True),
    "outdated routine listing": Scenario(
        {"relist": 1}, prologue=((1, "claim of uid 0"), (-1, "P0 begins a routine"), (1, "record of uid 0"))
    ),
}

DEEP = {
    "crash and take-over": Scenario({"toggle": 2, "lost": 1, "crash": 1, "start": 1}, open=_OPEN),
    "deposed leader": DEPOSED,
    "take-over": Scenario({"start": 1, "toggle": 1}),
    "take-over, lost reply": Scenario({"start": 1, "toggle": 1, "lost": 1}, open=_OPEN),
    "two take-overs, crash": Scenario({"start": 2, "toggle": 1, "crash": 1}, weights=(1, 2), limits=(2,)),
    "take-over, created again": Scenario({"start": 1, "delete": 1, "recreate": 1, "lost": 1}),
    "take-over, late request": Scenario({"start": 1, "late": 1, "toggle": 1}),
    "take-over, lowered limit": Scenario({"start": 1, "lower": 1, "toggle": 1}, weights=(1, 2), limits=(2,)),
    "take-over, status wiped": Scenario({"start": 1, "wipe": 1, "toggle": 1}, open=_OPEN),
    "take-over, pool's status wiped": Scenario({"start": 2, "wipe_pool": 1, "toggle": 1}),
    "take-over, slow listings": Scenario({"start": 1, "toggle": 1}, slow_listing=True),
    "take-over, revoked": Scenario({"start": 1, "revoke": 2, "lost": 1}, open=_OPEN),
    "take-over, revoked and toggled": Scenario({"start": 1, "revoke": 1, "toggle": 1}, open=_OPEN),
    "take-over of two pools": Scenario({"start": 1}, pool_of=(0, 1), limits=(1, 1), accounts=(0, 0)),
    "take-over of two pools, moved": Scenario({"start": 1, "move": 1}, pool_of=(0, 1), limits=(1, 1), accounts=(0, 0)),
    "take-over, namespace limit": Scenario(
        {"start": 1, "toggle": 1}, weights=(1, 1), limits=(2,), namespaces=(0, 0), namespace_limit=1
    ),
    "restored, take-over, toggle": Scenario({"restore": 1, "start": 2, "toggle": 1}, open=_OPEN),
}

LIMITS = {
    "a deposed leader gives up a connection that it has never listed": (
        Scenario({"toggle": 1}, unwanted=(0,), prologue=((1, "record of uid 1"),), is_exact=True),
        "release of uid 1 while its connection is alive",
    ),
    "status wiped, then moved to a pool with another account": (
        Scenario({"move": 1, "wipe": 1}, pool_of=(0, 1), limits=(1, 1), accounts=(0, 1), open=_OPEN),
        "two connections of one uid are alive at rest",
    ),
    "opened late, after it was moved to a pool with another account": (
        Scenario(
            {"move": 1, "toggle": 1},
            limits=(1, 1),
            accounts=(0, 1),
            prologue=(
                (0, "will post"),
                (1, "leads pool 1"),
                (1, "lists account 0"),
                (-1, _OFF),
                (1, "release of uid 0"),
            ),
        ),
        "is alive at rest, and nobody has recorded it",
    ),
}
