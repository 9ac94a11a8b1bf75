"""The list of files of an image; the Dockerfile and the build without an engine both use it.

What is in it: the Python that runs this, the shared libraries it needs, the packages of the
recipe's lock, and the program. What is not: a shell, a package manager, tests, packages of
other extras, and what the recipe leaves out.
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

from tests.images.recipes import ROOT, Recipe
from tests.images.tree import File, Folder, Link, Tree

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


class ContentsError(Exception):
    """What is installed here is not what the image is to hold."""


def system(recipe: Recipe) -> Tree:
    """Python, its libraries, and the packages: what changes seldom."""
    tree: Tree = {_STANDARD_LIBRARY / path: File(source, _mode(source)) for path, source in _standard_library()}
    tree |= {_APP / path: File(source) for path, source in packages(recipe)}
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


def program(recipe: Recipe) -> Tree:
    """The program itself, as far as the image needs it, and its command."""
    tree: Tree = {_APP / "makini_operator" / name: File(path) for name, path in sources(recipe)}
    about = f"Metadata-Version: 2.1\nName: makini-operator\nVersion: {version()}\n"
    command = "#!/usr/local/bin/python3 -sP\nfrom makini_operator.cli.main import main\n\nmain()\n"
    return _compiled(tree) | {
        _APP / f"makini_operator-{version()}.dist-info" / "METADATA": File(about.encode()),
        PurePosixPath(ENTRYPOINT[0]).relative_to("/"): File(command.encode(), 0o755),
    }


def sources(recipe: Recipe) -> list[tuple[str, Path]]:
    """The files of the program that are in the image, each with its path in the package."""
    folder = ROOT / "operator" / "makini_operator"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    named = [(path.relative_to(folder).as_posix(), path) for path in files]
    return [(name, path) for name, path in named if recipe.program.search(name)]


def version() -> str:
    """The program's version."""
    description = ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"$', description, re.MULTILINE)
    if found is None:
        raise ContentsError("pyproject.toml has no line `version = ...`.")
    return found[1]


def locked(recipe: Recipe) -> dict[str, set[str]]:
    """The packages of the image, each with its version: several if that depends on the Python."""
    text = recipe.lock.read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)(?: ;[^\\]*)? \\$", text, re.MULTILINE):
        if name not in recipe.without:
            found.setdefault(name, set()).add(version)
    return found


def _standard_library() -> Iterator[tuple[str, Path]]:
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not _NOT_NEEDED.search(name):
            yield name, path


def packages(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """The files of the installed packages that are in the image, each with its path below the import path.

    Raises:
        ContentsError: what is installed is not what the lock says.
    """
    text = recipe.lock.read_text(encoding="utf-8")
    of_other_platforms = set(re.findall(r"^([\w.-]+)==\S+ ;", text, re.MULTILINE))
    for name, versions in locked(recipe).items():
        wanted = " or ".join(sorted(versions))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in of_other_platforms:
                continue
            raise ContentsError(f"{name} {wanted} is not installed for {sys.executable}: run `make venv`.") from None
        if found.version not in versions:
            raise ContentsError(f"{name} is {found.version} here and {wanted} in {recipe.lock.name}: run `make venv`.")
        for file in found.files or []:
            path = file.as_posix()
            if path.startswith("..") or _NOT_NEEDED.search(path) or recipe.leaves_out.search(path):
                continue
            yield path, Path(str(found.locate_file(file)))


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


def fingerprint(recipe: Recipe) -> str:
    """Changes whenever `system` would: the platform, the Python and the packages."""
    return "\n".join(
        [platform.platform(), sys.version, str(Path(sys.executable).resolve()), recipe.lock.read_text(encoding="utf-8")]
    )
