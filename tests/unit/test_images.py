"""The images: how an archive is written, and what goes into each of them."""

import ast
import json
import re
import tarfile
from pathlib import Path, PurePosixPath

import pytest
from tests import images
from tests.images import archive, contents, recipes, tree
from tests.images.recipes import OPERATOR, RECIPES, SYNC, Recipe

ROOT = Path(__file__).parents[2]
every_image = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def test_an_archive_holds_shared_layers_once_and_is_the_same_each_time(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    files: tree.Tree = {
        PurePosixPath("bin/program"): tree.File(b"#!/bin/true\n", 0o755),
        PurePosixPath("bin/link"): tree.Link("program"),
        PurePosixPath("tmp"): tree.Folder(0o1777),
    }
    tree.write_layer(files, layer)
    images = [archive.Image(f"localhost/{name}:test", (layer,), (f"/bin/{name}",)) for name in ("one", "two")]
    for name in ("first.tar", "second.tar"):
        archive.write(images, tmp_path / name)
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
    with tarfile.open(tmp_path / "first.tar") as written:
        manifest = json.load(written.extractfile("manifest.json") or pytest.fail("no manifest"))
        assert [entry["RepoTags"] for entry in manifest] == [["localhost/one:test"], ["localhost/two:test"]]
        assert len([name for name in written.getnames() if name.endswith(".tar")]) == 1
        settings = json.load(written.extractfile(manifest[1]["Config"]) or pytest.fail("no settings"))
    assert settings["config"]["Entrypoint"] == ["/bin/two"]
    assert settings["config"]["User"] == "65532:65532"
    with tarfile.open(layer) as written:
        modes = {member.name: (member.mode, member.uid, member.mtime) for member in written}
    assert modes == {
        "bin": (0o755, 0, 0),
        "bin/link": (0o644, 0, 0),
        "bin/program": (0o755, 0, 0),
        "tmp": (0o1777, 0, 0),
    }


def test_a_tree_can_be_unpacked(tmp_path: Path) -> None:
    tree.unpack({PurePosixPath("a/b"): tree.File(b"text", 0o600), PurePosixPath("a/c"): tree.Link("b")}, tmp_path)
    assert (tmp_path / "a" / "c").read_text() == "text"
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o600


# --- what is in them ------------------------------------------------------------------------------------------------


@every_image
def test_an_image_holds_what_its_lock_says_and_nothing_for_developers(recipe: Recipe) -> None:
    everything = set(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    locked = {(name, version) for name, versions in contents.locked(recipe).items() for version in versions}
    assert not {"pytest", "mypy", "ruff", "hypothesis", "hatchling", "pip", "setuptools"} & {name for name, _ in locked}
    assert locked <= everything, "run `make lock`"


def test_each_image_holds_what_its_program_needs_and_not_what_the_others_do() -> None:
    operator, sync = (set(contents.locked(recipe)) for recipe in (OPERATOR, SYNC))
    assert {"kopf", "aiohttp", "pydantic", "kubernetes", "prometheus-client"} <= operator
    assert {"dlt", "duckdb", "deltalake", "psycopg2-binary", "pyarrow", "s3fs", "click"} <= sync
    assert not {"dlt", "duckdb", "deltalake", "pyarrow"} & operator
    assert not {"kopf", "kubernetes", "pydantic"} & sync
    programs = [{name.split("/")[0] for name, _ in contents.sources(recipe)} for recipe in (OPERATOR, SYNC)]
    assert programs[1] == {"__init__.py", "__main__.py", "py.typed", "redaction.py", "cli", "sync"}
    assert programs[1] < programs[0]


def test_the_lock_of_sync_is_made_from_the_extra() -> None:
    needs = recipes.needs_of_sync().splitlines()
    assert [re.match(r"[\w-]+", line)[0] for line in needs] == ["click", "dlt", "requests"]  # type: ignore[index]
    assert {"duckdb", "deltalake", "postgres", "s3"} < set(re.findall(r"\w+", needs[1]))


@every_image
def test_an_image_holds_no_package_manager_and_no_tests(recipe: Recipe) -> None:
    files = {path for path, _ in contents.packages(recipe)}
    assert "click/__init__.py" in files
    assert not [path for path in files if path.startswith(("pip/", "setuptools/", "pytest"))]
    assert not [path for path in files if "/tests/" in path or path.endswith((".pyi", ".pyc", ".h"))]


def test_the_operators_image_holds_no_unused_models() -> None:
    files = {path for path, _ in contents.packages(OPERATOR)}
    assert "kopf/__init__.py" in files
    assert len([path for path in files if path.startswith("kubernetes/client/models/")]) == 4


def test_what_a_recipe_leaves_out_is_there_to_be_left_out() -> None:
    """A package that is renamed, or a library that moves, must not come back unnoticed."""
    whole = Recipe(SYNC.lock, re.compile(r"(?!)"), re.compile(""))
    files = {path for path, _ in contents.packages(whole)}
    for pattern in recipes.UNUSED_BY_SYNC:
        assert [path for path in files if re.search(pattern, path)], pattern
    assert set(contents.locked(whole)) >= SYNC.without
    kept = {path: source.stat().st_size for path, source in contents.packages(SYNC)}
    assert not [path for path in kept if "flight" in path and path.endswith(".so")]
    services = {path.split("/")[2] for path in kept if path.startswith("botocore/data/") and path.count("/") > 2}
    assert services == {"s3", "sts", "sso", "sso-oidc", "signin"}
    assert sum(kept.values()) < 400_000_000


def test_a_package_that_is_not_what_the_lock_says_is_not_taken(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    recipe = Recipe(lock, re.compile(r"(?!)"), re.compile(""))
    lock.write_text("click==1.0 \\\n")
    with pytest.raises(contents.ContentsError, match=r"click is \S+ here and 1\.0 in some\.lock: run `make venv`"):
        list(contents.packages(recipe))
    lock.write_text("no-such-package==1.0 \\\n")
    with pytest.raises(contents.ContentsError, match=r"no-such-package 1\.0 is not installed"):
        list(contents.packages(recipe))
    lock.write_text("no-such-package==1.0 ; sys_platform == 'win32' \\\n")
    assert list(contents.packages(recipe)) == []


# --- the Dockerfile --------------------------------------------------------------------------------------------------


def test_the_dockerfile_starts_as_the_archive_does() -> None:
    text = (ROOT / "Dockerfile").read_text()
    block = re.search(r"^ENV ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert block is not None
    assert dict(word.split("=", 1) for word in block[1].replace("\\\n", " ").split()) == contents.ENVIRONMENT
    assert f"USER {contents.USER}:{contents.USER}\n" in text
    assert text.endswith(f"ENTRYPOINT {json.dumps(list(contents.ENTRYPOINT))}\n")
    assert archive.Image("", (), ()).user == f"{contents.USER}:{contents.USER}"


def test_everything_that_the_dockerfile_copies_is_there_and_in_its_context() -> None:
    copied = set(re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all(list(ROOT.glob(pattern)) for pattern in copied)


def test_the_dockerfile_makes_every_image_and_kind_gets_it() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r"rootfs (?:--image (\w+) )?/rootfs$", text, re.MULTILINE)) == {"", "sync"}
    stage = re.search(r"^FROM settings AS sync\n((?:.+\n)+)", text, re.MULTILINE)
    assert stage is not None
    assert f"ENTRYPOINT {json.dumps(list(contents.ENTRYPOINT))}\n" in stage[1]
    script = (ROOT / "tests/kind/up.sh").read_text()
    for target, image in (("operator", images.OPERATOR), ("sandbox", images.SANDBOX), ("sync", images.SYNC)):
        assert f"docker build --quiet --target {target} --tag {image} ." in script
        assert script.count(image) == 2


def test_base_images_are_pinned_to_a_whole_version() -> None:
    for file in ("Dockerfile", "tests/kind/busybox.Dockerfile"):
        bases = re.findall(r"^FROM (\S+:\S+)", (ROOT / file).read_text(), re.MULTILINE)
        assert bases
        assert all(re.search(r":\d+\.\d+\.\d+(-[\w-]+)?$", base) for base in bases)


def test_all_that_the_sync_program_imports_from_its_package_is_in_its_image() -> None:
    """Also what it imports late, which no run without an error shows."""
    package = recipes.ROOT / "operator/makini_operator"
    there = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    taken = {path for path in there if recipes.SYNC.program.search(path)}
    for path in sorted(taken):
        for module in _imported((package / path).read_text(encoding="utf-8")):
            plain = module.removeprefix("makini_operator").replace(".", "/").lstrip("/")
            found = {f"{plain}.py", f"{plain}/__init__.py".lstrip("/")} & there
            assert found <= taken, f"{path} imports {module}"


def _imported(text: str) -> set[str]:
    """Modules of the package that a file imports, anywhere in it; a name that is imported from one may be one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return {module for module in found if module.partition(".")[0] == "makini_operator"}
