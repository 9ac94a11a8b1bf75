"""The history that the cluster's tests are judged by sees what is wrong, and nothing else."""

from typing import Any

from tests.harness.history import replay

Event = dict[str, Any]


def pool(version: int, *, held: int, limit: int = 2, kind: str = "MODIFIED") -> Event:
    meta = {"name": "main", "resourceVersion": str(version)}
    obj = {"kind": "CreditPool", "metadata": meta, "spec": {"credits": limit}, "status": {"credits": {"held": held}}}
    return {"type": kind, "object": obj}


def connection(version: int, uid: str, amount: int | None, *, kind: str = "MODIFIED") -> Event:
    meta = {"name": uid, "uid": uid, "resourceVersion": str(version)}
    status = {"credits": {"pool": "main", "amount": amount}} if amount else {}
    return {"type": kind, "object": {"kind": "MakiniConnection", "metadata": meta, "status": status}}


def test_a_grant_above_the_limit_is_seen() -> None:
    assert replay([pool(1, held=0), pool(2, held=3)], {"main"}) == ["at version 2: pool main grants 3 of 2"]


def test_a_claim_that_is_not_held_is_seen() -> None:
    events = [pool(1, held=1), connection(2, "a", 1), connection(3, "b", 1)]
    assert replay(events, {"main"}) == ["at version 3: pool main holds 1, but 2 are claimed"]


def test_credits_that_return_before_their_claim_are_seen_in_whatever_order_the_events_came() -> None:
    events = [pool(1, held=1), pool(3, held=0), connection(2, "a", 1), connection(4, "a", None)]
    assert len(replay(events, {"main"})) == 1


def test_a_limit_that_is_lowered_and_a_claim_that_ends_with_its_connection_are_in_order() -> None:
    events = [pool(1, held=2), connection(2, "a", 2), pool(3, held=2, limit=1), connection(4, "a", 2, kind="DELETED")]
    assert replay([*events, pool(5, held=0, limit=1)], {"main"}) == []


def test_other_pools_are_none_of_its_business() -> None:
    assert replay([pool(1, held=9)], {"other"}) == []
