"""The chart's life on a real API server, by the real helm: install, upgrade, uninstall, in any order.

No pod runs here, so the Job that `helm uninstall` asks first is left out (`--no-hooks`); tests/node runs it.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.harness.process import inherited
from tests.harness.rig import OPERATOR_NAMESPACE, ROOT
from tests.localkube import LocalKube
from tests.tools.helm import CHART, RELEASE, Helm, Manifest

CONNECTIONS = "crd/makiniconnections.makini.io"
WITH_SANDBOX = {"sandbox": {"enabled": True}}
KEPT = {
    ("CustomResourceDefinition", "creditpools.makini.io"),
    ("CustomResourceDefinition", "makiniconnections.makini.io"),
    ("Secret", "makini-sandbox"),
}


@pytest.fixture
def installing(helm: Helm, fresh_kube: LocalKube) -> Helm:
    """helm, on an API server with nothing in it."""
    return helm.on(fresh_kube.kubeconfig)


def get(kube: LocalKube, *arguments: str) -> Any:
    return json.loads(kube.kubectl("get", *arguments, "-o", "json").stdout)


def present(kube: LocalKube, manifests: list[Manifest]) -> set[tuple[str, str]]:
    """Which of these objects are there."""
    listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
    found = kube.kubectl("get", "--ignore-not-found", "-f", "-", "-o", "json", input=json.dumps(listed), check=False)
    document = json.loads(found.stdout or '{"items": []}')
    return {(each["kind"], each["metadata"]["name"]) for each in document.get("items", [document])}


@contextmanager
def older_chart(directory: Path, field: str) -> Iterator[Path]:
    """The chart with definitions that lack a field of a connection's spec."""
    chart = directory / "older"
    shutil.copytree(CHART, chart)
    path = chart / "files/crds/makiniconnections.yaml"
    definition = yaml.safe_load(path.read_text())
    del definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][field]
    path.write_text("# generated\n" + yaml.safe_dump(definition, sort_keys=False))
    yield chart


def fields(kube: LocalKube) -> set[str]:
    (version,) = get(kube, CONNECTIONS)["spec"]["versions"]
    return set(version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])


def test_an_upgrade_brings_new_fields_and_a_rollback_takes_them_back(
    installing: Helm, fresh_kube: LocalKube, tmp_path: Path
) -> None:
    with older_chart(tmp_path, "connected") as older:
        installing("install", RELEASE, str(older))
    uid = get(fresh_kube, CONNECTIONS)["metadata"]["uid"]
    assert "connected" not in fields(fresh_kube)
    installing("upgrade", RELEASE, str(CHART))
    assert "connected" in fields(fresh_kube)
    assert get(fresh_kube, CONNECTIONS)["metadata"]["uid"] == uid
    installing("rollback", RELEASE, "1")
    assert "connected" not in fields(fresh_kube)


def test_upgrade_uninstall_and_reinstall_keep_what_others_depend_on(installing: Helm, fresh_kube: LocalKube) -> None:
    def secret() -> Any:
        return get(fresh_kube, "secret", "makini-sandbox", "-n", OPERATOR_NAMESPACE)["data"]

    installing("install", RELEASE, str(CHART), values=WITH_SANDBOX)
    first, manifests = secret(), [each for each in installing.render(WITH_SANDBOX) if each["kind"] != "Job"]
    assert len(present(fresh_kube, manifests)) == len(manifests)
    fresh_kube.kubectl("apply", "-f", "-", input=pool_of_the_notes(installing))
    installing("upgrade", RELEASE, str(CHART), values=WITH_SANDBOX | {"operator": {"workers": 3}})
    assert secret() == first
    (container,) = get(fresh_kube, "deployment", RELEASE, "-n", OPERATOR_NAMESPACE)["spec"]["template"]["spec"][
        "containers"
    ]
    assert "--workers=3" in container["args"]

    said = installing("uninstall", RELEASE, "--no-hooks")
    assert "kept due to the resource policy" in said
    assert present(fresh_kube, manifests) == KEPT
    assert get(fresh_kube, "cpool", "try")["spec"]["credits"] == 12
    installing("install", RELEASE, str(CHART), values=WITH_SANDBOX)
    assert secret() == first
    assert len(present(fresh_kube, manifests)) == len(manifests)

    refused = installing.run("install", "second", str(CHART))
    assert refused.returncode == 1
    assert "invalid ownership metadata" in refused.stderr

    installing("upgrade", RELEASE, str(CHART), values={"crds": {"keep": False}})
    installing("uninstall", RELEASE, "--no-hooks")
    assert present(fresh_kube, manifests) == {("Secret", "makini-sandbox")}


