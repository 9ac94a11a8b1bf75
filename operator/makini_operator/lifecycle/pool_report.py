"""What a pool's status says: its books, its account, its conditions. Pure, like the rest of this package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from makini_operator.credits.ledger import Decision
from makini_operator.lifecycle.observation import Trouble
from makini_operator.lifecycle.words import connections_in_words, credits_in_words
from makini_operator.resources.conditions import Finding, finding, merge
from makini_operator.resources.pool import CreditPool
from makini_operator.resources.pool_status import (
    AccountStatus,
    CreditPoolStatus,
    LedgerStatus,
    NamespaceBooks,
    PoolConnections,
    PoolCredits,
    TierBooks,
)
from makini_operator.resources.reasons import ConditionType, Reason
from makini_operator.resources.systems import Tier

_Key = TypeVar("_Key")

PERMANENT = frozenset(
    {
        Reason.ACCOUNT_CHANGED,
        Reason.ACCOUNT_CREDENTIALS_REFUSED,
        Reason.INSTALLATION_ELSEWHERE,
        Reason.INVALID_ACCOUNT_URL,
    }
)
"""Troubles of an account that only a person can end."""


@dataclass(frozen=True)
class AccountFacts:
    """One account as it was last seen: identity (None until seen), connections of ours and of others, trouble."""

    identity: str | None
    owned: int
    unowned: int
    trouble: Trouble | None


LARGEST = 10
"""Namespaces that a pool's status names."""


@dataclass(frozen=True)
class Holding:
    """Credits of one connection: a claim, or a grant that is about to be claimed."""

    namespace: str
    tier: Tier
    amount: int


@dataclass(frozen=True)
class PoolFacts:
    """Everything that a pool's status is made of."""

    decision: Decision
    account: AccountFacts
    sandbox: AccountFacts | None
    holder: str
    holdings: tuple[Holding, ...]
    waiting_credits: int
    waiting_connections: int
    is_listed: bool
    """The accounts have been listed completely since the take-over, so grants are possible."""


def pool_status(pool: CreditPool, facts: PoolFacts, now: datetime) -> CreditPoolStatus:
    """The status to commit. Equal to the present one when there is nothing new to say."""
    decision = facts.decision
    conditions = merge(
        pool.status.conditions or [], _findings(pool, facts), generation=pool.metadata.generation, now=now
    )
    status = pool.status.model_copy(
        update={
            "observed_generation": pool.metadata.generation,
            "conditions": list(conditions),
            "account": _account(pool.status.account, facts.account),
            "sandbox": _account(pool.status.sandbox, facts.sandbox) if facts.sandbox else None,
            "credits": PoolCredits(
                total=pool.spec.credits,
                held=decision.held,
                available=decision.available,
                overage=max(0, decision.held - pool.spec.credits) or None,
                waiting=facts.waiting_credits,
            ),
            "connections": PoolConnections(holding=decision.holding, waiting=facts.waiting_connections),
            "tiers": _tiers(facts.holdings),
            "namespaces": _largest_namespaces(facts.holdings),
        }
    )
    if (
        status == pool.status
        and pool.status.ledger
        and pool.status.ledger.holder == facts.holder
        and not decision.batch
    ):
        return pool.status
    return status.model_copy(update={"ledger": _next(pool.status.ledger, facts.holder)})


def _tiers(holdings: Iterable[Holding]) -> list[TierBooks] | None:
    sums = _sums((holding.tier, holding.amount) for holding in holdings)
    found = [TierBooks(tier=tier, connections=sums[tier][0], credits=sums[tier][1]) for tier in Tier if tier in sums]
    return found or None


def _largest_namespaces(holdings: Iterable[Holding]) -> list[NamespaceBooks] | None:
    sums = _sums((holding.namespace, holding.amount) for holding in holdings)
    largest = sorted(sums, key=lambda name: (-sums[name][1], name))[:LARGEST]
    return [NamespaceBooks(name=name, connections=sums[name][0], credits=sums[name][1]) for name in largest] or None


def _sums(amounts: Iterable[tuple[_Key, int]]) -> dict[_Key, tuple[int, int]]:
    """Number and total of the amounts of each key."""
    sums: dict[_Key, tuple[int, int]] = {}
    for key, amount in amounts:
        number, total = sums.get(key, (0, 0))
        sums[key] = (number + 1, total + amount)
    return sums


def taken_over(pool: CreditPool, holder: str) -> CreditPoolStatus:
    """The status that makes `holder` the leader of this pool."""
    before = pool.status.ledger or LedgerStatus()
    ledger = LedgerStatus(holder=holder, epoch=(before.epoch or 0) + 1, sequence=(before.sequence or 0) + 1)
    return pool.status.model_copy(update={"ledger": ledger})


