"""Says in one line why a machine cannot run a node, or brings what it lacks.

Why before anything else: a node needs root, cgroups of version 1 and a few programs, and
what the kernel says about each when it is missing helps nobody.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.localkube import debian
from tests.localkube.build import report_to_stderr
from tests.localkube.errors import LocalKubeError

# Program: the Debian package that has it.
_PROGRAMS = {
    "busybox": "busybox-static",
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "ip": "iproute2",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "runc": "runc",
    "unshare": "util-linux",
}
_PLUGINS = ("bridge", "host-local", "loopback")
_PLUGIN_PACKAGE = "containernetworking-plugins"
_PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CGROUPS = Path("/sys/fs/cgroup")
_OTHERWISE = "use kind (`make kind-up`, needs a container engine), or a control plane alone (`make cluster-up`)"


class CannotRunError(LocalKubeError):
    """This machine cannot run a node, whatever is installed on it."""


def find(program: str) -> str | None:
    """Where a program is; root's folders count also when they are not on PATH."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PATH}")


def path_of(program: str) -> str:
    """Where a program is that `ensure` made sure of."""
    if found := find(program):
        return found
    raise LocalKubeError(f"{program} is gone: install {_PROGRAMS.get(program, program)} and start again.")


def plugins() -> Path:
    """The folder of the network plugins."""
    for folder in _PLUGIN_FOLDERS:
        if all((folder / name).exists() for name in _PLUGINS):
            return folder
    raise LocalKubeError(f"no network plugins in {' or '.join(map(str, _PLUGIN_FOLDERS))}: install {_PLUGIN_PACKAGE}.")


def obstacle(cgroups: Path = _CGROUPS) -> str | None:
    """Why this machine can run no node, whatever is installed; None when it can."""
    if sys.platform != "linux":
        return f"a node needs Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "a node needs root, for namespaces and mounts"
    if not (cgroups / "memory" / "tasks").exists():
        return f"a node needs cgroups of version 1, and {cgroups} has none with a memory controller"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        return f"a node needs namespaces of its own, and this root may not make them ({tried.stderr.strip()})"
    return None


def missing() -> list[str]:
    """The Debian packages that a node needs and this machine lacks."""
    packages = {package for program, package in _PROGRAMS.items() if not find(program)}
    if not any(all((folder / name).exists() for name in _PLUGINS) for folder in _PLUGIN_FOLDERS):
        packages.add(_PLUGIN_PACKAGE)
    return sorted(packages)


def ensure() -> None:
    """Makes sure that a node can run here; installs Debian packages where they are the only thing missing.

    Raises:
        CannotRunError: it cannot; the text is one line and says what to do instead.
    """
    if reason := obstacle():
        raise CannotRunError(f"{reason}: {_OTHERWISE}")
    packages = missing()
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise CannotRunError(f"not installed: {', '.join(packages)} (names of Debian packages): {_OTHERWISE}")
    report_to_stderr(f"installing {', '.join(packages)}")
    try:
        debian.install(*packages)
    except LocalKubeError as error:
        raise CannotRunError(f"{error}. Install {', '.join(packages)} yourself, or {_OTHERWISE}") from error
    if still := missing():
        raise CannotRunError(f"not there although apt-get installed it: {', '.join(still)}: {_OTHERWISE}")
