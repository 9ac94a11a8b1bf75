"""`python -m tests.model.explore`: the protocol, looked at for longer than the tests have time for.

Prints a line for each scenario, with progress while it works. `--trace TEXT` prints the shortest
trace of each mutant whose description has this text.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tests.model.mutants import MUTANTS
from tests.model.scenarios import COMPLETE, DEEP
from tests.model.search import Checker, Result

SECONDS_BETWEEN_LINES = 10


def main() -> int:
    """Explore; returns 1 if a promise was broken, or a mutant was not caught."""
    parser = argparse.ArgumentParser(description="Explore the ledger's protocol.")
    parser.add_argument(
        "--states", type=int, default=200_000, help="most states of each scenario (default: %(default)s)"
    )
    parser.add_argument("--only", default="", help="scenarios whose name has this text")
    parser.add_argument(
        "--trace", metavar="TEXT", help="instead: traces of the mutants whose description has this text"
    )
    arguments = parser.parse_args()
    if arguments.trace is not None:
        return _mutants(arguments.trace)
    return _scenarios(arguments.only, arguments.states)


def _scenarios(only: str, most_states: int) -> int:
    chosen = {name: scenario for name, scenario in (COMPLETE | DEEP).items() if only in name}
    is_broken = False
    for number, (name, scenario) in enumerate(chosen.items(), 1):
        title = f"[{number}/{len(chosen)}] {name}"
        result = Checker(scenario, progress=_progress(title)).run(most_states=most_states)
        is_broken |= bool(result.violation)
        _say(f"{title}: {_in_words(result)}")
        for step, label in enumerate(result.trace, 1):
            _say(f"    {step:3d} {label}")
    return int(is_broken)


def _mutants(text: str) -> int:
    is_missed = False
    for mutant in MUTANTS:
        title = f"rule {mutant.rule}: {mutant.omission}"
        if text not in title:
            continue
        result = Checker(mutant.scenario, mutant.rules, progress=_progress(title)).run()
        is_missed |= not result.violation
        _say(f"{title}: {result.violation or 'NOT CAUGHT'} ({result.states} states)")
        for step, label in enumerate(result.trace, 1):
            _say(f"    {step:3d} {label}")
    return int(is_missed)


def _in_words(result: Result) -> str:
    how = f"{result.states} states, {result.transitions} steps, {result.seconds:.0f} s"
    if result.violation:
        return f"BROKEN: {result.violation} ({how})"
    extent = "every state" if result.is_complete else "up to the bound"
    credits_too_many = max(0, result.most_alive_too_many)
    worst = f"at Makini at most {credits_too_many} credits and {result.most_duplicates} duplicates too many"
    return f"holds, {extent} ({how}; {worst})"


def _progress(title: str) -> Callable[[int, float], None]:
    said = 0.0

    def progress(states: int, seconds: float) -> None:
        nonlocal said
        if seconds - said >= SECONDS_BETWEEN_LINES:
            said = seconds
            _say(f"{title}: {states} states, {seconds:.0f} s …")

    return progress


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
