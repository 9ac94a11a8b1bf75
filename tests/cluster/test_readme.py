"""The README as its reader: every command in it is really run, in order, on a copy of this folder.

A block is ```bash (all lines) or ```console (the lines after "$ "). A ```text block is what
the block before it must have said; "…" stands for anything. What a comment in the page may ask for:

* `<!-- readme-test: background until "words" -->` before a block: another terminal, left running;
* port 8500 is replaced by a free one, and `make test` only collects the tests, as this is one of them.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.localkube import ports
from tests.localkube.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "build", "dist", "__pycache__", ".*_cache", ".hypothesis")
BLOCK_SECONDS = 300
_BLOCK = re.compile(
    r'(?:<!-- readme-test: background until "(?P<until>[^"]+)" -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```',
    flags=re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    language: str
    body: str
    until: str | None

    @property
    def script(self) -> str:
        if self.language == "bash":
            return self.body
        return "\n".join(line.removeprefix("$ ") for line in self.body.splitlines() if line.startswith("$ "))


def blocks() -> list[Block]:
    return [Block(m["language"], m["body"], m["until"]) for m in _BLOCK.finditer(README.read_text())]


class Reader:
    """Somebody with terminals in a fresh copy of this folder."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self._home = folder, home
        self.port = ports.free_port()
        self.log = home / "log"
        self._exports = home / "exports"
        self._exports.touch()
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith(("KUBE", "MAKINI_", "MAKE"))} | {
            "SANDBOX_LISTEN": f"127.0.0.1:{self.port}",
            "PYTEST_ARGS": "--collect-only --quiet",
        }

    def run(self, script: str) -> str:
        """Run a block in the first terminal, which remembers what was exported; returns what it said."""
        remembering = f"source {self._exports}\n{self._adapted(script)}\nexport -p > {self._exports}\n"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", remembering],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BLOCK_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{self._said_elsewhere()}"
        return done.stdout

    def start(self, script: str, until: str) -> subprocess.Popen[bytes]:
        """Run a block in another terminal, until it says these words, and leave it running."""
        log = self._home / f"terminal-{len(list(self._home.iterdir()))}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", self._adapted(script)],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        wait_until(lambda: until in log.read_text(), 60, log.read_text)
        return process

    def _adapted(self, script: str) -> str:
        return script.replace("127.0.0.1:8500", f"127.0.0.1:{self.port}")

    def _said_elsewhere(self) -> str:
        return "\n".join(log.read_text(errors="replace")[-3000:] for log in self._home.glob("terminal-*.log"))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    folder, home = tmp_path / "checkout", tmp_path / "home"
    home.mkdir()
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED)
    # The environment that runs this test, seen as up to date, so that `make` does not install the copy over it.
    (folder / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != ".installed":
            (folder / ".venv" / part.name).symlink_to(part)
    (folder / ".venv/.installed").touch()
    made = Reader(folder, home)
    yield made
    made.run("make cluster-down")
    assert not (folder / "build/localkube").exists()


def test_every_command_can_be_typed_as_it_stands(reader: Reader) -> None:
    said = ""
    with ExitStack() as terminals:
        for block in blocks():
            match block.language:
                case "bash" | "console" if block.until:
                    terminals.callback(press_ctrl_c, reader.start(block.script, block.until))
                case "bash" | "console":
                    said = reader.run(block.script)
                case "text":
                    assert_said(block.body, said)


def test_no_block_is_left_out() -> None:
    found = blocks()
    assert README.read_text().count("\n```") == 2 * len(found)
    # YAML is applied by test_examples.py.
    assert {block.language for block in found} <= {"bash", "console", "text", "yaml"}
    assert all(block.script.strip() for block in found if block.language in ("bash", "console"))


def test_make_targets_in_the_text_exist() -> None:
    text = README.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {name for name in re.findall(r"`make ([a-z-]+)`", text) if name not in targets} == set()


def test_links_between_pages_lead_somewhere() -> None:
    pages = [README, ROOT / "CHANGELOG.md", ROOT / "examples/README.md", *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]
    assert len(links) > 20
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def press_ctrl_c(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)
    process.wait(30)


def assert_said(expected: str, said: str) -> None:
    lines = [" ".join(line.split()) for line in said.splitlines()]
    for line in filter(None, (" ".join(line.split()) for line in expected.splitlines())):
        pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
        assert any(pattern.fullmatch(each) for each in lines), f"expected: {line}\nseen:\n{said}"
