"""How a sync ends: with its report, whatever happens, and at once when it is told to."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from makini_operator.sync.errors import BadSettings, Terminated
from makini_operator.sync.report import Report, write_result

_ENDING = {signal.SIGTERM, signal.SIGINT}


@contextmanager
def scratch_folder(within: Path | None) -> Iterator[Path]:
    """Make a folder for what a run keeps meanwhile, and throw it away.

    Raises:
        BadSettings: there is no place for it.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="makini-sync-", dir=within))
    except OSError as error:
        raise BadSettings(
            f"there is no folder to keep pages in ({error.strerror}): name one that can be written, by --work-dir or "
            "the variable TMPDIR"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def end(report: Report, result_file: Path | None) -> None:
    """Tell the result and end the process."""
    report.finished = report.finished or datetime.now(UTC)
    line = report.line()
    if result_file is not None:
        try:
            write_result(result_file, line)
        except OSError as error:
            click.echo(f"{result_file} cannot be written: {error.strerror}", err=True)
    if report.error is not None:
        click.echo(f"makini-operator: {report.error}", err=True)
    click.echo(line)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(report.exit_code)  # not sys.exit: it would wait for what a library still does in a thread


def end_when_told(report: Report, scratch: Path, end: Callable[[], None]) -> None:
    """End when a signal says so, at once, whatever the process is doing: a run may be killed."""

    def wait() -> None:
        signal.sigwait(_ENDING)
        report.error = None
        report.fail(Terminated("told to end; the next run continues where the last complete one ended"))
        shutil.rmtree(scratch, ignore_errors=True)
        end()

    # Waited for in a thread: a handler would come only after whatever a library is doing in the main one.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    threading.Thread(target=wait, name="signals", daemon=True).start()
