"""`makini-operator sandbox`: the embedded Makini as a process of its own.

The account's client id and secret come from the environment only: a command line can be read by every process of the
computer.
"""

import logging
import os
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path

import click

from makini_operator.sandbox import SandboxSettings
from makini_operator.sandbox.server import run
from makini_operator.sandbox.settings import MAX_SCALE

CLIENT_ID = "MAKINI_SANDBOX_CLIENT_ID"
CLIENT_SECRET = "MAKINI_SANDBOX_CLIENT_SECRET"  # noqa: S105 - the name of the variable
_THIRTY_DAYS = 30 * 24 * 3600
_MAX_PORT = 65_535


class _Address(click.ParamType[tuple[str, int]]):
    name = "host:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        host, _, port = str(value).rpartition(":")
        if not (host and port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
            self.fail(f"expected HOST:PORT with a port of at most {_MAX_PORT}, found {value!r}", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


@click.command()
@click.option(
    "--listen", type=_Address(), default="127.0.0.1:8081", show_default=True, help="Address; port 0 takes a free one."
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file that survives a restart. Without it, everything is kept in memory.",
)
@click.option(
    "--token-life",
    type=click.IntRange(min=1),
    default=_THIRTY_DAYS,
    show_default=True,
    metavar="SECONDS",
    help="Life of a connection's token.",
)
@click.option(
    "--second-token-kills-first", is_flag=True, help="A minted token ends the earlier ones of its connection."
)
@click.option("--keep-disconnected", is_flag=True, help="Disconnected connections stay in the listing, marked so.")
@click.option(
    "--page-size", type=click.IntRange(min=1, max=1000), default=10, show_default=True, help="Rows of a listing's page."
)
@click.option(
    "--scale",
    type=click.IntRange(min=1, max=MAX_SCALE),
    metavar="N",
    help="So many purchase orders, for load tests; made when they are asked for, the same at every start.",
)
@click.option("--allow-faults", is_flag=True, help="Serve /sandbox/… for tests: faults on demand. Never in production.")
def sandbox(
    *,
    listen: tuple[str, int],
    state: Path | None,
    token_life: int,
    second_token_kills_first: bool,
    keep_disconnected: bool,
    page_size: int,
    scale: int | None,
    allow_faults: bool,
) -> None:
    """Serve an embedded Makini with sample data.

    The account's OAuth client is read from the environment: MAKINI_SANDBOX_CLIENT_ID and MAKINI_SANDBOX_CLIENT_SECRET.
    """
    settings = SandboxSettings(
        client_id=_from_environment(CLIENT_ID),
        client_secret=_from_environment(CLIENT_SECRET),
        state=state,
        token_life=timedelta(seconds=token_life),
        second_token_kills_first=second_token_kills_first,
        keep_disconnected=keep_disconnected,
        page_size=page_size,
        scale=scale,
        allow_faults=allow_faults,
    )
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        run(settings, host=listen[0], port=listen[1], announce=_announce)
    except (OSError, sqlite3.Error) as error:
        raise click.ClickException(f"the sandbox cannot start: {error}") from None


def _announce(url: str) -> None:
    click.echo(f"sandbox: listening on {url}")
    sys.stdout.flush()


def _from_environment(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise click.UsageError(f"expected the environment variable {name}, found it empty or missing")
    return value
