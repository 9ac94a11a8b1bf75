"""`makini-operator sync`: read what changed at Makini, check that nothing was missed, load it.

Every option can also be given as MAKINI_SYNC_<OPTION> in the environment. Secrets come from files or the environment
only: a command line can be read by every process of the computer.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from makini_operator.cli import ending
from makini_operator.cli.durations import Duration
from makini_operator.sync.destinations.base import Destination
from makini_operator.sync.entities import Entity, find_entity
from makini_operator.sync.errors import BadSettings, SyncError, missing_extra
from makini_operator.sync.plan import Wishes
from makini_operator.sync.progress import Progress, terminal
from makini_operator.sync.redact import log_unexpected
from makini_operator.sync.report import Report

_logger = logging.getLogger(__name__)
TOKEN = "MAKINI_TOKEN"  # noqa: S105 - the name of the variable
POSTGRES_DSN = "MAKINI_SYNC_POSTGRES_DSN"
_EXTRA = ("dlt", "pyarrow")  # of which a run finds out late that they are missing
_MAX_TOKEN = 16_384  # bytes


def destination_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where records are loaded to."""
    options = [
        click.option("--destination", required=True, type=click.Choice(["postgres", "files", "duckdb"])),
        click.option("--dataset", required=True, help="Schema or folder of this connection's tables."),
        click.option(
            "--postgres-dsn-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help=f"File with postgresql://user:password@host/database. Default: the variable {POSTGRES_DSN}.",
        ),
        click.option("--files-url", help="file:///folder or s3://bucket/prefix, for --destination files."),
        click.option(
            "--duckdb-folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the DuckDB file."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(context_settings={"auto_envvar_prefix": "MAKINI_SYNC"})
@click.option("--entity", multiple=True, required=True, help="erp/purchase-orders, … Repeat for several.")
@click.option("--url", default="https://api.makini.io", show_default=True, help="The API.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"File with the connection's token, read for every request. Default: the variable {TOKEN}.",
)
@click.option("--connection-id", help="The connection's id at Makini.")
@click.option(
    "--connection-id-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that holds it, as in the Secret.",
)
@click.option("--owner", help="Whose dataset it is, when the connection gets a new id. Default: the connection's id.")
@click.option("--take-over", is_flag=True, help="Use a dataset that belongs to another owner, for good.")
@click.option(
    "--window",
    type=Duration("all"),
    default="90d",
    show_default=True,
    help="How far the first run reaches back, or all.",
)
@click.option(
    "--overlap",
    type=Duration("none"),
    default="5m",
    show_default=True,
    help="How much is read twice, for late changes.",
)
@click.option(
    "--compare-every",
    type=Duration("never"),
    default="24h",
    show_default=True,
    help="How often all keys are read, to find what is gone at the source.",
)
@click.option("--full", is_flag=True, help="Read everything of the window again. No row is ever deleted by it.")
@click.option("--no-cursor", multiple=True, metavar="ENTITY", help="Read this entity whole each time.")
@click.option("--accept-gone", is_flag=True, help="Mark records as gone even if they are most of them.")
@click.option("--page-size", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Records of a page.")
@click.option("--attempts", type=click.IntRange(1, 20), default=6, show_default=True, help="Requests for one page.")
@click.option(
    "--retry-wait",
    type=click.FloatRange(0.001, 60),
    default=1.0,
    show_default=True,
    help="First wait, doubled. Seconds.",
)
@click.option(
    "--request-timeout", type=click.FloatRange(0.1, 3600), default=120.0, show_default=True, help="For a page. Seconds."
)
@click.option("--progress-every", type=click.FloatRange(0.1, 3600), default=5.0, show_default=True, help="Seconds.")
@click.option(
    "--lock-wait",
    type=Duration("none"),
    default="none",
    show_default=True,
    help="How long another run on the dataset is waited for.",
)
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True, writable=True),
    help="Where pages are kept meanwhile. Default: TMPDIR.",
)
@click.option(
    "--result-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the result's JSON line here, such as /dev/termination-log.",
)
@destination_options
def sync(**options: Any) -> None:
    """Sync records of a connection into a database or files.

    Prints one line of JSON at the end. Exit codes: 0 all done, 1 failed, 2 asked for something impossible,
    3 another run is at work, 4 the token is refused, 5 the destination fails, 143 told to end.
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    for library in ("dlt", "botocore", "urllib3", "duckdb"):
        logging.getLogger(library).setLevel(logging.ERROR)
    report = Report(run=secrets.token_hex(8), dataset=options["dataset"], connection="", started=datetime.now(UTC))
    end = partial(ending.end, report, options["result_file"])
    try:
        with ending.scratch_folder(options["work_dir"]) as scratch:
            ending.end_when_told(report, scratch, end)
            _run(options, report, scratch)
    except SyncError as error:
        report.fail(error)
    except ModuleNotFoundError as error:
        report.fail(missing_extra(error.name))
    except Exception as error:  # noqa: BLE001 - before any entity is read: what the settings made a library say
        log_unexpected(_logger, "before the first entity", error)
        report.fail(SyncError(f"unexpected {type(error).__name__} with these settings; the log says where"))
    end()


def make_destination(options: dict[str, Any]) -> Destination:
    """Return the destination that the options name.

    Raises:
        BadSettings: something it needs is missing or wrong.
    """
    match options["destination"]:
        case "postgres":
            from makini_operator.sync.destinations.postgres import Postgres  # noqa: PLC0415 - needs its library

            return Postgres(
                _secret(options["postgres_dsn_file"], POSTGRES_DSN, "--postgres-dsn-file"), options["dataset"]
            )
        case "files":
            from makini_operator.sync.destinations.files import Files  # noqa: PLC0415

            return Files(options["files_url"] or "", options["dataset"])
        case _:
            from makini_operator.sync.destinations.duck import Duck  # noqa: PLC0415

            if options["duckdb_folder"] is None:
                raise BadSettings("--destination duckdb needs --duckdb-folder")
            return Duck(options["duckdb_folder"], options["dataset"])


def _run(options: dict[str, Any], report: Report, scratch: Path) -> None:
    from makini_operator.sync.job import Job  # noqa: PLC0415 - `--help` needs no HTTP
    from makini_operator.sync.run import Run  # noqa: PLC0415
    from makini_operator.sync.source import Patience, Source  # noqa: PLC0415

    for name in _EXTRA:
        if find_spec(name) is None:
            raise missing_extra(name)
    connection = options["connection_id"] or _optional(options["connection_id_file"])
    if not connection:
        raise BadSettings("expected --connection-id, or --connection-id-file with an id in it")
    report.connection = connection
    entities = _entities(options["entity"], set(options["no_cursor"]))
    source = Source(
        url=options["url"],
        token=lambda: _secret(options["token_file"], TOKEN, "--token-file"),
        patience=Patience(
            attempts=options["attempts"], first_wait=options["retry_wait"], request=options["request_timeout"]
        ),
    )
    source.token()  # said now rather than after a lock was waited for
    job = Job(
        entities=entities,
        connection=connection,
        owner=options["owner"] or connection,
        wishes=Wishes(
            window=options["window"],
            overlap=options["overlap"] or timedelta(),
            compare_every=options["compare_every"],
            is_full=options["full"],
        ),
        page_size=options["page_size"],
        accepts_gone=options["accept_gone"],
        takes_over=options["take_over"],
        scratch=scratch,
        lock_wait=options["lock_wait"] or timedelta(),
    )
    progress = Progress(every=options["progress_every"], terminal=terminal())
    with closing(source):
        Run(job, source=source, destination=make_destination(options), progress=progress, report=report).run()


def _entities(names: tuple[str, ...], whole: set[str]) -> tuple[Entity, ...]:
    from makini_operator.sync.run import without_cursor  # noqa: PLC0415

    try:
        found = [find_entity(name) for name in dict.fromkeys(names)]
        for name in whole:
            find_entity(name)
    except ValueError as error:
        raise BadSettings(str(error)) from None
    return tuple(without_cursor(entity) if entity.name in whole else entity for entity in found)


def _secret(path: Path | None, variable: str, option: str) -> str:
    text = _optional(path) if path else os.environ.get(variable, "").strip()
    if not text or not text.isprintable():
        raise BadSettings(f"expected {option} FILE with one line in it, or the variable {variable}; found none")
    return text


def _optional(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_MAX_TOKEN).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
