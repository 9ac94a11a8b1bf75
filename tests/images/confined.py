"""Runs a command in an image's files as a pod does, on a machine that has no container runtime at hand.

The root is the image and read-only, the user is the image's, there are no capabilities and no other programs. The
network is this machine's, so that a test's own servers can be reached; limits of memory are not set.
"""

import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.images import contents
from tests.images.archive import layers_of

_ENTER = """
set -e
inside=$PATH; PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$1; volume=$2; shift 2
mkdir -p "$root$volume"
mount --bind "$root" "$root"
mount --bind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$volume" "$root$volume"
mount -o remount,bind,ro "$root"
setpriv=$(command -v setpriv); chroot=$(command -v chroot); PATH=$inside
exec "$setpriv" --no-new-privs "$chroot" --userspec=USER:USER --groups= "$root" "$@"
""".replace("USER", str(contents.USER))
_PROGRAMS = ("chroot", "mount", "setpriv", "sh", "unshare")


def obstacle() -> str | None:
    """Why this machine cannot do it; None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root: what a pod sees is made of mounts"
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    return f"needs {', '.join(missing)}" if missing else None


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The files of an archive's first image, for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="makini-image-") as made:
        root = Path(made)
        with tarfile.open(archive) as whole:
            for name in layers_of(whole):
                with tarfile.open(fileobj=whole.extractfile(name)) as layer:
                    layer.extractall(root, filter="tar")
        root.chmod(0o755)
        for folder in ("proc", "dev"):
            (root / folder).mkdir()
        yield root


def command(root: Path, arguments: list[str], *, writable: Path) -> list[str]:
    """What to execute instead of `arguments`. `writable` is in the pod under its own path, as a volume would be."""
    apart = [str(shutil.which("unshare")), "--mount", "--propagation", "private"]
    return [*apart, str(shutil.which("sh")), "-c", _ENTER, "sh", str(root), str(writable), *arguments]


def environment(writable: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The image's environment, with what a pod on a read-only root has to set."""
    return {**contents.ENVIRONMENT, "HOME": str(writable), "TMPDIR": str(writable), **more}
