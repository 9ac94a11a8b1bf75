"""What counts in one pool's ledger, told from what this process knows; nothing here is changed at Kubernetes or Makini.

The rules are those of docs/architecture.md, by number.
"""

from __future__ import annotations

from collections.abc import Iterator

from makini_operator.controllers.accounts import Account
from makini_operator.controllers.world import World
from makini_operator.credits.ledger import Decision, Grant, Request, Snapshot
from makini_operator.lifecycle.pool_report import Holding, PoolFacts, account_trouble
from makini_operator.resources.connection import Environment, MakiniConnection
from makini_operator.resources.pool import CreditPool
from makini_operator.resources.reasons import Reason


class Tally:
    """Requests and grants of the pool of this name, beside the claims and the connections at Makini."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.requests: dict[str, Request] = {}
        """By uid: who stands in the queue."""
        self.grants: dict[str, Grant] = {}
        """By uid: what is committed and not seen as a claim yet."""
        self._world = world
        self._trusted_from: dict[Account, int] = {}

    def trusted_listing(self, account: Account) -> int:
        """Number of the first listing of this account that began after the take-over."""
        if account not in self._trusted_from:
            self._trusted_from[account] = account.index.request()
        return self._trusted_from[account]

    def forget_what_was_seen(self) -> None:
        """Rule 8: a grant is forgotten only when a newer version of its connection was seen, or its end."""
        for uid, grant in list(self.grants.items()):
            connection = self._world.connections.get(uid)
            if connection is None or int(connection.metadata.resource_version) > int(grant.resource_version):
                del self.grants[uid]
        for uid in [uid for uid in self.requests if self._is_pointless(uid)]:
            del self.requests[uid]

    def _is_pointless(self, uid: str) -> bool:
        connection = self._world.connections.get(uid)
        return (
            connection is None
            or connection.status.credits is not None
            or connection.spec.pool_ref.name != self.name
            or connection.metadata.is_deleting
            or not connection.spec.connected
        )

    def snapshot(self, pool: CreditPool) -> Snapshot:
        """Rule 5: all that counts, from scratch, for this version of the pool."""
        claims = {
            c.metadata.uid: c.status.credits.amount
            for c in self._world.connections
            if c.status.credits and c.status.credits.pool == self.name
        }
        is_free = not pool.spec.hold and not pool.metadata.is_deleting and self._is_usable(pool)
        return Snapshot(
            limit=pool.spec.limit,
            may_grant=is_free,
            claims=claims,
            grants={uid: grant.amount for uid, grant in self.grants.items()},
            alive=self._alive(pool),
            requests=tuple(r for r in self.requests.values() if self._may_use(pool, r)),
            outdated=frozenset(r.uid for r in self.requests.values() if not self._is_current(r)),
            strategy=pool.spec.strategy,
            namespace_limit=pool.spec.namespace_limit,
            namespaces={c.metadata.uid: c.metadata.namespace for c in self._world.connections if self._is_mine(c)},
        )

    def _may_use(self, pool: CreditPool, request: Request) -> bool:
        """By the selector of the version that is committed on, and the newest labels known."""
        namespace = self._world.namespaces.named("", request.namespace)
        return pool.spec.is_open_to(namespace.metadata.labels if namespace else {})

    def _is_current(self, request: Request) -> bool:
        connection = self._world.connections.get(request.uid)
        return connection is not None and connection.metadata.resource_version == request.resource_version

    def _alive(self, pool: CreditPool) -> dict[str, int]:
        """Rule 5's third set: connections alive at Makini, also those whose resource is unknown.

        One that is being opened counts, too: somebody may wipe the status that has its claim meanwhile.
        """
        alive: dict[str, int] = {}
        for account in self._world.accounts_of(pool):
            for tag, amount in account.index.counted().items():
                uid = self._world.owner_of(account, tag)
                connection = self._world.connections.get(uid) if uid else None
                if connection is None or self._is_mine(connection):
                    alive[uid or f"unknown:{tag}"] = amount
        return alive

    def _is_mine(self, connection: MakiniConnection) -> bool:
        claim = connection.status.credits
        return (claim.pool if claim else connection.spec.pool_ref.name) == self.name

    def _is_usable(self, pool: CreditPool) -> bool:
        """Whether the paying account is known to be the right one, and was listed since the take-over."""
        account = self._world.account_for(pool, Environment.PRODUCTION)
        if account is None or account.identity is None or self._world.installation.trouble:
            return False
        is_listed = account.index.completed >= self.trusted_listing(account)
        return is_listed and account_trouble(pool.status.account, account.facts) is None

    def facts(self, pool: CreditPool, decision: Decision) -> PoolFacts:
        """What the pool's status says once this is decided."""
        paying = self._world.account_for(pool, Environment.PRODUCTION)
        sandbox = self._world.account_for(pool, Environment.SANDBOX)
        assert paying is not None  # noqa: S101 - the schema requires an account
        granted = {request.uid for request in decision.batch}
        waiting = [r for r in self.requests.values() if r.uid not in granted and r.uid not in self.grants]
        accounts = self._world.accounts_of(pool)
        installation = self._world.installation.trouble
        facts = paying.facts
        return PoolFacts(
            decision=decision,
            account=facts if installation is None else type(facts)(None, 0, 0, installation),
            sandbox=sandbox.facts if sandbox else None,
            holder=self._world.incarnation,
            holdings=tuple(self._holdings(decision)),
            waiting_credits=sum(r.amount for r in waiting),
            waiting_connections=len(waiting),
            is_listed=all(a.index.completed >= self.trusted_listing(a) for a in accounts),
        )

    def _holdings(self, decision: Decision) -> Iterator[Holding]:
        """Claims seen, and grants that are not."""
        pending = {uid: (grant.tier, grant.amount) for uid, grant in self.grants.items()}
        pending |= {request.uid: (request.tier, request.amount) for request in decision.batch}
        for connection in self._world.connections:
            claim = connection.status.credits
            if claim and claim.pool == self.name:
                yield Holding(connection.metadata.namespace, claim.tier, claim.amount)
            elif connection.metadata.uid in pending:
                yield Holding(connection.metadata.namespace, *pending[connection.metadata.uid])

    def is_known_to_be_empty(self, pool: CreditPool, environment: Environment) -> bool:
        """Whether the account was listed since the take-over, or was never reached, so that nothing can be in it.

        What was listed stays known when the account cannot be reached any more: whatever was opened since is counted.
        """
        account = self._world.account_for(pool, environment)
        if account is None:
            return True
        recorded = pool.status.sandbox if environment is Environment.SANDBOX else pool.status.account
        trouble = account_trouble(recorded, account.facts)
        if recorded is None and trouble is not None:
            return True
        is_another = trouble is not None and trouble.reason is Reason.ACCOUNT_CHANGED
        return not is_another and account.index.completed >= self.trusted_listing(account)
