"""`make test` takes kind where the node cannot run, and leaves everything as it is elsewhere."""

import os
import subprocess
from pathlib import Path

import pytest

INSTEAD = Path(__file__).parents[1] / "kind" / "instead.sh"
TOOLS = ("bash", "dirname", "grep", "mkdir")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with what the script needs, and a Python for which no node can run."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        found = next(p for d in os.defpath.split(":") if (p := Path(d) / name).exists())
        (folder / name).symlink_to(found)
    _script(folder / "python3", "exit 1")
    return folder


def _script(path: Path, *lines: str) -> None:
    path.write_text("\n".join(["#!/bin/bash", *lines]) + "\n")
    path.chmod(0o755)


def _instead(programs: Path, **environment: str) -> str:
    done = subprocess.run(
        [INSTEAD], env={"PATH": str(programs), **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout


def _with_engine(programs: Path, *, answers: bool = True) -> None:
    _script(
        programs / "docker",
        f'[ "$1" = info ] && exit {0 if answers else 1}',
        '[ "$1" = network ] && echo 172.18.0.1',
        "exit 0",
    )
    _script(programs / "kind", '[ "$1 $2" = "get clusters" ] && echo makini', "exit 0")
    _script(programs / "kubectl", "exit 0")
    _script(programs / "uname", "echo Linux")


def test_a_container_engine_stands_in_for_the_node(programs: Path) -> None:
    _with_engine(programs)
    settings = dict(line.split("=", 1) for line in _instead(programs).splitlines())
    assert settings["MAKINI_NODE_KUBECONFIG"].endswith("build/kind.kubeconfig")
    assert settings["MAKINI_NODE_HOST_ADDRESS"] == "172.18.0.1"


def test_without_an_engine_nothing_is_set(programs: Path) -> None:
    assert _instead(programs) == ""


def test_an_engine_that_does_not_answer_is_none(programs: Path) -> None:
    _with_engine(programs, answers=False)
    assert _instead(programs) == ""


def test_a_node_that_can_run_is_preferred(programs: Path) -> None:
    _with_engine(programs)
    _script(programs / "python3", "exit 0")
    assert _instead(programs) == ""


@pytest.mark.parametrize("setting", [{"MAKINI_SKIP_NODE": "1"}, {"MAKINI_NODE_KUBECONFIG": "/some/where"}])
def test_what_somebody_has_said_stands(programs: Path, setting: dict[str, str]) -> None:
    _with_engine(programs)
    assert _instead(programs, **setting) == ""
