"""The command `makini-operator` and how its subcommands are found.

Subcommands are imported when called: `makini-operator crds` must not pay for kopf, and the
sandbox's image need not hold what the operator needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

import click

_COMMANDS = {
    "run": "Run the operator against a cluster.",
    "sandbox": "Serve the embedded Makini, for tests and demonstrations.",
    "sync": "Load what changed at Makini into a database or files.",
    "history": "Show or delete synced rows.",
    "abandon": "Let connections go that the operator can no longer close.",
    "installation": "Show the installation; confirm that it was restored into a new cluster.",
    "crds": "Print, write or compare the CustomResourceDefinitions.",
}


class _LazyGroup(click.Group):
    """A group that imports a subcommand's module only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = import_module(f"makini_operator.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"{cmd_name} is not part of this image or installation: it has no module {error.name}"
            ) from None
        return cast("click.Command", getattr(module, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="makini-operator")
def main() -> None:
    """Connections to Makini, declared in YAML."""
