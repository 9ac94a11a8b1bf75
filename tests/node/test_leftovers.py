"""A node leaves nothing on the machine, however it ends; these start nodes of their own beside the session's."""

import os
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.localkube import LocalKubeError, processes
from tests.localkube.processes import Process
from tests.localkube.waiting import wait_until
from tests.localnode import LocalNode, layout, remains
from tests.localnode.__main__ import main
from tests.localnode.layout import Node
from tests.localnode.mounts import CHECKOUT
from tests.node.existing import EXISTING
from tests.node.pods import Pods

pytestmark = pytest.mark.skipif(EXISTING in os.environ, reason="another's cluster is not ours to start and stop")


def left(node: Node, members: dict[int, str]) -> list[str]:
    """What of a node is still on the machine."""
    found = [f"process {pid} {name}" for pid, name in members.items() if processes.identify(pid)]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{node.name}")]
    found += [str(path) for path in [Path("/sys/class/net") / node.link, node.directory] if path.exists()]
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(node.directory) in line]
    routes = Path("/proc/net/route").read_text().splitlines()
    return found + [line for line in routes if line.startswith(f"{node.link}\t")]


def started_pod(running: LocalNode) -> dict[int, str]:
    """Runs a pod, which has a volume and writes to it; returns every process of the node."""
    pods = Pods(running, "default")
    pods.claim("data")
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    pods.run("one", "echo kept > /data/file; sleep 600", container=mount, volumes=[volume])
    pods.until_ready("one")
    members = running.processes()
    assert {"containerd", "localkube", "localnode", "coredns", "sleep"} <= set(members.values()), members
    return members


def test_nothing_is_left_after_a_stop_and_pods_are_only_reached_through_authentication(tmp_path: Path) -> None:
    mounts_before = Path("/proc/self/mounts").read_text()
    with LocalNode.start(tmp_path / "node") as running:
        members = started_pod(running)
        trusted = ssl.create_default_context(cafile=running.layout.pki / "ca.crt")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"https://{running.node.address}:10250/pods", context=trusted, timeout=5)
        position = running.audit_position()
        running.kubectl("create", "configmap", "one")
        assert [entry["objectRef"]["name"] for entry in running.writes(position, user="localkube-admin")] == ["one"]
        node = running.node
    assert left(node, members) == []
    assert Path("/proc/self/mounts").read_text() == mounts_before


@pytest.mark.parametrize("victim", ["supervisor", "init", "containerd"])
def test_nothing_is_left_after_down_when_something_was_killed(
    victim: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "node"
    running = LocalNode.up(directory)
    try:
        members = started_pod(running)
        processes.end(process_of(victim, running))
        wait_until(running.dead, 10, "its end to be noticed")
        assert main(["status", "--directory", str(directory)]) == 3
        assert f"broken: {victim}" in capsys.readouterr().out
        with pytest.raises(LocalKubeError, match=f"{victim} is not running"):
            running.check()
    finally:
        assert main(["down", "--directory", str(directory)]) == 0
    assert left(running.node, members) == []


def process_of(victim: str, running: LocalNode) -> Process:
    if victim in {"supervisor", "init"}:
        found = {"supervisor": running.node.supervisor, "init": running.node.init}[victim]
    else:
        pids = [pid for pid in running.processes() if _command(pid)[:2].count(victim) or _command(pid)[0] == victim]
        found = processes.identify(pids[0])
    assert found is not None
    return found


def _command(pid: int) -> list[str]:
    """The program's name and its arguments."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return [""]
    return [Path(words[0].decode(errors="replace")).name, *(word.decode(errors="replace") for word in words[1:])]


@pytest.mark.parametrize("supervisor_too", [False, True])
def test_nothing_is_left_when_the_python_that_started_it_is_killed(tmp_path: Path, *, supervisor_too: bool) -> None:
    directory = tmp_path / "node"
    program = (
        "import pathlib, sys; from tests.localnode import LocalNode\n"
        f"with LocalNode.start(pathlib.Path({str(directory)!r})): print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "ready\n"
        running = LocalNode.attach(directory)
        assert running is not None
        members = started_pod(running)
        if supervisor_too:
            processes.end(process_of("supervisor", running))
        owner.send_signal(signal.SIGKILL)
    if supervisor_too:  # nobody is left who could tidy up; the next node that starts does, all but the folder
        remains.sweep()
    expected = [str(directory)] if supervisor_too else []
    wait_until(lambda: left(running.node, members) == expected, 20, lambda: left(running.node, members))
    assert (layout.load(directory) is not None) is supervisor_too
