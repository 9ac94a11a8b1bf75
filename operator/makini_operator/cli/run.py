"""`makini-operator run`: the operator itself."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import timedelta

import click

from makini_operator.controllers.handlers import WatchEnded, quieten
from makini_operator.controllers.installation import InstallationError
from makini_operator.controllers.operator import Operator, StartError
from makini_operator.controllers.settings import PULL_POLICIES, Settings, image_reference, own_identity
from makini_operator.kube.errors import KubeError
from makini_operator.kube.lease import LeadershipLost
from makini_operator.kube.session import ConfigurationError, load_configuration
from makini_operator.makini.budget import DEFAULT_PER_SECOND

_LEVELS = ["debug", "info", "warning", "error"]


def _image(ctx: click.Context, param: click.Parameter, value: str) -> str:  # noqa: ARG001 - click's signature
    try:
        return image_reference(value) if value else ""
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option("--namespace", required=True, help="Where pools' credentials Secrets live: the operator's own namespace.")
@click.option("--metrics", metavar="HOST:PORT", help="Serve /metrics for Prometheus.")
@click.option("--health", metavar="HOST:PORT", help="Serve /healthz for probes.")
@click.option("--workers", default=8, show_default=True, type=click.IntRange(1, 64), help="Connections at a time.")
@click.option(
    "--account-relist",
    default=600.0,
    show_default=True,
    type=click.FloatRange(1, 86400),
    help="Seconds between complete listings of a Makini account: how soon a disconnect in the dashboard is noticed.",
)
@click.option(
    "--account-requests-per-second",
    default=DEFAULT_PER_SECOND,
    show_default=True,
    type=click.FloatRange(0.1, 10_000),
    help="Requests to one Makini account at most. A connection takes three to open and one to close.",
)
@click.option(
    "--leader-elect/--no-leader-elect",
    default=True,
    show_default=True,
    help="Work only while holding the Lease makini-operator in --namespace, and stand by until then.",
)
@click.option(
    "--lease-duration",
    default=15.0,
    show_default=True,
    type=click.FloatRange(3, 300),
    help="Seconds without a renewal after which another process takes over.",
)
@click.option(
    "--identity",
    metavar="NAME",
    help="Who holds the Lease. Default: the pod's name (POD_NAME), else the host's and a random part. A predecessor of "
    "the same NAME is taken for dead: no two processes may share it.",
)
@click.option(
    "--sync-image",
    metavar="IMAGE",
    default="",
    callback=_image,
    help="What the pods of spec.syncs run. Without it, this operator runs no syncs.",
)
@click.option(
    "--sync-image-pull-policy",
    default="IfNotPresent",
    show_default=True,
    type=click.Choice(PULL_POLICIES),
    help="When a node pulls it.",
)
@click.option(
    "--sync-begin-within",
    default=300.0,
    show_default=True,
    type=click.FloatRange(1, 86_400),
    help="How long a run of a sync may take to begin before its connection says so. Seconds.",
)
@click.option("--log-level", default="info", show_default=True, type=click.Choice(_LEVELS), help="How much to say.")
def run(  # noqa: PLR0917 - click passes by name
    namespace: str,
    metrics: str | None,
    health: str | None,
    workers: int,
    account_relist: float,
    account_requests_per_second: float,
    leader_elect: bool,
    lease_duration: float,
    identity: str | None,
    sync_image: str,
    sync_image_pull_policy: str,
    sync_begin_within: float,
    log_level: str,
) -> None:
    """Run the operator against the cluster of KUBECONFIG, or the one that this pod runs in."""
    _configure_logging(log_level)
    settings = Settings(
        namespace=namespace,
        metrics=metrics,
        health=health,
        workers=workers,
        relist_every=timedelta(seconds=account_relist),
        account_requests_per_second=account_requests_per_second,
        lease_duration=timedelta(seconds=lease_duration) if leader_elect else None,
        identity=own_identity(identity),
        sync_image=sync_image,
        sync_image_pull_policy=sync_image_pull_policy,
        sync_begin_within=timedelta(seconds=sync_begin_within),
    )
    try:
        asyncio.run(_run(settings))
    except (ConfigurationError, StartError, InstallationError, LeadershipLost, WatchEnded, KubeError, OSError) as error:
        click.echo(f"makini-operator: {error}", err=True)
        sys.exit(1)


async def _run(settings: Settings) -> None:
    await Operator(settings, await load_configuration()).run()


def _configure_logging(level: str) -> None:
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    quieten()
