"""`makini-operator installation`: after a restore from a backup, say that this cluster replaces the old one.

The operator is bound to one cluster, because two with the same key would disconnect each other's connections. `confirm`
binds it to this one and lets resources find their connections again, by name where their uids are new; until `finish`
no connection is taken for an orphan, so the rest of the backup may come later.
"""

from __future__ import annotations

import base64

import click

from makini_operator.cli.cluster import call
from makini_operator.controllers.installation import RESTORING, SECRET_NAME, InstallationError, read_installation
from makini_operator.kube.api import NAMESPACES, SECRETS, KubeApi, Object
from makini_operator.kube.errors import NotFound

_CONFIRM = """\
The connections at Makini that the other cluster opened will be this one's: they are adopted by the resources of the
same namespace and name. If that cluster still runs its operator, each will disconnect what the other opens.
Is the other cluster gone for good?"""
_FINISH = """\
From now on connections with this installation's marker that no resource claims are disconnected.
Has everything been restored?"""

_namespace = click.option("--namespace", required=True, help="The operator's namespace.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def installation() -> None:
    """Show the installation; confirm that it was restored into a new cluster."""


@installation.command()
@_namespace
def show(namespace: str) -> None:
    """Print which cluster the installation is bound to, and whether a restore is going on."""
    found, here = call(lambda api: _read(api, namespace))
    bound = _text(found, "cluster")
    click.echo(f"installation: {_text(found, 'id')}\nbound to:     {bound}\nthis cluster: {here}")
    if bound != here:
        click.echo("state:        waits for `makini-operator installation confirm`; nothing is changed until then")
    else:
        click.echo(f"state:        {'restoring, until `installation finish`' if _is_restoring(found) else 'normal'}")


@installation.command()
@_namespace
@_yes
def confirm(namespace: str, *, yes: bool) -> None:
    """Bind the installation to this cluster, and let restored resources find their connections."""
    found, here = call(lambda api: _read(api, namespace))
    if _text(found, "cluster") == here:
        click.echo("The installation is bound to this cluster already: nothing to confirm.")
        return
    if not yes:
        click.confirm(_CONFIRM, abort=True)
    call(lambda api: _write(api, found, {"cluster": here, RESTORING: "true"}))
    click.echo("Confirmed. When everything is restored and Ready: makini-operator installation finish")


@installation.command()
@_namespace
@_yes
def finish(namespace: str, *, yes: bool) -> None:
    """End the restore: from then on connections that no resource claims are disconnected again."""
    found, here = call(lambda api: _read(api, namespace))
    if _text(found, "cluster") != here:
        raise click.ClickException("the installation is bound to another cluster: see `installation show`")
    if not _is_restoring(found):
        click.echo("No restore is going on: nothing to finish.")
        return
    if not yes:
        click.confirm(_FINISH, abort=True)
    call(lambda api: _write(api, found, {RESTORING: None}))
    click.echo("Finished.")


async def _read(api: KubeApi, namespace: str) -> tuple[Object, str]:
    here = (await api.get(NAMESPACES, None, "kube-system"))["metadata"]["uid"]
    try:
        found = await api.get(SECRETS, namespace, SECRET_NAME)
    except NotFound:
        raise click.ClickException(
            f"Secret {namespace}/{SECRET_NAME} does not exist: restore it from a backup before anything else"
        ) from None
    try:
        read_installation(found, namespace, here)
    except InstallationError as error:
        raise click.ClickException(str(error)) from None
    return found, here


async def _write(api: KubeApi, found: Object, changes: dict[str, str | None]) -> None:
    """Replace exactly the version that was shown."""
    data = dict(found["data"])
    for name, value in changes.items():
        if value is None:
            data.pop(name, None)
        else:
            data[name] = base64.b64encode(value.encode()).decode()
    await api.replace(SECRETS, found["metadata"]["namespace"], found | {"data": data})


def _text(found: Object, name: str) -> str:
    return base64.b64decode(found["data"][name]).decode(errors="replace")


def _is_restoring(found: Object) -> bool:
    return RESTORING in found["data"]
