"""`makini-operator history`: look at what was synced, and delete it on purpose. Nothing else ever deletes a row."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from makini_operator.cli.sync import destination_options, make_destination
from makini_operator.sync.errors import BadSettings, DestinationFailed, SyncError, missing_extra
from makini_operator.sync.redact import log_unexpected

_NONE = "There is no dataset {!r} there."
_logger = logging.getLogger(__name__)


@click.group()
def history() -> None:
    """Show or delete synced rows. A connection's end never touches them."""


@history.command(context_settings={"auto_envvar_prefix": "MAKINI_SYNC"})
@destination_options
def show(**options: Any) -> None:
    """Print the dataset's tables and how many rows they hold."""
    with _failing():
        destination = make_destination(options)
        if not destination.is_there():
            click.echo(_NONE.format(destination.dataset))
            return
        with destination.lock():
            _print(destination.rows())


@history.command(context_settings={"auto_envvar_prefix": "MAKINI_SYNC"})
@destination_options
@click.option(
    "--confirm", metavar="DATASET", help="Delete indeed: the dataset's name once more. Without it, nothing is changed."
)
def purge(confirm: str | None, **options: Any) -> None:
    """Say what a purge would delete; with --confirm DATASET, delete it for good."""
    dataset = options["dataset"]
    with _failing():
        destination = make_destination(options)
        if not destination.is_there():
            raise BadSettings(f"{_NONE.format(dataset)} Nothing was deleted: look at the name and the place")
        with destination.lock():
            doomed = destination.doomed()
            if doomed.rows or not doomed.others:
                _print(doomed.rows)
            for text in doomed.others:
                click.echo(f"also deleted: {text}")
            for text in doomed.kept:
                click.echo(f"kept, for it is not of this dataset: {text}")
            if confirm is None:
                click.echo(f"Nothing was deleted. To delete all of it for good: --confirm {dataset}")
                return
            if confirm != dataset:
                raise BadSettings(f"--confirm names {confirm!r}, the dataset is {dataset!r}")
            destination.purge()
    click.echo(f"Dataset {dataset} was deleted.")


def _print(rows: Mapping[str, int]) -> None:
    for table, count in rows.items():
        click.echo(f"{table}\t{count}")
    if not rows:
        click.echo("The dataset holds no rows.")


@contextmanager
def _failing() -> Iterator[None]:
    """End the process with one line and the code of the error, whatever it is."""
    failed: SyncError
    try:
        yield
    except SyncError as error:
        failed = error
    except ModuleNotFoundError as error:
        failed = missing_extra(error.name)
    except OSError as error:
        failed = DestinationFailed(str(error))
    except Exception as error:  # noqa: BLE001 - a bug, or what the settings made a library say
        log_unexpected(_logger, "history", error)
        failed = SyncError(f"unexpected {type(error).__name__} with these settings; the log says where")
    else:
        return
    click.echo(f"makini-operator: {failed}", err=True)
    sys.exit(failed.exit_code)
