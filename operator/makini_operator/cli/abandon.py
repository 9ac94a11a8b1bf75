"""`makini-operator abandon`: let connections go that the operator can no longer close.

For when the operator is gone, or Makini's account is: the finalizers then hold objects, and
whole namespaces, for ever. Without them everything that is open at Makini stays open, paid,
and with a token that works, so this first lists exactly that, asks, and needs a right of its
own (`update` on `makiniconnections/abandon`). It deletes nothing itself. With `--check` it only
says whether anything would be stranded without an operator; `helm uninstall` asks that first.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass

import click

from makini_operator.cli.cluster import call
from makini_operator.kube.api import CONNECTIONS, POOLS, KubeApi, Object, Resource
from makini_operator.kube.errors import Conflict, Forbidden, KubeError, NotFound, ReplyLost
from makini_operator.resources.connection import CONNECTION_FINALIZER
from makini_operator.resources.pool import POOL_FINALIZER

TRIES = 5
"""How often a finalizer is removed from an object that others change at the same time."""
REMAINS = 3
"""Exit code of `--check` when something would be stranded."""

_FINALIZERS = {CONNECTIONS: CONNECTION_FINALIZER, POOLS: POOL_FINALIZER}
_NOUNS = {CONNECTIONS: "connection", POOLS: "pool"}
_DELETE = {CONNECTIONS: "kubectl delete mconn -A --all", POOLS: "kubectl delete cpool --all"}
_STRANDED = """\
Not uninstalled: the operator is still needed by {what}. Without it nobody disconnects them or
renews their tokens, and deleting them never ends. Delete them while it runs, and then uninstall:
{commands}
To leave them on purpose, for example to install again: helm uninstall --no-hooks
To keep the operator: helm rollback, because Helm upgrades no release that it has begun to uninstall"""
SHOWN = 20
"""How many objects `--check` lists: a hook's output is one line of a log."""
_HINT = "\n    needed is the right to update makiniconnections/abandon"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@dataclass(frozen=True)
class AtMakini:
    """What of an object stays at Makini."""

    connection_id: str = ""
    credits: int = 0
    is_opening: bool = False

    def __bool__(self) -> bool:
        return bool(self.connection_id or self.credits or self.is_opening)

    def __str__(self) -> str:
        if not self:
            return "nothing is open at Makini"
        if self.connection_id:
            what = f"connection {self.connection_id} stays open at Makini"
        else:
            what = "a connection may be open at Makini, its id is not recorded"
        return f"{what}, paid with {_count(self.credits, 'credit')}"


@dataclass(frozen=True)
class Held:
    """One object with a finalizer of ours."""

    resource: Resource
    namespace: str | None
    name: str
    uid: str
    pool: str
    at_makini: AtMakini
    in_cluster: str

    @property
    def title(self) -> str:
        """How people call it."""
        return f"{self.namespace}/{self.name}" if self.namespace else f"pool {self.name}"

    @property
    def is_connection(self) -> bool:
        """Whether it is a MakiniConnection, else a CreditPool."""
        return self.resource is CONNECTIONS


class _Changed(Exception):
    """Not what the user agreed to, or never the same for long enough."""


@click.command()
@click.argument("connection", required=False, metavar="[NAMESPACE/NAME]")
@click.option("--all", "everything", is_flag=True, help="All connections, and the pools they are in.")
@click.option("--pool", help="With --all: only this pool and its connections.")
@click.option("--dry-run", is_flag=True, help="Only list; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--check", is_flag=True, help=f"Only list; exit with {REMAINS} if a connection needs the operator.")
@click.option("--with-pools", is_flag=True, help="With --check: or a pool does.")
def abandon(
    connection: str | None,
    pool: str | None,
    *,
    everything: bool,
    dry_run: bool,
    yes: bool,
    check: bool,
    with_pools: bool,
) -> None:
    """Take the operator's finalizers off, after listing what stays open and paid at Makini.

    Only for connections that the operator can no longer close. Stop the operator before: a running one puts the
    finalizers back on whatever is not being deleted.
    """
    _check_usage(connection, pool, everything=everything or check)
    if with_pools and not check:
        raise click.UsageError("--with-pools goes with --check")
    held = call(lambda api: _one(api, connection) if connection else _all(api, pool))
    if check:
        _refuse_to_strand([each for each in held if each.is_connection or with_pools])
        return
    _show(held)
    if dry_run or not held:
        return
    if not yes:
        click.confirm(_question(held), abort=True)
    failed = call(lambda api: _let_all_go(api, held))
    if failed:
        raise click.ClickException(f"{failed} of {_count(len(held), 'object')} not abandoned")


def _check_usage(connection: str | None, pool: str | None, *, everything: bool) -> None:
    if bool(connection) == everything:
        raise click.UsageError("name one connection as NAMESPACE/NAME, or say --all")
    if pool and not everything:
        raise click.UsageError("--pool goes with --all")
    if connection and not re.fullmatch(r"[^/]+/[^/]+", connection):
        raise click.UsageError(f"expected NAMESPACE/NAME, found {connection!r}")


# --- looking -----------------------------------------------------------------------------------------------------


async def _one(api: KubeApi, connection: str) -> list[Held]:
    namespace, _, name = connection.partition("/")
    try:
        found = _held(CONNECTIONS, await api.get(CONNECTIONS, namespace, name))
    except NotFound:
        raise click.ClickException(f"there is no MakiniConnection {name} in namespace {namespace}") from None
    return [found] if found else []


