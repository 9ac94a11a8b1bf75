"""Each rule left out, and a scenario in which that breaks a promise.

The number is the rule's in docs/credits.md. `scenario` begins close to the mishap, so that it
is found in seconds; the trace starts at the very beginning all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.model.rules import GOOD, Rules, Scenario
from tests.model.scenarios import DEPOSED

_OPEN = (0,)
_OFF, _ON = "uid 0 is set to connected: False", "uid 0 is set to connected: True"
_DELETED, _CREATED = "uid 0 is deleted", "slot 0 is created again"
_RESTORED = Scenario({"restore": 1}, open=(1,), prologue=((-1, "restored"), (1, "starts")), is_exact=True)


@dataclass(frozen=True)
class Mutant:
    """One rule left out."""

    rule: int
    omission: str
    rules: Rules
    scenario: Scenario


def _mutant(rule: int, omission: str, scenario: Scenario, **switches: object) -> Mutant:
    return Mutant(rule, omission, replace(GOOD, **switches), scenario)  # type: ignore[arg-type]


MUTANTS = (
    _mutant(1, "the pool is written without comparing", DEPOSED, commit_compares=False),
    _mutant(
        1,
        "leadership is a number, not an id",
        Scenario({"wipe_pool": 1, "toggle": 1}, unwanted=(0,), prologue=((-1, "is wiped"), (1, "claim of uid 1"))),
        holder_is_id=False,
    ),
    _mutant(2, "the holder is not swapped", DEPOSED, swap=False),
    _mutant(
        2,
        "the list is read before the swap",
        Scenario(
            {"delete": 1, "recreate": 1},
            finalizer=False,
            prologue=((-1, _DELETED), (1, "starts"), (-1, _CREATED), (0, "sees slot 0"), (0, "claim of uid 2")),
        ),
        list_after_swap=False,
    ),
    _mutant(
        2,
        "nothing is touched",
        Scenario({"toggle": 1}, unwanted=(0,), prologue=((0, "will claim uid 1"), (1, "lists account"))),
        touch=False,
    ),
    _mutant(2, "the account is not listed", _RESTORED, list_account=False),
    _mutant(3, "nobody looks at the holder after a failed commit", DEPOSED, check_holder=False),
    _mutant(4, "the store goes back", Scenario({"back": 1}), monotonic=False),
    _mutant(5, "grants that are not seen are not counted", Scenario(), count_grants=False),
    _mutant(5, "what is alive at Makini is not counted", _RESTORED, count_alive=False),
    _mutant(
        5,
        "held is a running difference",
        Scenario({"lost": 1, "toggle": 1}, weights=(1, 1, 1), pool_of=(0, 0, 0), namespaces=(0, 0, 0), open=_OPEN),
        recompute=False,
    ),
    _mutant(6, "the claim is written before the commit", DEPOSED, commit_first=False),
    _mutant(6, "the batch is not limited", Scenario(), fits=False),
    _mutant(
        7,
        "a claim is written on whatever version is the newest",
        Scenario({"toggle": 2}, prologue=((0, "commits"), (1, "lists account"), (-1, _OFF), (1, "claim of uid 1"))),
        claim_needs_version_of_commit=False,
    ),
    _mutant(
        7,
        "a grant that costs nothing new needs no commit",
        Scenario({"toggle": 2}, open=_OPEN, prologue=((1, "lists account"), (-1, _OFF), (1, "claim of uid 1"))),
        free_needs_commit=False,
    ),
    _mutant(7, "a claim names the uid only", Scenario({"start": 1, "toggle": 1}), claim="uid"),
    _mutant(7, "a claim names the name only", Scenario({"start": 1, "delete": 1, "recreate": 1}), claim="name"),
    _mutant(
        8, "a grant is forgotten when it was sent", Scenario({"lost": 1, "toggle": 1}, unwanted=(0,)), forget="sent"
    ),
    _mutant(9, "the finalizer comes later", Scenario({"delete": 1}, finalizer=False), finalizer_first=False),
    _mutant(
        9,
        "no intent is recorded",
        Scenario(prologue=((1, "claim of uid 0"), (0, "sees slot 0"), (1, "record of uid 0")), is_exact=True),
        intent=False,
    ),
    _mutant(9, "an intent allows a second POST", Scenario({"lost": 1}, is_exact=True), one_post=False),
    _mutant(
        9,
        "a listing begun before the outcome was unknown is believed",
        Scenario({"lost": 1, "relist": 1}, prologue=((0, "will post"), (-1, "P0 begins a routine")), is_exact=True),
        doubt_outcome=False,
    ),
    _mutant(
        9,
        "a recorded id is believed that is not listed any more",
        Scenario({"toggle": 2}, open=_OPEN),
        clear_unlisted=False,
    ),
    _mutant(
        10,
        "an unlisted account is taken for empty",
        Scenario({"lost": 1, "toggle": 1}, is_exact=True),
        close_lists=False,
    ),
    _mutant(10, "a release names the uid only", Scenario({"toggle": 2}, open=_OPEN), release="uid"),
    _mutant(
        10,
        "a release names the name only",
        Scenario(
            {"delete": 1, "recreate": 1},
            open=_OPEN,
            unwanted=(1,),
            prologue=(
                (-1, _DELETED),
                (0, "will release uid 0"),
                (1, "remove finalizer of uid 0"),
                (-1, _CREATED),
                (1, "sees slot 0"),
                (1, "claim of uid 2"),
            ),
        ),
        release="name",
    ),
    _mutant(
        10,
        "the finalizer's removal names the name only",
        Scenario(
            {"delete": 2, "recreate": 1},
            prologue=(
                (-1, _DELETED),
                (0, "will remove finalizer"),
                (1, "remove finalizer of uid 0"),
                (-1, _CREATED),
                (1, "claim of uid 2"),
                (-1, "uid 2 is deleted"),
            ),
        ),
        finalizer="name",
    ),
    _mutant(
        10,
        "a revocation gives the claim up",
        Scenario({"revoke": 1}, open=_OPEN),
        revocation_keeps=False,
    ),
    _mutant(10, "the finalizer goes before the claim", Scenario({"delete": 1}, open=_OPEN), finalizer_last=False),
    _mutant(
        11,
        "nothing is swept",
        Scenario(
            {"delete": 1},
            prologue=((0, "will post"), (1, "lists account"), (-1, _DELETED), (1, "remove finalizer of uid 0")),
        ),
        sweep=False,
    ),
    _mutant(
        11,
        "the sweep believes an outdated list",
        Scenario(
            {"recreate": 1, "delete": 1},
            finalizer=False,
            prologue=((-1, _DELETED), (0, "sees slot 0"), (-1, _CREATED), (1, "record of uid 2")),
        ),
        sweep_reads=False,
    ),
    _mutant(11, "duplicates are left", Scenario({"start": 1}), close_surplus=False),
    _mutant(
        11,
        "an outdated listing says that a connection is gone",
        Scenario({"relist": 1}, prologue=((1, "claim of uid 0"), (-1, "P0 begins a routine"), (1, "record of uid 0"))),
        twice=False,
    ),
    _mutant(12, "an audit corrects the stored number", Scenario(), recompute=False, audit=True),
)
