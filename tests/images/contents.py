"""The list of files of the operator's image; the Dockerfile and the build without an engine both use it.

What is in it: the Python that runs this, the shared libraries it needs, the packages of
requirements-operator.lock, and the operator. What is not: a shell, a package manager,
tests, packages of any extra, and the typed models of the `kubernetes` package, which make
up most of it and are never imported (a test starts the operator from this list).
"""

import platform
import py_compile
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

from tests.images.tree import File, Folder, Link, Tree

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements-operator.lock"
USER = 65532
ENVIRONMENT = {
    "PATH": "/usr/local/bin",
    "PYTHONPATH": "/app",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
}
ENTRYPOINT = ("/usr/local/bin/makini-operator",)

_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_STANDARD_LIBRARY = PurePosixPath("usr/local/lib") / _PYTHON
_APP = PurePosixPath("app")
_NOT_NEEDED = re.compile(
    r"(^|/)(__pycache__|tests?|idlelib|tkinter|turtledemo|ensurepip|lib2to3|pydoc_data|site-packages|dist-packages)/"
    r"|^config-|^venv/|^distutils/|(^|/)_?(tkinter|testcapi|testbuffer|testinternalcapi|testimportmultiple|"
    r"testmultiphase|testclinic|ctypes_test|xxlimited|xxlimited_35|xxsubinterpreters|xxtestfuzz)\.[^/]*$"
    r"|\.(a|c|pyc|pyi|pyx|pxd|h|whl)$|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json)$"
)
_KUBERNETES_MODELS = re.compile(r"^kubernetes/(aio/)?client/(api|models)/(?P<module>\w+)\.py$")
_KUBERNETES_KEPT = {"__init__", "v1_managed_fields_entry", "v1_object_meta", "v1_owner_reference"}


class ContentsError(Exception):
    """What is installed here is not what the image is to hold."""


def system() -> Tree:
    """Python, its libraries, and the packages: what changes seldom."""
    tree: Tree = {_STANDARD_LIBRARY / path: File(source, _mode(source)) for path, source in _standard_library()}
    tree |= {_APP / path: File(source) for path, source in _packages()}
    interpreter = Path(sys.executable).resolve()
    tree[PurePosixPath("usr/local/bin") / _PYTHON] = File(interpreter, 0o755)
    tree |= {PurePosixPath("usr/local/bin") / name: Link(_PYTHON) for name in ("python3", "python")}
    tree |= _libraries([entry.content for entry in tree.values() if isinstance(entry, File)])
    certificates = metadata.distribution("certifi").locate_file("certifi/cacert.pem")
    return _compiled(tree) | {
        PurePosixPath("etc/ssl/certs/ca-certificates.crt"): File(Path(str(certificates))),
        PurePosixPath("etc/nsswitch.conf"): File(b"hosts: files dns\n"),
        PurePosixPath("etc/passwd"): File(
            f"root:x:0:0:root:/:/nonexistent\nmakini:x:{USER}:{USER}:makini:/tmp:/nonexistent\n".encode()
        ),
        PurePosixPath("etc/group"): File(f"root:x:0:\nmakini:x:{USER}:\n".encode()),
        PurePosixPath("tmp"): Folder(0o1777),
    }


def operator() -> Tree:
    """The operator itself, and its command."""
    source = ROOT / "operator" / "makini_operator"
    files = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    tree: Tree = {_APP / "makini_operator" / path.relative_to(source).as_posix(): File(path) for path in files}
    description = ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', description, re.MULTILINE)
    if version is None:
        raise ContentsError("pyproject.toml has no line `version = ...`.")
    about = f"Metadata-Version: 2.1\nName: makini-operator\nVersion: {version[1]}\n"
    command = "#!/usr/local/bin/python3 -sP\nfrom makini_operator.cli.main import main\n\nmain()\n"
    return _compiled(tree) | {
        _APP / f"makini_operator-{version[1]}.dist-info" / "METADATA": File(about.encode()),
        PurePosixPath(ENTRYPOINT[0]).relative_to("/"): File(command.encode(), 0o755),
    }


def locked() -> dict[str, str]:
    """The packages of the image, each with its only version."""
    found = re.findall(r"^([\w.-]+)==(\S+)(?: ;[^\\]*)? \\$", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def _standard_library() -> Iterator[tuple[str, Path]]:
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not _NOT_NEEDED.search(name):
            yield name, path


def _packages() -> Iterator[tuple[str, Path]]:
    for name, version in locked().items():
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in _of_other_platforms():
                continue
            raise ContentsError(f"{name} {version} is not installed for {sys.executable}: run `make venv`.") from None
        if found.version != version:
            raise ContentsError(f"{name} is {found.version} here and {version} in {LOCK.name}: run `make venv`.")
        for file in found.files or []:
            path = file.as_posix()
            if path.startswith("..") or _NOT_NEEDED.search(path) or _is_unused_model(path):
                continue
            yield path, Path(str(found.locate_file(file)))


def _of_other_platforms() -> set[str]:
    """Packages that the lock has a condition for, which this machine may not meet."""
    return set(re.findall(r"^([\w.-]+)==\S+ ;", LOCK.read_text(encoding="utf-8"), re.MULTILINE))


def _is_unused_model(path: str) -> bool:
    model = _KUBERNETES_MODELS.match(path)
    return model is not None and model["module"] not in _KUBERNETES_KEPT


def _mode(source: Path) -> int:
    return 0o755 if source.suffix == ".so" else 0o644


def _libraries(files: Iterable[Path | bytes]) -> Tree:
    """The shared libraries that the binaries among these files need, where the loader looks for them."""
    binaries = [file for file in files if isinstance(file, Path) and _is_binary(file)]
    answer = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False).stdout
    needed = {Path(path) for path in re.findall(r"=> (/\S+)", answer)}
    loaders = set(re.findall(r"^\s+(/\S+) \(0x", answer, re.MULTILINE))
    standard = next((path.parent for path in needed if path.name == "libc.so.6"), None)
    if standard is None or not loaders:
        raise ContentsError(f"ldd finds no C library for {binaries[0]}: an image needs a Python that uses glibc.")
    packages = Path(sysconfig.get_path("platlib"))
    needed = {path for path in needed if not path.is_relative_to(packages)}
    folder = PurePosixPath(str(standard).lstrip("/"))
    tree: Tree = {folder / path.name: File(path.resolve(), 0o755) for path in needed}
    tree |= {PurePosixPath(loader.lstrip("/")): File(Path(loader).resolve(), 0o755) for loader in loaders}
    return tree


def _is_binary(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _compiled(tree: Tree) -> Tree:
    """The tree with bytecode beside every module: the image is read-only, and starting must not compile."""
    added: Tree = {}
    tag = sys.implementation.cache_tag
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "module.pyc"
        for path, entry in tree.items():
            if path.suffix != ".py" or not isinstance(entry, File) or not isinstance(entry.content, Path):
                continue
            try:
                py_compile.compile(
                    str(entry.content),
                    cfile=str(place),
                    dfile=f"/{path}",
                    doraise=True,
                    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
                )
            except py_compile.PyCompileError:
                continue  # a template or an example of a package: nothing imports it
            added[path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc"] = File(place.read_bytes())
    return tree | added


def fingerprint() -> str:
    """Changes whenever `system` would: the platform, the Python and the packages."""
    return "\n".join(
        [platform.platform(), sys.version, str(Path(sys.executable).resolve()), LOCK.read_text(encoding="utf-8")]
    )
