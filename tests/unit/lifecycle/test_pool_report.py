"""What a pool's status says: its books and account, in words that kstatus reads right."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.cluster.kstatus import check_honest, compute
from tests.unit.lifecycle.builders import NOW, UNREACHABLE

from makini_operator.credits.ledger import Decision, Request
from makini_operator.lifecycle.observation import Trouble
from makini_operator.lifecycle.pool_report import (
    AccountFacts,
    Holding,
    PoolFacts,
    account_trouble,
    pool_status,
    taken_over,
)
from makini_operator.resources.conditions import find
from makini_operator.resources.pool import CreditPool
from makini_operator.resources.pool_status import AccountStatus
from makini_operator.resources.reasons import ConditionType, Reason
from makini_operator.resources.systems import Tier

ACCOUNT = AccountFacts(identity="acme-account", owned=2, unowned=1, trouble=None)
NOBODY = AccountFacts(identity=None, owned=0, unowned=0, trouble=None)
REFUSED = Trouble(Reason.ACCOUNT_CREDENTIALS_REFUSED, "mend client_id", NOW + timedelta(seconds=1))
ELSEWHERE = Trouble(Reason.INSTALLATION_ELSEWHERE, "another cluster")


def decision(held: int = 4, *, limit: int = 12, holding: int = 1, batch: tuple[Request, ...] = ()) -> Decision:
    return Decision(held=held, holding=holding, batch=batch, waiting=(), limit=limit)


def pool(status: dict[str, Any] | None = None, **spec: Any) -> CreditPool:
    account = {"credentialsSecretRef": {"name": "makini-account"}}
    return CreditPool.parse(
        {
            "metadata": {"name": "production", "uid": "pool-uid", "generation": 3},
            "spec": {"credits": 12, "account": account} | spec,
            "status": status or {"observedGeneration": -1},
        }
    )


FACTS = PoolFacts(
    holdings=(),
    decision=decision(),
    account=ACCOUNT,
    sandbox=None,
    holder="me",
    waiting_credits=0,
    waiting_connections=0,
    is_listed=True,
)


def written(before: CreditPool, facts: PoolFacts = FACTS, **changes: Any) -> CreditPool:
    """The pool after the status of these facts was written."""
    status = pool_status(before, replace(facts, **changes), NOW)
    after = before.model_copy(update={"status": status})
    check_honest({"kind": "CreditPool", "metadata": {"generation": 3}, "status": status.dump()})
    return after


def told(after: CreditPool, kind: ConditionType) -> tuple[str, str]:
    found = find(after.status.conditions or [], kind)
    assert found is not None
    return found.status, found.reason


@pytest.mark.parametrize(
    ("facts", "word", "reason"),
    [
        ({}, "Current", "PoolReady"),
        ({"decision": decision(12)}, "Current", "PoolReady"),
        ({"decision": decision(16)}, "Current", "PoolReady"),
        ({"is_listed": False}, "InProgress", "TakingOver"),
        ({"account": NOBODY, "is_listed": False}, "InProgress", "TakingOver"),
        ({"account": replace(ACCOUNT, trouble=UNREACHABLE)}, "InProgress", "MakiniUnreachable"),
        ({"account": replace(ACCOUNT, trouble=REFUSED)}, "Failed", "AccountCredentialsRefused"),
        ({"account": replace(NOBODY, trouble=ELSEWHERE)}, "Failed", "InstallationElsewhere"),
        ({"sandbox": replace(ACCOUNT, trouble=UNREACHABLE)}, "InProgress", "MakiniUnreachable"),
    ],
)
def test_a_pool_is_ready_at_work_or_stalled(facts: dict[str, Any], word: str, reason: str) -> None:
    after = written(pool(), **facts)
    assert told(after, ConditionType.READY)[1] == reason
    obj = {"kind": "CreditPool", "metadata": {"generation": 3}, "status": after.status.dump()}
    assert compute(obj)[0] == word


@pytest.mark.parametrize(
    ("decided", "exhausted", "overcommitted", "in_use"),
    [
        (decision(0, holding=0), "CreditsAvailable", "WithinLimit", "NoClaims"),
        (decision(4), "CreditsAvailable", "WithinLimit", "ClaimsExist"),
        (decision(12), "CreditsExhausted", "WithinLimit", "ClaimsExist"),
        (decision(16), "CreditsExhausted", "HeldAboveLimit", "ClaimsExist"),
        (decision(0, limit=0, holding=0), "CreditsExhausted", "WithinLimit", "NoClaims"),
        # a connection that costs nothing still needs its pool
        (decision(0, holding=1), "CreditsAvailable", "WithinLimit", "ClaimsExist"),
    ],
)
def test_the_books_in_conditions(decided: Decision, exhausted: str, overcommitted: str, in_use: str) -> None:
    after = written(pool(), decision=decided)
    assert told(after, ConditionType.EXHAUSTED)[1] == exhausted
    assert told(after, ConditionType.OVERCOMMITTED)[1] == overcommitted
    assert told(after, ConditionType.IN_USE)[1] == in_use


def test_the_books_in_numbers() -> None:
    after = written(pool(), decision=decision(8, holding=2), waiting_credits=9, waiting_connections=2)
    assert after.status.dump()["credits"] == {"total": 12, "held": 8, "available": 4, "waiting": 9}
    assert after.status.dump()["connections"] == {"holding": 2, "waiting": 2}
    assert after.status.dump()["account"] == {"id": "acme-account", "owned": 2, "unowned": 1}


def test_a_pool_on_hold_says_so_and_stays_ready() -> None:
    after = written(pool(hold=True))
    ready = find(after.status.conditions or [], ConditionType.READY)
    assert ready is not None
    assert ready.status == "True"
    assert "on hold" in ready.message


def test_nothing_new_is_not_written_again() -> None:
    once = written(pool())
    assert pool_status(once, FACTS, NOW + timedelta(hours=1)) is once.status


@pytest.mark.parametrize(
    "facts",
    [
        {"decision": decision(8)},
        {"waiting_connections": 1},
        {"account": replace(ACCOUNT, unowned=2)},
        {"account": replace(ACCOUNT, trouble=UNREACHABLE)},
        {"holder": "successor"},
    ],
)
def test_each_commit_has_a_sequence_number_of_its_own(facts: dict[str, Any]) -> None:
    once = written(pool())
    twice = written(once, **facts)
    assert once.status.ledger is not None
    assert twice.status.ledger is not None
    assert twice.status.ledger.sequence == (once.status.ledger.sequence or 0) + 1


def test_a_batch_is_committed_even_when_no_number_changes() -> None:
    """A claim of a connection that counts already: the commit is what proves who leads."""
    once = written(pool())
    granted = Request("u", "ns", "n", "1", "2025", 4, Tier.III)
    assert written(once, decision=decision(batch=(granted,))).status != once.status


def test_a_take_over_names_its_holder_and_changes_nothing_else() -> None:
    before = written(pool())
    status = taken_over(before, "successor")
    assert before.status.ledger is not None
    assert status.ledger is not None
    assert (status.ledger.holder, status.ledger.epoch) == ("successor", (before.status.ledger.epoch or 0) + 1)
    assert status.model_copy(update={"ledger": None}) == before.status.model_copy(update={"ledger": None})


@pytest.mark.parametrize(
    ("recorded", "facts", "reason"),
    [
        (None, ACCOUNT, None),
        (None, NOBODY, None),
        (AccountStatus(id="acme-account"), ACCOUNT, None),
        (AccountStatus(id="acme-account"), NOBODY, None),
        (AccountStatus(id="other-account"), ACCOUNT, Reason.ACCOUNT_CHANGED),
        (AccountStatus(id="other-account"), replace(ACCOUNT, trouble=UNREACHABLE), Reason.MAKINI_UNREACHABLE),
    ],
)
def test_an_account_may_be_used_only_while_it_is_the_recorded_one(
    recorded: AccountStatus | None, facts: AccountFacts, reason: Reason | None
) -> None:
    trouble = account_trouble(recorded, facts)
    assert (trouble.reason if trouble else None) is reason


def test_another_account_stalls_the_pool_and_the_recorded_one_stays_recorded() -> None:
    before = written(pool())
    after = written(before, account=replace(ACCOUNT, identity="other-account"))
    assert told(after, ConditionType.READY) == ("False", "AccountChanged")
    assert told(after, ConditionType.STALLED) == ("True", "AccountChanged")
    assert after.status.account == before.status.account
    restored = written(after)
    assert told(restored, ConditionType.READY) == ("True", "PoolReady")


def test_trouble_of_the_sandbox_says_that_it_is_the_sandbox() -> None:
    after = written(pool(), sandbox=replace(ACCOUNT, trouble=UNREACHABLE))
    reachable = find(after.status.conditions or [], ConditionType.ACCOUNT_REACHABLE)
    assert reachable is not None
    assert reachable.status == "False"
    assert reachable.message.startswith("sandbox account: ")


def test_the_books_of_tiers_and_of_the_ten_largest_namespaces() -> None:
    holdings = tuple(Holding(f"ns-{n:02}", Tier.II if n % 2 else Tier.III, 2 if n % 2 else 4) for n in range(12))
    status = pool_status(pool(), replace(FACTS, holdings=(*holdings, Holding("ns-11", Tier.III, 4))), NOW)
    assert [(t.tier, t.connections, t.credits) for t in status.tiers or []] == [(Tier.II, 6, 12), (Tier.III, 7, 28)]
    namespaces = [(n.name, n.connections, n.credits) for n in status.namespaces or []]
    assert namespaces[:2] == [("ns-11", 2, 6), ("ns-00", 1, 4)]
    assert len(namespaces) == 10
