"""Container images as archives, made without a container engine and cached.

`basic()` are what a node itself needs; `operator()` is the image that users install, and
the sandbox beside it. Build the latter with the Python of `.venv`, because what is
installed there is what goes into it.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tests.images import archive, contents, tree
from tests.images.archive import Image
from tests.localkube.build import cache_home, locked
from tests.localkube.errors import LocalKubeError

PAUSE = "localhost/pause:test"
BUSYBOX = "localhost/busybox:test"
OPERATOR = "localhost/makini-operator:test"
SANDBOX = "localhost/makini-sandbox:test"

_KEPT = 4
_HASH = re.compile(r"[0-9a-f]{12}")
_BUSYBOX_COMMANDS = (
    "cat date dd echo env false grep head hostname httpd id ip ls mkdir nc netstat nslookup ping printf ps rm seq sh "
    "sleep sync tail tee test touch tr true uname wc wget"
)


def basic() -> Path:
    """An archive with busybox, and with the image that holds a pod's namespaces."""
    found = shutil.which("busybox")
    if found is None:
        raise LocalKubeError("busybox is not installed, which the images of a node are made of (busybox-static).")
    binary = Path(found).resolve()
    return _cached("basic", _own_sources() + binary.read_bytes(), lambda target: _write_basic(binary, target))


def operator() -> Path:
    """An archive with the operator's and the sandbox's image."""
    lower = _cached("system", _own_sources() + contents.fingerprint().encode(), _layer(contents.system))
    files = sorted((contents.ROOT / "operator").rglob("*.py"))
    sources = b"".join(str(path.relative_to(contents.ROOT)).encode() + path.read_bytes() for path in files)
    upper = _cached("operator-layer", _own_sources() + sources + lower.name.encode(), _layer(contents.operator))
    key = f"{lower.parent.name} {upper.parent.name}".encode() + _own_sources()
    return _cached("operator", key, lambda target: _write_operator((lower, upper), target))


def _write_operator(layers: tuple[Path, ...], target: Path) -> None:
    sandbox = (*contents.ENTRYPOINT, "sandbox")
    archive.write(
        [
            Image(OPERATOR, layers, contents.ENTRYPOINT, contents.ENVIRONMENT),
            Image(SANDBOX, layers, sandbox, contents.ENVIRONMENT),
        ],
        target,
    )


def _write_basic(binary: Path, target: Path) -> None:
    files: tree.Tree = {
        PurePosixPath("bin/busybox"): tree.File(binary, 0o755),
        PurePosixPath("etc/passwd"): tree.File(b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
        PurePosixPath("etc/group"): tree.File(b"root:x:0:\nnobody:x:65534:\n"),
        PurePosixPath("tmp"): tree.Folder(0o1777),
    }
    files |= {PurePosixPath("bin") / name: tree.Link("busybox") for name in _BUSYBOX_COMMANDS.split()}
    with tempfile.TemporaryDirectory() as scratch:
        layer = Path(scratch) / "layer.tar"
        tree.write_layer(files, layer)
        path = {"PATH": "/bin"}
        images = [
            Image(BUSYBOX, (layer,), ("/bin/sh",), path, user=""),
            Image(PAUSE, (layer,), ("/bin/busybox", "sleep", "2147483647"), path, user="65534:65534"),
        ]
        archive.write(images, target)


def _layer(content: Callable[[], tree.Tree]) -> Callable[[Path], None]:
    return lambda target: tree.write_layer(content(), target)


def _cached(name: str, key: bytes, make: Callable[[Path], None]) -> Path:
    """The file that `make` writes, kept while its key stays the same; all but a few older ones of its name go."""
    home = cache_home() / "images"
    folder = home / f"{name}-{hashlib.sha256(key).hexdigest()[:12]}"
    if not folder.exists():
        with locked(home / "lock"), tempfile.TemporaryDirectory(dir=home) as scratch:
            if not folder.exists():
                unfinished = Path(scratch) / name
                unfinished.mkdir()
                make(unfinished / f"{name}.tar")
                unfinished.rename(folder)
                _remove_older(name, home)
    return folder / f"{name}.tar"


def _remove_older(name: str, home: Path) -> None:
    """All but the newest few of this name: other checkouts, and runs beside this one, may be using theirs."""
    named = [path for path in home.glob(f"{name}-*") if _HASH.fullmatch(path.name.removeprefix(f"{name}-"))]
    for path in sorted(named, key=lambda each: each.stat().st_mtime)[:-_KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def _own_sources() -> bytes:
    return b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))


def forget() -> None:
    """Removes every cached image."""
    shutil.rmtree(cache_home() / "images", ignore_errors=True)
