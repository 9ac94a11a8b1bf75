"""The command line: `python -m tests.bench [--connections N] …`; results go to build/bench/results.json."""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench import crowd, measure, rush, scene

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build/bench/results.json"


def main(arguments: list[str] | None = None) -> int:
    """Measure, keep the figures, and print them beside their aims. 0 also when an aim is missed."""
    chosen = _parser().parse_args(arguments)
    chosen.credits = chosen.credits or chosen.connections * 6 // 10
    chosen.releases = chosen.releases or chosen.connections // 10
    results: dict[str, Any] = {"machine": measure.machine(), "arguments": vars(chosen)}
    with tempfile.TemporaryDirectory(prefix="makini-bench-") as directory:
        if "rush" in chosen.parts:
            _say(f"{chosen.connections} connections at once for {chosen.credits} credits")
            with scene.opened(Path(directory, "rush"), page_size=chosen.page_size, arguments=chosen.operator_args) as s:
                results["rush"] = rush.run(
                    s, connections=chosen.connections, credits=chosen.credits, releases=chosen.releases
                )
            _keep(results)
        if "crowd" in chosen.parts:
            _say(f"{chosen.crowd} connections in one pool")
            with scene.opened(
                Path(directory, "crowd"), page_size=chosen.page_size, arguments=chosen.operator_args
            ) as s:
                results["crowd"] = crowd.run(s, connections=chosen.crowd, idle_seconds=chosen.idle_seconds)
            _keep(results)
    _say(f"\n{results['machine']}; everything is in {RESULTS.relative_to(ROOT)}\n")
    for line in table(results):
        _say(line)
    return 0


def table(results: dict[str, Any]) -> Iterator[str]:
    """The figures as Markdown, each with its aim."""
    yield "| Measured | Figure | Aim |"
    yield "|---|---|---|"
    if one := results.get("rush"):
        label = f"{one['connections']} connections at once, {one['credits']} credits"
        yield f"| {label}: settled after | {one['seconds']} s | |"
        yield f"| the same by a bare client | {one['floor']['seconds']} s | |"
        yield f"| times the bare client | {one['timesFloor']} | 2 |"
        yield f"| writes for each Ready connection | {one['writesPerReady']} | 5.2 |"
        yield f"| CPU for each connection | {one['cpuMillisecondsPerConnection']} ms | 8 ms |"
        yield f"| peak memory | {one['peakMiB']} MiB | |"
        yield f"| from a release to its grant, median | {one['release']['delaySecondsMedian']} s | |"
        yield f"| from a release to its grant, longest | {one['release']['delaySecondsLongest']} s | 1 s |"
    if many := results.get("crowd"):
        label = f"{many['connections']} connections"
        yield f"| {label}: cold start to a grant | {many['coldStartToGrantSeconds']} s | 30 s |"
        yield f"| a grant while running | {many['grantWhileRunningSeconds']} s | |"
        yield f"| peak memory | {many['peakMiB']} MiB | 250 MiB |"
        yield f"| idle CPU over {many['idle']['seconds']:.0f} s | {many['idle']['cpuPercent']} % | 1 % |"
        yield f"| size of the pool object | {many['poolObjectBytes']} bytes | 1.5 MiB is the limit |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition(";")[0])
    parser.add_argument("parts", nargs="*", default=["rush", "crowd"], help="rush, crowd (default: both)")
    parser.add_argument("--connections", type=int, default=1000, help="applied at once (default: %(default)s)")
    parser.add_argument("--credits", type=int, help="in the pool (default: 60 %% of the connections)")
    parser.add_argument("--releases", type=int, help="deleted afterwards (default: 10 %% of the connections)")
    parser.add_argument("--crowd", type=int, default=10_000, help="connections in one pool (default: %(default)s)")
    parser.add_argument("--idle-seconds", type=float, default=60.0, help="measured idle (default: %(default)s)")
    parser.add_argument("--page-size", type=int, default=100, help="of the sandbox's listings (default: %(default)s)")
    parser.add_argument("--operator-args", default="", help="more arguments of `makini-operator run`")
    return parser


def _keep(results: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program


if __name__ == "__main__":
    sys.exit(main())