def account_trouble(recorded: AccountStatus | None, facts: AccountFacts) -> Trouble | None:
    """What keeps this account from being used for this pool."""
    if facts.trouble:
        return facts.trouble
    known = recorded.id if recorded else None
    if known and facts.identity and known != facts.identity:
        message = (
            f"the credentials lead to account {facts.identity}, but this pool's connections are in account {known}: "
            f"nothing is connected or disconnected until spec.account leads to {known} again"
        )
        return Trouble(Reason.ACCOUNT_CHANGED, message)
    return None


def _next(before: LedgerStatus | None, holder: str) -> LedgerStatus:
    before = before or LedgerStatus()
    return LedgerStatus(holder=holder, epoch=before.epoch, sequence=(before.sequence or 0) + 1)


def _account(recorded: AccountStatus | None, facts: AccountFacts) -> AccountStatus | None:
    known = recorded.id if recorded else None
    if facts.identity is None or (known and known != facts.identity):
        return recorded
    return AccountStatus(id=facts.identity, owned=facts.owned, unowned=facts.unowned)


def _findings(pool: CreditPool, facts: PoolFacts) -> list[Finding]:
    trouble = account_trouble(pool.status.account, facts.account)
    if trouble is None and facts.sandbox:
        trouble = account_trouble(pool.status.sandbox, facts.sandbox)
        trouble = trouble and replace(trouble, message=f"sandbox account: {trouble.message}")
    return [*_headline(pool, facts, trouble), _reachable(facts, trouble), *_books(facts.decision)]


def _headline(pool: CreditPool, facts: PoolFacts, trouble: Trouble | None) -> list[Finding]:
    if trouble:
        kind = ConditionType.STALLED if trouble.reason in PERMANENT else ConditionType.RECONCILING
        why = "to be deleted as soon as its account could be looked through: " if pool.metadata.is_deleting else ""
        return _unready(kind, trouble.reason, why + trouble.message)
    if pool.metadata.is_deleting:
        return _unready(ConditionType.RECONCILING, Reason.POOL_DELETING, _deleting(facts))
    if not facts.is_listed:
        message = "looking through the account for connections that are already ours; then credits are granted"
        return _unready(ConditionType.RECONCILING, Reason.TAKING_OVER, message)
    message = f"{facts.decision.held} of {credits_in_words(pool.spec.credits)} held"
    if pool.spec.hold:
        message += "; on hold: nothing new is granted until spec.hold is false"
    return [finding(ConditionType.READY, holds=True, reason=Reason.POOL_READY, message=message)]


def _deleting(facts: PoolFacts) -> str:
    if facts.decision.holding:
        holding = connections_in_words(facts.decision.holding)
        return f"to be deleted; waiting for {holding} to be disconnected: nothing new is granted"
    return "to be deleted; it goes as soon as the account was looked through for connections of this pool"


def _unready(kind: ConditionType, reason: Reason, message: str) -> list[Finding]:
    ready = finding(ConditionType.READY, holds=False, reason=reason, message=message)
    return [ready, finding(kind, holds=True, reason=reason, message=message)]


def _reachable(facts: PoolFacts, trouble: Trouble | None) -> Finding:
    kind = ConditionType.ACCOUNT_REACHABLE
    if trouble:
        return finding(kind, holds=False, reason=trouble.reason, message=trouble.message)
    if facts.account.identity is None:
        return finding(kind, holds=None, reason=Reason.TAKING_OVER, message="the account has not been asked yet")
    message = f"account {facts.account.identity} answers"
    return finding(kind, holds=True, reason=Reason.ACCOUNT_REACHABLE, message=message)


def _books(decision: Decision) -> list[Finding]:
    none_left = decision.available == 0
    left = "every credit is held" if none_left else f"{credits_in_words(decision.available)} can be granted"
    over = decision.held > decision.limit
    excess = (
        f"{credits_in_words(decision.held)} held, {decision.held - decision.limit} more than may be: "
        f"nothing is taken away, and nothing is granted until enough return"
    )
    in_use = decision.holding > 0
    return [
        finding(
            ConditionType.EXHAUSTED,
            holds=none_left,
            reason=Reason.CREDITS_EXHAUSTED if none_left else Reason.CREDITS_AVAILABLE,
            message=left,
        ),
        finding(
            ConditionType.OVERCOMMITTED,
            holds=over,
            reason=Reason.HELD_ABOVE_LIMIT if over else Reason.WITHIN_LIMIT,
            message=excess if over else "not more credits are held than may be",
        ),
        finding(
            ConditionType.IN_USE,
            holds=in_use,
            reason=Reason.CLAIMS_EXIST if in_use else Reason.NO_CLAIMS,
            message=f"credits are held by {connections_in_words(decision.holding)}: the pool stays until none is left"
            if in_use
            else "no connection holds credits",
        ),
    ]
