"""Container images as archives, made without a container engine and cached.

`basic()` are what a node itself needs; `operator()` is the image that users install, and
the sandbox beside it; `sync()` is what sync pods run, apart from them because it is large.
Build the last two with the Python of `.venv`, because what is installed there is what goes
into them.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tests.images import archive, contents, tree
from tests.images.archive import Image
from tests.images.recipes import OPERATOR as OPERATOR_RECIPE
from tests.images.recipes import SYNC as SYNC_RECIPE
from tests.images.recipes import Recipe
from tests.localkube.build import cache_home, locked
from tests.localkube.errors import LocalKubeError

PAUSE = "localhost/pause:test"
BUSYBOX = "localhost/busybox:test"
OPERATOR = "localhost/makini-operator:test"
SANDBOX = "localhost/makini-sandbox:test"
SYNC = "localhost/makini-sync:test"

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
    layers = _layers(OPERATOR_RECIPE, "system", "operator-layer")
    sandbox = (*contents.ENTRYPOINT, "sandbox")
    images = [
        Image(OPERATOR, layers, contents.ENTRYPOINT, contents.ENVIRONMENT),
        Image(SANDBOX, layers, sandbox, contents.ENVIRONMENT),
    ]
    return _archived("operator", images)


def sync() -> Path:
    """An archive with the image of sync pods."""
    layers = _layers(SYNC_RECIPE, "sync-system", "sync-layer")
    return _archived("sync", [Image(SYNC, layers, contents.ENTRYPOINT, contents.ENVIRONMENT)])


def _layers(recipe: Recipe, below: str, above: str) -> tuple[Path, Path]:
    """Python with the packages, and the program: a change of the program writes only the small one anew."""
    fingerprint = _own_sources() + contents.fingerprint(recipe).encode()
    lower = _cached(below, fingerprint, lambda target: tree.write_layer(contents.system(recipe), target))
    sources = b"".join(name.encode() + path.read_bytes() for name, path in contents.sources(recipe))
    key = fingerprint + sources + contents.version().encode()
    return lower, _cached(above, key, lambda target: tree.write_layer(contents.program(recipe), target))


def _archived(name: str, images: list[Image]) -> Path:
    layers = {layer.parent.name for image in images for layer in image.layers}
    key = " ".join(sorted(layers)).encode() + _own_sources()
    return _cached(name, key, lambda target: archive.write(images, target))


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
