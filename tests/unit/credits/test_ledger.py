"""The ledger's decision: a table of situations, and the laws that hold in every one."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makini_operator.credits.ledger import Decision, Obstacle, Request, Snapshot, counted, decide, in_order
from makini_operator.resources.pool import Strategy
from makini_operator.resources.systems import Tier


def request(
    uid: str, amount: int, *, at: str = "2025-01-01T00:00:00Z", priority: int = 0, namespace: str = "tenant"
) -> Request:
    return Request(
        uid=uid,
        namespace=namespace,
        name=uid,
        resource_version="1",
        created_at=at,
        amount=amount,
        tier=Tier.I,
        priority=priority,
    )


def snapshot(*requests: Request, limit: int = 12, may_grant: bool = True, **holdings: dict[str, int]) -> Snapshot:
    sets: dict[str, Any] = {"claims": {}, "grants": {}, "alive": {}} | holdings
    return Snapshot(limit=limit, may_grant=may_grant, requests=requests, **sets)


def waiting(decision: Decision) -> tuple[Request, ...]:
    return tuple(place.request for place in decision.waiting)


def granted(decision: Decision) -> list[str]:
    return [r.uid for r in decision.batch]


@pytest.mark.parametrize(
    ("situation", "batch", "held"),
    [
        (snapshot(), [], 0),
        (snapshot(request("a", 4)), ["a"], 4),
        (snapshot(request("a", 12)), ["a"], 12),
        (snapshot(request("a", 13)), [], 0),
        (snapshot(request("a", 8), request("b", 4)), ["a", "b"], 12),
        (snapshot(request("a", 8), request("b", 8)), ["a"], 8),
        # who fits may pass who does not
        (snapshot(request("a", 8), request("b", 8), request("c", 4)), ["a", "c"], 12),
        (snapshot(request("a", 8), request("b", 2), claims={"x": 8}), ["b"], 10),
        # each of the three sets counts
        (snapshot(request("a", 8), claims={"x": 8}), [], 8),
        (snapshot(request("a", 8), grants={"x": 8}), [], 8),
        (snapshot(request("a", 8), alive={"x": 8}), [], 8),
        (snapshot(request("a", 1), claims={"x": 4}, grants={"y": 4}, alive={"z": 4}), [], 12),
        # and a uid that is in several counts once, by the larger amount
        (snapshot(request("a", 4), claims={"x": 8}, grants={"x": 8}, alive={"x": 8}), ["a"], 12),
        (snapshot(request("a", 4), claims={"x": 4}, alive={"x": 8}), ["a"], 12),
        (snapshot(request("a", 5), claims={"x": 4}, alive={"x": 8}), [], 8),
        # a connection that is alive already counts: granting to it costs nothing new, even over the limit
        (snapshot(request("a", 8), alive={"a": 8, "b": 8}), ["a"], 16),
        (snapshot(request("a", 8), limit=2, alive={"a": 8}), ["a"], 8),
        (snapshot(request("a", 8), limit=2, alive={"a": 4}), [], 4),
        (snapshot(request("a", 8), limit=10, alive={"a": 4}), ["a"], 8),
        # a grant that is outstanding is not made twice
        (snapshot(request("a", 4), grants={"a": 4}), [], 4),
        # what is free fits even into a full or overcommitted pool
        (snapshot(request("a", 0), limit=0), ["a"], 0),
        (snapshot(request("a", 0), limit=4, claims={"x": 8}), ["a"], 8),
        # a limit that was lowered takes nothing away and grants nothing new
        (snapshot(request("a", 1), limit=4, claims={"x": 8}), [], 8),
        # on hold, or the account is not known: what is held stays, nothing new
        (snapshot(request("a", 4), may_grant=False), [], 0),
        (snapshot(request("a", 0), may_grant=False), [], 0),
        (snapshot(request("a", 4), may_grant=False, claims={"x": 8}, alive={"a": 4}), [], 12),
        # first come, first served; of those that came together, the smaller uid
        (snapshot(request("b", 12, at="2025-01-02T00:00:00Z"), request("a", 12, at="2025-01-03T00:00:00Z")), ["b"], 12),
        (snapshot(request("b", 12), request("a", 12)), ["a"], 12),
    ],
)
def test_decide(situation: Snapshot, batch: list[str], held: int) -> None:
    decision = decide(situation)
    assert granted(decision) == batch
    assert decision.held == held


def test_what_is_available_is_never_negative() -> None:
    assert decide(snapshot(claims={"x": 8})).available == 4
    assert decide(snapshot(limit=4, claims={"x": 8})).available == 0


def test_holding_counts_connections_and_not_credits() -> None:
    assert decide(snapshot(request("a", 4), claims={"x": 8, "free": 0}, alive={"x": 8})).holding == 3


def test_who_waits_is_named_in_order() -> None:
    decision = decide(snapshot(request("c", 9), request("b", 8), request("a", 8)))
    assert granted(decision) == ["a"]
    assert [(p.request.uid, p.position) for p in decision.waiting] == [("b", 1), ("c", 2)]


# --- the queue ------------------------------------------------------------------------------------------------------


def obstacles(decision: Decision) -> dict[str, Obstacle]:
    return {place.request.uid: place.obstacle for place in decision.waiting}


def strict(*requests: Request, **more: Any) -> Snapshot:
    return replace(snapshot(*requests), strategy=Strategy.STRICT_FIFO, **more)


def test_a_higher_priority_is_served_first_and_age_decides_among_equals() -> None:
    late = request("late", 12, at="2025-01-09T00:00:00Z", priority=5)
    assert granted(decide(snapshot(request("a", 12), late))) == ["late"]
    assert granted(decide(snapshot(request("a", 12, priority=-1), request("b", 12)))) == ["b"]


def test_strictly_in_order_nobody_overtakes() -> None:
    decision = decide(strict(request("a", 8), request("b", 8), request("c", 4)))
    assert granted(decision) == ["a"]
    assert obstacles(decision) == {"b": Obstacle.CREDITS, "c": Obstacle.LINE}


def test_strictly_in_order_what_costs_nothing_new_still_passes() -> None:
    decision = decide(strict(request("a", 13), request("b", 0), request("c", 4), alive={"c": 4}))
    assert granted(decision) == ["b", "c"]


def test_a_namespace_at_its_limit_holds_up_nobody_else() -> None:
    asked = (
        request("a", 4, namespace="greedy"),
        request("b", 4, namespace="modest"),
        request("c", 2, namespace="greedy"),
    )
    held = {"claims": {"x": 6}, "namespaces": {"x": "greedy"}, "namespace_limit": 8}
    for situation in (snapshot(*asked, limit=20), replace(strict(*asked), limit=20)):
        decision = decide(replace(situation, **held))
        assert granted(decision) == ["b", "c"]
        assert obstacles(decision) == {"a": Obstacle.NAMESPACE}


def test_whoever_was_changed_meanwhile_keeps_the_place_and_the_credits_until_read_again() -> None:
    asked = (request("a", 8), request("b", 8), request("c", 4))
    decision = decide(replace(snapshot(*asked), outdated=frozenset("a")))
    assert granted(decision) == ["c"]
    assert decision.held == 4
    assert obstacles(decision) == {"b": Obstacle.CREDITS}


def test_on_hold_everybody_waits_for_the_pool() -> None:
    assert obstacles(decide(snapshot(request("a", 1), may_grant=False))) == {"a": Obstacle.NOTHING}


# --- laws -----------------------------------------------------------------------------------------------------------

UIDS = st.sampled_from("abcdefgh")
HOLDINGS = st.dictionaries(UIDS, st.integers(0, 9), max_size=5)
REQUESTS = st.dictionaries(UIDS, st.tuples(st.integers(0, 9), st.sampled_from(["1", "2", "3"])), max_size=8).map(
    lambda asked: tuple(request(uid, amount, at=at) for uid, (amount, at) in asked.items())
)
SNAPSHOTS = st.builds(
    Snapshot,
    limit=st.integers(0, 30),
    may_grant=st.booleans(),
    claims=HOLDINGS,
    grants=HOLDINGS,
    alive=HOLDINGS,
    requests=REQUESTS,
)


def before(situation: Snapshot) -> dict[str, int]:
    return counted(situation.claims, situation.grants, situation.alive)


@given(SNAPSHOTS)
def test_nothing_that_costs_is_granted_beyond_the_limit(situation: Snapshot) -> None:
    already = before(situation)
    decision = decide(situation)
    if any(r.amount > already.get(r.uid, 0) for r in decision.batch):
        assert decision.held <= situation.limit


@given(SNAPSHOTS)
def test_held_is_exactly_the_union_after_the_batch(situation: Snapshot) -> None:
    decision = decide(situation)
    after = counted(before(situation), {r.uid: r.amount for r in decision.batch})
    assert decision.held == sum(after.values())
    assert decision.holding == len(after)


@given(SNAPSHOTS)
def test_a_batch_that_has_become_claims_changes_nothing_more(situation: Snapshot) -> None:
    decision = decide(situation)
    claims = counted(situation.claims, {r.uid: r.amount for r in decision.batch})
    again = decide(replace(situation, claims=claims, requests=waiting(decision)))
    assert granted(again) == []
    assert again.held == decision.held


@given(SNAPSHOTS)
def test_a_batch_that_is_still_outstanding_is_not_granted_again(situation: Snapshot) -> None:
    decision = decide(situation)
    grants = counted(situation.grants, {r.uid: r.amount for r in decision.batch})
    again = decide(replace(situation, grants=grants))
    assert granted(again) == []
    assert again.held == decision.held


@given(SNAPSHOTS)
def test_on_hold_nothing_is_granted_and_nothing_is_taken(situation: Snapshot) -> None:
    decision = decide(replace(situation, may_grant=False))
    assert decision.batch == ()
    assert decision.held == sum(before(situation).values())


@given(SNAPSHOTS)
def test_everybody_who_asks_and_has_no_grant_is_granted_or_waits(situation: Snapshot) -> None:
    decision = decide(situation)
    asked = sorted(r.uid for r in situation.requests if r.uid not in situation.grants)
    assert sorted(r.uid for r in (*decision.batch, *waiting(decision))) == asked
    assert list(decision.batch) == in_order(decision.batch)
    assert list(waiting(decision)) == in_order(waiting(decision))


@given(SNAPSHOTS)
def test_nobody_waits_who_would_fit(situation: Snapshot) -> None:
    decision = decide(situation)
    if situation.may_grant:
        already = before(situation)
        assert all(decision.held + r.amount - already.get(r.uid, 0) > situation.limit for r in waiting(decision))


NAMESPACES = st.dictionaries(UIDS, st.sampled_from(["n1", "n2"]), max_size=8)


@given(SNAPSHOTS, NAMESPACES, st.integers(1, 12))
def test_nothing_that_costs_is_granted_beyond_a_namespaces_limit(
    situation: Snapshot, namespaces: dict[str, str], limit: int
) -> None:
    asked = tuple(replace(r, namespace=namespaces.get(r.uid, "n1")) for r in situation.requests)
    of = {r.uid: r.namespace for r in asked} | {u: namespaces.get(u, "n1") for u in before(situation)}
    decision = decide(replace(situation, requests=asked, namespaces=of, namespace_limit=limit))
    after = counted(before(situation), {r.uid: r.amount for r in decision.batch})
    for name in {r.namespace for r in decision.batch if r.amount > before(situation).get(r.uid, 0)}:
        assert sum(amount for uid, amount in after.items() if of[uid] == name) <= limit


@given(SNAPSHOTS)
def test_strictly_in_order_only_what_is_free_passes_who_waits_for_credits(situation: Snapshot) -> None:
    decision = decide(replace(situation, strategy=Strategy.STRICT_FIFO))
    first = next((p.request for p in decision.waiting if p.obstacle is Obstacle.CREDITS), None)
    if first is not None:
        order = [r.uid for r in in_order(situation.requests)]
        later = [r for r in decision.batch if order.index(r.uid) > order.index(first.uid)]
        assert all(r.amount <= before(situation).get(r.uid, 0) for r in later)


@given(SNAPSHOTS, st.randoms(use_true_random=False))
def test_the_order_in_which_requests_were_heard_does_not_matter(situation: Snapshot, random: Any) -> None:
    shuffled = list(situation.requests)
    random.shuffle(shuffled)
    assert decide(replace(situation, requests=tuple(shuffled))) == decide(situation)


@given(HOLDINGS, HOLDINGS)
def test_a_union_counts_each_uid_once_by_its_larger_amount(one: dict[str, int], other: dict[str, int]) -> None:
    union = counted(one, other)
    assert union == counted(other, one) == counted(one, other, one)
    assert union == {uid: max(one.get(uid, 0), other.get(uid, 0)) for uid in one.keys() | other.keys()}