def test_definitions_that_came_by_other_means_are_taken_over_or_left_alone(
    installing: Helm, fresh_kube: LocalKube
) -> None:
    fresh_kube.kubectl("apply", "-f", str(ROOT / "crds"))
    refused = installing.run("install", RELEASE, str(CHART))
    assert refused.returncode == 1
    assert "invalid ownership metadata" in refused.stderr
    installing("install", RELEASE, str(CHART), values={"crds": {"install": False}})
    assert "helm.sh/chart" not in get(fresh_kube, CONNECTIONS)["metadata"].get("labels", {})
    installing("uninstall", RELEASE, "--no-hooks")
    installing("install", RELEASE, str(CHART), "--take-ownership")
    assert "helm.sh/chart" in get(fresh_kube, CONNECTIONS)["metadata"]["labels"]


def test_definitions_that_wait_for_connections_without_an_operator_go_when_these_are_abandoned(
    installing: Helm, fresh_kube: LocalKube
) -> None:
    def abandon(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "makini_operator", "abandon", *arguments]
        environment = inherited(KUBECONFIG=str(fresh_kube.kubeconfig))
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    installing("install", RELEASE, str(CHART), values={"crds": {"keep": False}})
    fresh_kube.kubectl("apply", "-f", "-", input=pool_of_the_notes(installing))
    fresh_kube.kubectl(
        "patch", "cpool", "try", "--type=merge", "-p", '{"metadata":{"finalizers":["makini.io/in-use"]}}'
    )
    assert abandon("--check").returncode == 0
    refused = abandon("--check", "--with-pools")
    assert (refused.returncode, refused.stdout.splitlines()[0]) == (3, "pool try: waits for its connections")
    refused = installing.run("uninstall", RELEASE, "--no-hooks", "--wait", "--timeout=2s")
    assert refused.returncode == 1
    assert "deletionTimestamp" in get(fresh_kube, "crd", "creditpools.makini.io")["metadata"]
    said = abandon("--all", "--yes")
    assert (said.returncode, said.stdout.splitlines()[-1]) == (0, "pool try: abandoned")
    fresh_kube.kubectl("wait", "--for=delete", "crd/creditpools.makini.io", "--timeout=30s")
    said = abandon("--all", "--yes")
    assert (said.returncode, said.stdout) == (0, "nothing has a finalizer of the operator\n")


# --- what helm says afterwards ---------------------------------------------------------------------------------------


def notes(helm: Helm, values: dict[str, Any]) -> str:
    said = helm("install", RELEASE, str(CHART), "--dry-run=client", values=values)
    return said.partition("\nNOTES:\n")[2]


def pool_of_the_notes(helm: Helm) -> str:
    text = re.search(r"<<EOF\n(.*?)\n  EOF\n", notes(helm, WITH_SANDBOX), re.DOTALL)
    assert text
    return text[1]


def test_the_notes_say_what_is_next(helm: Helm, kube: LocalKube) -> None:
    on_it = helm.on(kube.kubeconfig)
    plain = notes(on_it, {"operator": {"workers": 8}})
    assert "a Secret with your Makini account's client_id and client_secret" in plain
    assert "Back up Secret makini-installation in namespace makini-system" in plain
    assert "`helm uninstall` refuses while a connection is left." in plain
    assert "WARNING" not in plain
    assert "WARNING: uninstall.check is false" in notes(on_it, {"uninstall": {"check": False}})
    assert "WARNING: some admission policies are off" in notes(on_it, {"policies": {"status": False}})
    assert "WARNING: crds.keep is false" in notes(on_it, {"crds": {"keep": False}})


def test_the_uninstall_check_counts_pools_only_where_the_definitions_go(helm: Helm) -> None:
    def arguments(values: dict[str, Any]) -> list[list[str]]:
        jobs = [m for m in helm.render(values) if m["kind"] == "Job"]
        return [job["spec"]["template"]["spec"]["containers"][0]["args"] for job in jobs]

    assert arguments({}) == [["abandon", "--check"]]
    assert arguments({"crds": {"keep": False}}) == [["abandon", "--check", "--with-pools"]]
    assert arguments({"uninstall": {"check": False}}) == []
