"""The real External Secrets Operator: built from its Go module once, its definitions from there, run as a process."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from tests.harness.process import Process, inherited
from tests.localkube import LocalKube, LocalKubeError, toolchain
from tests.localkube.build import Program, cache_home, report_to_stderr
from tests.localkube.waiting import wait_until

MODULE = Path(__file__).parent / "eso"
NAME = "github.com/external-secrets/external-secrets"


def program() -> Program:
    """The controller, as `Program.ensure` builds it."""
    return Program("external-secrets", f"{NAME} v0.16.2", MODULE, ".", minutes=15, packages=2000)


def definitions() -> list[dict[str, object]]:
    """The CustomResourceDefinitions of exactly that version. Raises `LocalKubeError`: the module cannot be had."""
    go = toolchain.find(MODULE, cache_home(), report_to_stderr)
    environment = os.environ | {"GOTOOLCHAIN": go.gotoolchain, "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    command = [str(go.go), "mod", "download", "-json", NAME]
    done = subprocess.run(command, cwd=MODULE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalKubeError(f"{NAME} cannot be downloaded: {done.stdout}{done.stderr}")
    folder = Path(json.loads(done.stdout)["Dir"]) / "config/crds/bases"
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*_*.yaml"))]


@contextmanager
def running(cluster: LocalKube, directory: Path, environment: dict[str, str]) -> Iterator[Process]:
    """The controller at work on this cluster, as its administrator; `environment` says where stores are."""
    listed = {"apiVersion": "v1", "kind": "List", "items": definitions()}
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(listed))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    command = [str(program().ensure()), "--metrics-addr=127.0.0.1:0", "--loglevel=debug", "--concurrent=4"]
    surroundings = inherited(KUBECONFIG=str(cluster.kubeconfig), AWS_EC2_METADATA_DISABLED="true", **environment)
    process = Process(command, log=directory / "external-secrets.log", environment=surroundings)
    process.start()
    try:
        wait_until(lambda: "Starting workers" in process.text(), 60, process.text)
        yield process
    finally:
        process.kill()
