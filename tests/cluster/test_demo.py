"""`MAKINI_DEMO=api make demo`: a process with an exit code, its screens, and nothing left afterwards.

The demo with pods is run by tests/node/test_demo.py, and by test_readme.py where a node can run.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.localkube.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
SCREEN_LINES = 24
STEPS = 7
FAST_SECONDS = 150
"""Alone it takes about 30 s; here it shares the computer with other tests."""


class Demo:
    """One run, in a folder for temporary files of its own, by which everything that it starts can be known."""

    def __init__(self, temporary: Path, *arguments: str) -> None:
        self.temporary, self.log = temporary, temporary.parent / "demo.log"
        temporary.mkdir()
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # the tests run in the background of a shell
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.demo", *arguments],
                cwd=ROOT,
                env=os.environ | {"TMPDIR": str(temporary), "MAKINI_DEMO": "api"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def text(self) -> str:
        return self.log.read_text()

    def end(self) -> int:
        return self.process.wait(FAST_SECONDS)

    def assert_nothing_is_left(self) -> None:
        assert list(self.temporary.iterdir()) == []
        assert self._descendants() == []

    def _descendants(self) -> list[str]:
        mark = f"TMPDIR={self.temporary}".encode()
        return [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    return tmp_path / "temporary"


def test_it_shows_every_step_each_on_a_screen_and_leaves_nothing(temporary: Path) -> None:
    demo = Demo(temporary, "--keep")
    assert demo.end() == 0, demo.text()
    shown = demo.text()
    titles = re.findall(r"^== (\d)/(\d) ", shown, flags=re.MULTILINE)
    assert titles == [(str(n), str(STEPS)) for n in range(1, STEPS + 1)]
    for screen in shown.split("\n== ")[1:]:
        assert len(screen.strip().splitlines()) <= SCREEN_LINES, screen
    assert "only the API is shown, without pods" in shown
    assert "needs 1 credit" in shown
    assert "every order is there" in shown
    assert "401" in shown
    assert "the copied orders are still there" in shown
    assert "export KUBECONFIG=" in shown
    assert "\x1b" not in shown, "colours for something that is not a terminal"
    assert "MAKINI_TOKEN=$(" in shown
    assert re.findall(r"[A-Za-z0-9_-]{32,}", shown.replace(str(temporary), "")) == [], "a token?"
    demo.assert_nothing_is_left()


def test_it_fails_loudly_when_something_is_not_as_it_says(temporary: Path) -> None:
    examples = temporary.parent / "examples"
    shutil.copytree(ROOT / "examples", examples)
    pool = examples / "02-credit-pool.yaml"
    pool.write_text(pool.read_text().replace("credits: 12", "credits: 11"))
    demo = Demo(temporary, "--examples", str(examples))
    assert demo.end() == 1
    for words in ("NOT SO", "expected: (12, 0, 12)", "seen:     (11, 0, 11)", "operator's log", "leading as"):
        assert words in demo.text()
    demo.assert_nothing_is_left()


@pytest.mark.parametrize(("number", "moment"), [(signal.SIGINT, "== 2/7"), (signal.SIGTERM, "Kubernetes: a control")])
def test_it_cleans_up_when_interrupted(temporary: Path, number: signal.Signals, moment: str) -> None:
    demo = Demo(temporary)
    wait_until(lambda: moment in demo.text(), 60, demo.text)
    demo.process.send_signal(number)
    assert demo.end() == 128 + number, demo.text()
    assert "Interrupted" in demo.text()
    demo.assert_nothing_is_left()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile, or belongs to somebody else
        return b""
