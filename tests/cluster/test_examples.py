"""Every YAML that we show is accepted by a real API server, and the examples' story works."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.fixtures_operator import condition
from tests.cluster.kstatus import check_honest
from tests.harness import OPERATOR_NAMESPACE, Rig, Sandbox
from tests.localkube.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PRUNE = {"argocd.argoproj.io/sync-options": "Prune=false", "kustomize.toolkit.fluxcd.io/prune": "disabled"}

Manifest = dict[str, Any]


def manifests(path: Path) -> list[Manifest]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def manifests_in_page(path: Path) -> list[Manifest]:
    blocks = re.findall(r"^```yaml\n(.*?)^```", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = [each for block in blocks for each in yaml.safe_load_all(block)]
    return [each for each in found if isinstance(each, dict) and str(each.get("apiVersion")).startswith("makini.io/")]


@pytest.fixture(scope="module")
def in_namespace(installed: Rig) -> Iterator[Rig]:
    """The rig with the examples' namespace, which a dry run cannot make."""
    installed.apply(*manifests(EXAMPLES / "01-namespace.yaml"))
    yield installed
    installed.cluster.kubectl("delete", "namespace", "integrations", "--timeout=60s")


def dry_run(rig: Rig, found: Manifest) -> None:
    rig.cluster.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(found)
    )


def test_every_example_is_accepted(in_namespace: Rig) -> None:
    assert len(FILES) >= 9
    for path in FILES:
        assert path.read_text().startswith("#"), f"{path.name} does not say what it shows"
        for found in manifests(path):
            dry_run(in_namespace, found)


def test_every_resource_of_ours_in_the_documentation_is_accepted(in_namespace: Rig) -> None:
    shown = [(page, found) for page in PAGES for found in manifests_in_page(page)]
    assert {found["kind"] for _, found in shown} >= {"CreditPool", "MakiniConnection"}
    for _, found in shown:
        dry_run(in_namespace, found)


def test_a_misspelt_field_is_refused_by_the_same_check(in_namespace: Rig) -> None:
    (found,) = manifests(EXAMPLES / "06-cloud-cmms.yaml")
    found["spec"]["conected"] = True
    with pytest.raises(Exception, match="conected"):
        dry_run(in_namespace, found)


def test_examples_say_to_gitops_tools_what_must_not_be_pruned() -> None:
    paid = [found for path in FILES for found in manifests(path) if found["kind"] in ("CreditPool", "MakiniConnection")]
    for found in paid:
        if found["spec"].get("environment") != "Sandbox":
            assert PRUNE.items() <= found["metadata"]["annotations"].items(), found["metadata"]["name"]


def test_the_list_of_examples_is_complete() -> None:
    text = (EXAMPLES / "README.md").read_text()
    assert [path.name for path in FILES if f"]({path.name})" not in text] == []


def test_the_examples_work(in_namespace: Rig, rig: Rig, sandbox: Sandbox) -> None:
    assert in_namespace is rig
    shown = {path.name[:2]: manifests(path) for path in FILES}
    for number in ("02", "08"):
        account = shown[number][0]["spec"]["account"]
        account["url"] = sandbox.url
        if "sandbox" in account:
            account["sandbox"]["url"] = sandbox.url
    secrets = [rig.account_secret(name, sandbox) for name in ("makini-account", "makini-sandbox")]
    try:
        rig.apply(*secrets, *shown["02"], *shown["03"], *shown["08"])
        rig.apply(*shown["04"], *shown["05"])
        assert until(rig, "acme-s4hana", "Connected")["status"]["credits"]["amount"] == 4
        assert until(rig, "borealis-ecc", "Connected")["status"]["credits"]["amount"] == 8
        rig.apply(*shown["06"], *shown["09"])
        waiting = until(rig, "corvus-cmms", "WaitingForCredits")["status"]["waiting"]
        assert (waiting["need"], waiting["available"], waiting["position"]) == (1, 0, 1)
        assert until(rig, "try-it", "Connected")["status"]["credits"]["amount"] == 0
        rig.cluster.kubectl("delete", "mconn", "borealis-ecc", "-n", "integrations", "--timeout=60s")
        rig.apply(*shown["07"])
        assert until(rig, "corvus-cmms", "Connected")["status"]["credits"]["amount"] == 1
        until(rig, "acme-cmms", "Connected")
        secret = rig.get("secret", "maintenance-api", "-n", "integrations")["metadata"]
        assert secret["labels"]["team"] == "maintenance"
        assert secret["annotations"]["example.com/owner"] == "maintenance@vendor.example"
    finally:
        rig.cluster.kubectl("delete", "mconn", "--all", "-n", "integrations", "--timeout=60s")
        rig.cluster.kubectl("delete", "cpool", "production", "development", "--ignore-not-found", "--timeout=60s")
        names = [secret["metadata"]["name"] for secret in secrets]
        rig.cluster.kubectl("delete", "secret", *names, "-n", OPERATOR_NAMESPACE)
    assert sandbox.connections() == []


def until(rig: Rig, name: str, reason: str) -> Manifest:
    """Wait until Ready of a connection shows this reason."""

    def shown() -> Manifest | None:
        obj = rig.get("mconn", name, "-n", "integrations")
        if not obj["status"].get("conditions"):
            return None
        check_honest(obj)
        return obj if condition(obj, "Ready")["reason"] == reason else None

    return wait_until(shown, 30, lambda: rig.cluster.kubectl("get", "mconn", "-A", "-o", "wide").stdout)
