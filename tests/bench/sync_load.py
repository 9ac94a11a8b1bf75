"""How long the sync program takes, and how much memory, beside dlt alone on the same data in the same run.

    python -m tests.bench.sync_load [--orders 20000] [--without-dlt]

The source makes its records up as they are asked for, in a process of its own. PostgreSQL is a real server. Figures go
to build/bench/sync.json. Look at ratios: bare seconds say more about the computer than about the program.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.sync import postgres
from tests.sync.fakemakini import START, FakeMakini, Record, order, serving
from tests.sync.program import Program

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build/bench/sync.json"
PER_PAGE = 500
DATASET = "bench"


@dataclass(frozen=True)
class Rows(Sequence[Record]):
    """Orders that exist only while they are shown: a million of them would not fit into memory."""

    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, at: Any) -> Any:
        return [order(i) for i in self.numbers[at]] if isinstance(at, slice) else order(self.numbers[at])


@dataclass
class Endless(FakeMakini):
    """A source of as many orders as wanted."""

    count: int = 0

    def _listed(self, _entity: str, query: dict[str, str]) -> Any:
        since = query.get("filter[updatedAt:gteq]")
        start = max(0, round((datetime.fromisoformat(since) - START).total_seconds())) if since else 0
        numbers = range(start, self.count)
        return Rows(numbers[::-1] if query.get("sort[updatedAt]") == "1" else numbers)


def main(arguments: list[str] | None = None) -> int:
    """Measure, keep the figures and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--without-dlt", action="store_true", help="Only the sync program.")
    chosen = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="makini-sync-bench-") as folder,
        postgres.running() as dsn,
        source(chosen.orders) as url,
    ):
        results = measure(chosen, Path(folder), url, dsn)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    for name, figures in results.items():
        print(f"{name:<28} {figures}")  # noqa: T201 - the result
    return 0


def measure(chosen: argparse.Namespace, folder: Path, url: str, dsn: str) -> dict[str, Any]:
    """Run dlt alone, the sync program, and the sync program again with nothing new."""
    results: dict[str, Any] = {"load of the machine": f"{os.getloadavg()[0]:.1f}", "orders": chosen.orders}
    environment = {"MAKINI_SYNC_POSTGRES_DSN": dsn}
    program = Program(folder, url, ["--destination", "postgres"], environment, DATASET)
    command = program.command("--page-size", str(PER_PAGE))
    if not chosen.without_dlt:
        plain = [sys.executable, "-m", "tests.sync.plain", url, dsn, "numbers", str(PER_PAGE)]
        extra = {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}",
            "DLT_DATA_DIR": str(folder),
            "DLT_PROJECT_DIR": str(folder),
        }
        extra["RUNTIME__DLTHUB_TELEMETRY"] = "false"
        results["dlt alone"] = run(plain, program.full_environment | extra, folder)
    results["sync"] = run(command, program.full_environment, folder)
    results["sync, nothing new"] = run(command, program.full_environment, folder)
    counted = f"SELECT count(*), count(DISTINCT _makini_key) FROM {DATASET}.erp_purchase_orders"  # noqa: S608
    results["orders, and lines, loaded"] = [
        *postgres.query(dsn, counted)[0],
        *postgres.query(dsn, counted.replace("orders", "orders_line_items"))[0],
    ]
    if not chosen.without_dlt:
        results["sync to dlt alone, time"] = round(results["sync"]["seconds"] / results["dlt alone"]["seconds"], 2)
    return results


def run(command: list[str], environment: dict[str, str], folder: Path) -> dict[str, float]:
    """Run a process to its end; return its wall-clock and CPU time in seconds and its peak memory in MiB."""
    started = time.monotonic()
    with Path(folder, "out").open("w") as out:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:4]} failed: {Path(folder, 'out').read_text()[-2000:]}")
    return {
        "seconds": round(time.monotonic() - started, 2),
        "cpu": round(used.ru_utime + used.ru_stime, 2),
        "MiB": round(used.ru_maxrss / 1024),
    }


@contextmanager
def source(count: int) -> Any:
    """Serve the orders from a process of its own, so that the measured one does not share its interpreter."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(count, theirs))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


def _serve(count: int, pipe: Connection) -> None:
    fake = Endless(count=count)
    with serving(fake):
        pipe.send(fake.url)
        pipe.recv()


if __name__ == "__main__":
    sys.exit(main())
