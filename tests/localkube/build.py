"""Builds the control plane binary, and others that tests need, once, and finds them again.

Why: the build costs minutes, so it happens once per version of its sources, for all
checkouts of this user. The folder's name is a hash of everything that decides the
binary; a lock keeps two builders from doing the same work, and a rename publishes the
finished folder, so a binary that can be seen is complete.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.localkube import toolchain
from tests.localkube.errors import LocalKubeError

MODULE = Path(__file__).parent
KUBERNETES = "v1.36.3"
"""What the binary calls itself. The same version as k8s.io/kubernetes in go.mod."""

_PROGRESS_SECONDS = 10
_FEW_CPUS = 4
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_MAJOR, _MINOR, _ = KUBERNETES.removeprefix("v").split(".")
_LINKER = ["-s", "-w"] + [
    f"-X={package}.{name}={value}"
    for package in _VERSION_PACKAGES
    for name, value in (
        ("gitVersion", KUBERNETES),
        ("gitMajor", _MAJOR),
        ("gitMinor", _MINOR),
    )
]
# The linker drops debugging data (-s -w), so the compiler need not make it: an eighth less work.
FLAGS = ["-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", f"-ldflags={' '.join(_LINKER)}"]


@dataclass(frozen=True)
class Program:
    """One Go program of this repository.

    Attributes:
        name: what its file is called.
        title: what messages call it.
        module: the folder of its go.mod.
        package: its package's folder in the module.
        minutes: how long a build takes on two cores with an empty compile cache, at most.
        packages: how many packages such a build compiles; only for the progress lines.
        links: further names in its folder under which it can be called.
    """

    name: str
    title: str
    module: Path
    package: str
    minutes: int
    packages: int
    links: tuple[str, ...] = ()

    @property
    def source_hash(self) -> str:
        """Twelve hexadecimal digits that change whenever the binary would."""
        digest = hashlib.sha256(json.dumps([FLAGS, platform.system(), platform.machine()]).encode())
        sources = (self.module / self.package).glob("*.go")
        for path in sorted([*sources, self.module / "go.mod", self.module / "go.sum"]):
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:12]

    @property
    def path(self) -> Path:
        """Where the binary of these sources is, or will be after `ensure`."""
        return cache_home() / f"{self.name}-{self.source_hash}" / self.name

    def ensure(self, report: Callable[[str], None] | None = None) -> Path:
        """The binary, built now if these sources were not built before.

        Args:
            report: gets one line of progress at a time; the default writes to standard error.

        Raises:
            LocalKubeError: no Go toolchain, or the build failed; the text has the compiler's last lines.
        """
        report = report or report_to_stderr
        binary = self.path
        if binary.exists():
            return binary
        # One lock for all programs: two compilers at once would only share the same cores.
        with locked(cache_home() / "localkube.lock", lambda: report(f"waiting for a build before {self.title}")):
            if not binary.exists():
                _build(self, binary, report)
        return binary


def control_plane() -> Program:
    """etcd, kube-apiserver, kube-controller-manager and kubectl in one."""
    return Program("localkube", f"Kubernetes {KUBERNETES}", MODULE, ".", minutes=6, packages=2710, links=("kubectl",))


def cache_home() -> Path:
    """The folder of everything this project keeps between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "makini-operator"


def binary_path() -> Path:
    """Where the control plane's binary is, or will be after `ensure`."""
    return control_plane().path


def source_hash() -> str:
    """The control plane's `Program.source_hash`."""
    return control_plane().source_hash


def ensure(report: Callable[[str], None] | None = None) -> Path:
    """The control plane's binary; see `Program.ensure`."""
    return control_plane().ensure(report)


def report_to_stderr(line: str) -> None:
    """Shows one line of progress."""
    sys.stderr.write(f"localkube: {line}\n")
    sys.stderr.flush()


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds an exclusive lock on a file among processes; the kernel frees it however the holder ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(program: Program, binary: Path, report: Callable[[str], None]) -> None:
    go = toolchain.find(program.module, cache_home(), report)
    report(f"building {program.title} with {go.go} (once; up to {program.minutes} minutes on two cores)")
    with tempfile.TemporaryDirectory(dir=cache_home(), prefix="building-") as scratch:
        folder = Path(scratch) / program.name
        _compile(program, go, folder / program.name, report)
        for link in program.links:
            (folder / link).symlink_to(program.name)
        shutil.rmtree(binary.parent, ignore_errors=True)
        folder.rename(binary.parent)


def _environment(go: toolchain.Toolchain) -> dict[str, str]:
    """Surroundings in which the compiler spends the least CPU; none of them changes its output."""
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": go.gotoolchain,
        "GOWORK": "off",
        # Compilers are short-lived: let their heaps grow instead of collecting, up to a limit.
        "GOGC": "1000",
        "GOMEMLIMIT": "1500MiB",
    }
    if (os.cpu_count() or 1) <= _FEW_CPUS:
        # One thread in each of several compilers wastes less than several threads in each.
        environment["GOMAXPROCS"] = "1"
    return environment


def _compile(program: Program, go: toolchain.Toolchain, output: Path, report: Callable[[str], None]) -> None:
    package = f"./{program.package}"
    command = [str(go.go), "build", "-v", "-p", str(os.cpu_count() or 1), *FLAGS, "-o", str(output), package]
    started = time.monotonic()
    build = subprocess.Popen(command, cwd=program.module, env=_environment(go), stderr=subprocess.PIPE, text=True)
    progress = _Progress(build.stderr, program.packages)
    try:
        while build.returncode is None:
            try:
                build.wait(timeout=_PROGRESS_SECONDS)
            except subprocess.TimeoutExpired:
                report(progress.line(time.monotonic() - started))
    except BaseException:
        build.terminate()
        build.wait()
        raise
    finally:
        progress.finish()
    if build.returncode:
        words = "\n  ".join(progress.messages[-20:])
        raise LocalKubeError(f"building {program.title} failed: go build said\n  {words}")
    report(f"built in {time.monotonic() - started:.0f} s")


class _Progress:
    """Counts what `go build -v` prints: a line for each package, and whatever else it has to say."""

    def __init__(self, stream: IO[str] | None, expected: int) -> None:
        if stream is None:
            raise TypeError("the build must have its standard error piped")
        self.messages: list[str] = []
        self._expected = expected
        self._packages = 0
        self._downloads = 0
        self._stream = stream
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line(self, seconds: float) -> str:
        if self._downloads and not self._packages:
            return f"{seconds:.0f} s: downloaded {self._downloads} modules"
        return f"{seconds:.0f} s: compiled {self._packages} of about {self._expected} packages"

    def finish(self) -> None:
        self._reader.join()
        self._stream.close()

    def _read(self) -> None:
        for raw in self._stream:
            line = raw.rstrip()
            if line.startswith("go: downloading "):
                self._downloads += 1
            elif re.fullmatch(r"[\w./~-]+", line):
                self._packages += 1
            else:
                self.messages.append(line)
