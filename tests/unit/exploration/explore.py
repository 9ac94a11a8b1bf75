"""`python -m tests.unit.exploration.explore`: random stories of the real code, for longer than the tests have."""

from __future__ import annotations

import argparse
import logging
import sys
import time

import pytest
from tests.unit.exploration.clock import hurry
from tests.unit.exploration.moves import search

STORIES_BETWEEN_LINES = 200


def main() -> int:
    """Play stories; returns 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="Play random stories of the real code.")
    parser.add_argument("--examples", type=int, default=2_000, help="stories to play (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first one (default: %(default)s)")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    begun = time.monotonic()

    def progress(seed: int) -> None:
        played = seed - arguments.first
        if played and played % STORIES_BETWEEN_LINES == 0:
            _say(f"real code: {played} of {arguments.examples} stories, {time.monotonic() - begun:.0f} s …")

    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        found = search(range(arguments.first, arguments.first + arguments.examples), on_seed=progress)
    if found:
        _say(f"real code: BROKEN by the story with seed {found[0]}: {found[1]}")
        return 1
    _say(f"real code: holds in {arguments.examples} stories ({time.monotonic() - begun:.0f} s)")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