async def _all(api: KubeApi, pool: str | None) -> list[Held]:
    """Connections first: a pool without its connections has nothing to wait for."""
    found = [_held(resource, each) for resource in (CONNECTIONS, POOLS) for each in await _listed(api, resource)]
    return [each for each in found if each and pool in {None, each.pool}]


async def _listed(api: KubeApi, resource: Resource) -> list[Object]:
    try:
        return await api.list_all(resource)
    except NotFound:  # the definition is gone, and with it every object
        return []


def _held(resource: Resource, found: Object) -> Held | None:
    """What is held of this object; None if it has no finalizer of ours."""
    meta = found["metadata"]
    if _FINALIZERS[resource] not in meta.get("finalizers", []):
        return None
    is_connection = resource is CONNECTIONS
    return Held(
        resource=resource,
        namespace=meta.get("namespace"),
        name=meta["name"],
        uid=meta["uid"],
        pool=found["spec"]["poolRef"]["name"] if is_connection else meta["name"],
        at_makini=_at_makini(found) if is_connection else AtMakini(),
        in_cluster=_in_cluster(found),
    )


def _at_makini(connection: Object) -> AtMakini:
    status = connection.get("status", {})
    return AtMakini(
        connection_id=status.get("connectionID", ""),
        credits=status.get("credits", {}).get("amount", 0),
        is_opening="intent" in status,
    )


def _in_cluster(found: Object) -> str:
    """What becomes of the object here, and of what it owns."""
    owned = []
    if "token" in found.get("status", {}):
        owned.append(f"Secret {found['status']['token']['secretName']}")
    for kind in ("workflow", "sync"):
        owned += [f"{kind} {each['name']}" for each in found["spec"].get(f"{kind}s", [])]
    names = " and ".join(["it", *owned])
    if "deletionTimestamp" in found["metadata"]:
        return f"{names} then {'go' if owned else 'goes'}, because it is being deleted"
    return f"{names} {'stay' if owned else 'stays'} in the cluster until it is deleted"


# --- saying ------------------------------------------------------------------------------------------------------


def _show(held: list[Held]) -> None:
    if not held:
        click.echo("nothing has a finalizer of the operator")
        return
    for each in held:
        if each.is_connection:
            click.echo(f"{each.title} (pool {each.pool}): {each.at_makini};\n    {each.in_cluster}")
        else:
            click.echo(f"{each.title}: no longer waits for its connections;\n    {each.in_cluster}")
    paid = [each for each in held if each.at_makini]
    if not paid:
        click.echo("nothing stays paid")
        return
    connections = _count(len(paid), "connection")
    credits_ = _count(sum(each.at_makini.credits for each in paid), "credit")
    click.echo(
        f"left open at Makini, with tokens that work: {connections}, {credits_} paid, "
        "until somebody disconnects them in Makini's dashboard"
    )


def _question(held: list[Held]) -> str:
    paid = sum(bool(each.at_makini) for each in held)
    costs = f", and leave {_count(paid, 'connection')} open" if paid else ""
    return f"Take the finalizers off {_count(len(held), 'object')}{costs}?"


def _refuse_to_strand(held: list[Held]) -> None:
    if not held:
        click.echo("nothing needs the operator: it can be uninstalled")
        return
    for each in held[:SHOWN]:
        click.echo(f"{each.title}: {each.at_makini if each.is_connection else 'waits for its connections'}")
    if len(held) > SHOWN:
        click.echo(f"and {len(held) - SHOWN} more")
    counts = Counter(each.resource for each in held)
    what = " and ".join(_count(count, _NOUNS[resource]) for resource, count in counts.items())
    commands = "\n".join(f"  {_DELETE[resource]}" for resource in counts)
    click.echo(_STRANDED.format(what=what, commands=commands))
    sys.exit(REMAINS)


# --- letting go --------------------------------------------------------------------------------------------------


async def _let_all_go(api: KubeApi, held: list[Held]) -> int:
    """Let go what can be; returns how many could not. A pool stays while a connection of it does."""
    failed: list[Held] = []
    for each in held:
        if not each.is_connection and any(other.pool == each.pool for other in failed):
            click.echo(f"{each.title}: not abandoned, because a connection of it is not", err=True)
            failed.append(each)
            continue
        try:
            await _let_go(api, each)
        except (_Changed, KubeError) as error:
            click.echo(f"{each.title}: {error}{_HINT if isinstance(error, Forbidden) else ''}", err=True)
            failed.append(each)
        else:
            click.echo(f"{each.title}: abandoned")
    return len(failed)


async def _let_go(api: KubeApi, shown: Held) -> None:
    """Remove our finalizer from exactly this object, if it is as it was shown; whatever else holds it stays."""
    finalizer = _FINALIZERS[shown.resource]
    for _ in range(TRIES):
        try:
            found = await api.get(shown.resource, shown.namespace, shown.name)
            meta, now = found["metadata"], _held(shown.resource, found)
            if now is None or now.uid != shown.uid:
                return
            if now.at_makini != shown.at_makini:
                raise _Changed(f"it has changed since: now {now.at_makini}; look at it again")
            left = {"finalizers": [each for each in meta["finalizers"] if each != finalizer]}
            await api.patch(
                shown.resource,
                shown.namespace,
                shown.name,
                {"metadata": left},
                uid=shown.uid,
                version=meta["resourceVersion"],
            )
        except (Conflict, ReplyLost):
            continue
        except NotFound:
            pass
        return
    raise _Changed("others change it all the time: try again, with the operator stopped")
