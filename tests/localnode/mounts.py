"""What the node's own mount namespace looks like: the host's files, except where a node would write.

Why: kubelet and containerd have fixed folders under /run, /tmp, /var/lib and /var/log. Here
these are empty file systems that vanish with the node, so it cannot leave anything on the
host, nor be confused by what another node left there.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.localkube import build
from tests.localnode.layout import Node

COVERED = (Path("/run"), Path("/tmp"), Path("/var/lib"), Path("/var/log"))  # noqa: S108 - the node's own
CHECKOUT = Path(__file__).parents[2]

# The kubelet sets these when they differ, and they are the host's. It gets to see what it wants to see.
_KERNEL_SETTINGS = {
    "kernel/keys/root_maxbytes": "25000000",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}


def prepare(node: Node) -> None:
    """Makes the mounts; runs as the first process of the namespace."""
    _mount("--make-rshared", "/")  # the kubelet and the containers it starts must see each other's mounts
    kept = [node.directory, CHECKOUT, build.cache_home(), Path(sys.base_prefix), Path(sys.prefix)]
    for folder in COVERED:
        _cover(folder, kept)
    for source, target in (
        (node.directory / "kubelet", Path("/var/lib/kubelet")),
        (node.directory / "logs" / "pods", Path("/var/log/pods")),
    ):
        source.mkdir(parents=True, exist_ok=True)
        target.mkdir(parents=True)
        _mount("--bind", str(source), str(target))
    for name, value in _KERNEL_SETTINGS.items():
        shown = Path("/run/kernel") / name
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(f"{value}\n", encoding="ascii")
        _mount("--bind", str(shown), f"/proc/sys/{name}")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n", encoding="ascii")


def _cover(folder: Path, kept: list[Path]) -> None:
    """Puts an empty file system over a folder; what is to be kept and lies in it is put back."""
    hidden = [path for path in kept if path.is_relative_to(folder) and path.exists()]
    handles = {path: os.open(path, os.O_PATH) for path in hidden}
    _mount("-t", "tmpfs", "-o", "mode=1777" if folder == Path("/tmp") else "mode=755", "tmpfs", str(folder))  # noqa: S108
    for path, handle in handles.items():
        path.mkdir(parents=True, exist_ok=True)
        # The descriptor is the mount program's too, and leads to the folder that its path no longer reaches.
        _mount("--no-canonicalize", "--bind", f"/proc/self/fd/{handle}", str(path), pass_fds=(handle,))
        os.close(handle)


def _mount(*arguments: str, pass_fds: tuple[int, ...] = ()) -> None:
    subprocess.run(["mount", *arguments], check=True, pass_fds=pass_fds)
