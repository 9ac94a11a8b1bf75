"""The chart without installing it: every rendering is one that a real API server takes, and says what the files say."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest
import yaml
from tests.harness.rig import OPERATOR_NAMESPACE, OPERATOR_USER, ROOT, policies, tenant_roles
from tests.localkube import LocalKube
from tests.tools.helm import CHART, RELEASE, Helm, Manifest, Values

from makini_operator.cli.abandon import abandon
from makini_operator.cli.run import run
from makini_operator.cli.sandbox import sandbox

DIGEST = "sha256:" + "0123456789abcdef" * 4
SWITCHES = {
    "references": {
        "egress-references.makini.io",
        "references.makini.io",
        "sync-references.makini.io",
        "pool-references.makini.io",
    },
    "status": {"status.makini.io"},
    "abandon": {"abandon.makini.io", "orphan.makini.io"},
    "children": {"children.makini.io"},
    "fence": {"operator-fence.makini.io", "operator-spec-fence.makini.io", "operator-restart-fence.makini.io"},
    "protect": {"protect.makini.io"},
    "workflowLabel": {"workflow-label.makini.io", "workflow-template.makini.io"},
}
MATRIX: dict[str, Values] = {
    "defaults": {},
    "sandbox": {"sandbox": {"enabled": True}},
    "sandbox-of-ones-own": {
        "sandbox": {
            "enabled": True,
            "name": "pretend",
            "existingSecret": "mine",
            "persistentVolumeClaim": "state",
            "extraArgs": ["--page-size=5"],
        }
    },
    "by-digest": {"image": {"repository": "example.com/makini", "tag": "ignored", "digest": DIGEST}},
    "syncs-from-elsewhere": {
        "sync": {
            "image": {"repository": "registry.example.com:5000/team/sync", "tag": "1.0_rc.1-A", "pullPolicy": "Always"}
        }
    },
    "syncs-by-digest": {"sync": {"image": {"tag": "ignored", "digest": DIGEST}}},
    "no-syncs": {"sync": {"enabled": False}},
    "placed": {
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "only", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "registry"}],
        "podLabels": {"team": "erp"},
        "podAnnotations": {"example.com/a": "b"},
    },
    "tuned": {
        "operator": {
            "logLevel": "debug",
            "workers": 4,
            "accountRelistSeconds": 60,
            "extraArgs": ["--log-level=warning"],
            "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example"}],
        },
        "resources": {"limits": {"memory": "1Gi"}},
        "metrics": {"port": 9999, "serviceLabels": {"scrape": "yes"}, "serviceAnnotations": {"a": "b"}},
    },
    "isolated": {
        "sandbox": {"enabled": True},
        "networkPolicy": {
            "enabled": True,
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"team": "metrics"}}}],
            "sandboxFrom": [{"namespaceSelector": {}}],
            "egress": [{"ports": [{"port": 443}]}],
        },
    },
    "isolated-by-default": {"sandbox": {"enabled": True}, "networkPolicy": {"enabled": True}},
    "own-account": {"serviceAccount": {"create": False, "name": "prepared"}, "rbac": {"create": False}},
    "annotated-account": {"serviceAccount": {"name": "robot", "annotations": {"example.com/role": "x"}}},
    "no-policies": {"policies": {**dict.fromkeys(SWITCHES, False), "tokenMounts": "Off"}},
    "mounts-denied": {"policies": {"tokenMounts": "Deny"}},
    "bare": {
        "crds": {"install": False},
        "metrics": {"service": False},
        "rbac": {"aggregateToTenants": False},
        "uninstall": {"check": False},
    },
    "crds-go-too": {"crds": {"keep": False}},
    "renamed": {"fullnameOverride": "other"},
}
TOGETHER = {"nodeSelector", "tolerations", "affinity", "podAnnotations", "serviceAnnotations", "requests", "limits"}
every_rendering = pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def pod_templates(manifests: list[Manifest]) -> list[Manifest]:
    return [m["spec"]["template"] for m in manifests if m["kind"] in {"Deployment", "Job"}]


# --- every rendering -------------------------------------------------------------------------------------------------


@every_rendering
def test_it_passes_helms_linter(helm: Helm, values: Values) -> None:
    helm("lint", "--strict", str(CHART), values=values)


@every_rendering
def test_the_api_server_takes_it(helm: Helm, kube: LocalKube, values: Values) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": helm.render(values)}
    said = kube.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=json.dumps(listed))
    assert said.stderr == ""


@every_rendering
def test_its_pods_are_allowed_where_pod_security_is_restricted(helm: Helm, kube: LocalKube, values: Values) -> None:
    kube.kubectl(
        "label", "namespace", OPERATOR_NAMESPACE, "pod-security.kubernetes.io/enforce=restricted", "--overwrite"
    )
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": OPERATOR_NAMESPACE}}
    for name in ("makini-operator", "prepared", "robot", "other"):
        kube.kubectl("apply", "-f", "-", input=json.dumps(account | {"metadata": account["metadata"] | {"name": name}}))
    templates = pod_templates(helm.render(values))
    assert templates
    for number, template in enumerate(templates):
        meta = {"name": f"pod-{number}", "namespace": OPERATOR_NAMESPACE, "labels": template["metadata"]["labels"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}
        kube.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(pod))
        for container in template["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]


@every_rendering
def test_its_command_lines_are_understood(helm: Helm, values: Values) -> None:
    commands = {"run": run, "sandbox": sandbox, "abandon": abandon}
    for template in pod_templates(helm.render(values)):
        for container in template["spec"]["containers"]:
            name, *arguments = container["args"]
            commands[name].make_context(name, arguments)


def test_the_operators_pod_is_small_temporary_and_watched(helm: Helm) -> None:
    (pod, _) = (template["spec"] for template in pod_templates(helm.render()))
    (container,) = pod["containers"]
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - the pod's
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert probes == [{"path": "/healthz", "port": "health"}] * 3
    assert "--health=:8080" in container["args"]
    (deployment,) = of_kind(helm.render(), "Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (
        1,
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
    )


def test_of_several_replicas_one_stays_when_a_node_is_drained(helm: Helm) -> None:
    assert of_kind(helm.render(), "PodDisruptionBudget") == []
    manifests = helm.render({"operator": {"replicas": 2}})
    (budget,) = of_kind(manifests, "PodDisruptionBudget")
    (deployment, *_) = of_kind(manifests, "Deployment")
    assert budget["spec"]["minAvailable"] == 1
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]


# --- equal to the files ----------------------------------------------------------------------------------------------


def test_the_rights_are_exactly_those_of_the_file(helm: Helm) -> None:
    rules = yaml.safe_load((CHART / "files/cluster-rules.yaml").read_text())
    manifests = helm.render()
    (role,) = [r for r in of_kind(manifests, "ClusterRole") if r["metadata"]["name"] == RELEASE]
    assert role["rules"] == rules
    (binding,) = of_kind(manifests, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == RELEASE
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": RELEASE, "namespace": OPERATOR_NAMESPACE}]
    (own,) = of_kind(manifests, "Role")
    assert own["metadata"]["namespace"] == OPERATOR_NAMESPACE
    assert own["rules"] == yaml.safe_load((CHART / "files/namespace-rules.yaml").read_text())
    (own_binding,) = of_kind(manifests, "RoleBinding")
    assert (own_binding["roleRef"]["kind"], own_binding["subjects"]) == ("Role", binding["subjects"])


def test_tenants_get_what_the_tests_give_them_and_never_the_status(helm: Helm) -> None:
    rendered = {r["metadata"]["name"]: r for r in of_kind(helm.render(), "ClusterRole")}
    for role in tenant_roles():
        found = rendered[role["metadata"]["name"]]
        assert found["rules"] == role["rules"]
        assert role["metadata"]["labels"].items() <= found["metadata"]["labels"].items()
        assert not any("/" in resource for rule in found["rules"] for resource in rule["resources"])
        assert not any("*" in rule["verbs"] + rule["resources"] for rule in found["rules"])


def test_the_charts_crds_are_those_of_the_models() -> None:
    """`makini-operator crds --output charts/makini-operator/files/crds` mends it."""
    ours = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    assert {path.name: path.read_text() for path in (CHART / "files/crds").glob("*.yaml")} == ours


def test_the_crds_are_rendered_unchanged_and_are_kept_at_an_uninstall(helm: Helm) -> None:
    rendered = {crd["metadata"]["name"]: crd for crd in of_kind(helm.render(), "CustomResourceDefinition")}
    for path in (ROOT / "crds").glob("*.yaml"):
        wanted = yaml.safe_load(path.read_text())
        found = rendered.pop(wanted["metadata"]["name"])
        assert found["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert found["spec"] == wanted["spec"]
    assert rendered == {}


def test_the_policies_are_those_that_the_tests_ran_with(helm: Helm) -> None:
    def bare(manifests: list[Manifest]) -> dict[tuple[str, str], Any]:
        return {(m["kind"], m["metadata"]["name"]): m["spec"] for m in manifests if "Admission" in m["kind"]}

    assert bare(helm.render()) == bare(policies())
    assert OPERATOR_USER in json.dumps(helm.render())


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_policy_has_a_switch(helm: Helm, switch: str) -> None:
    def names(values: Values) -> set[str]:
        return {m["metadata"]["name"] for m in helm.render(values) if "Admission" in m["kind"]}

    assert names({}) - names({"policies": {switch: False}}) == SWITCHES[switch]


def test_token_mounts_warn_unless_told_otherwise(helm: Helm) -> None:
    def actions(value: str) -> list[str]:
        found = of_kind(helm.render({"policies": {"tokenMounts": value}}), "ValidatingAdmissionPolicyBinding")
        return [a for b in found if b["metadata"]["name"].startswith("token-") for a in b["spec"]["validationActions"]]

    assert actions("Warn") == ["Warn", "Audit"]
    assert actions("Deny") == ["Deny"]
    assert actions("Off") == []


def test_a_digest_takes_precedence_over_a_tag(helm: Helm) -> None:
    images = [c["image"] for t in pod_templates(helm.render(MATRIX["by-digest"])) for c in t["spec"]["containers"]]
    assert set(images) == {f"example.com/makini@{DIGEST}"}
    assert pod_templates(helm.render())[0]["spec"]["containers"][0]["image"] == "makini-operator:0.1.0"


def test_the_operator_is_told_which_image_sync_pods_run(helm: Helm) -> None:
    def told(values: Values) -> tuple[str, str]:
        name, *arguments = pod_templates(helm.render(values))[0]["spec"]["containers"][0]["args"]
        chosen = run.make_context(name, arguments).params
        return chosen["sync_image"], chosen["sync_image_pull_policy"]

    assert told({}) == ("makini-sync:0.1.0", "IfNotPresent")
    elsewhere = "registry.example.com:5000/team/sync:1.0_rc.1-A"
    assert told(MATRIX["syncs-from-elsewhere"]) == (elsewhere, "Always")
    assert told(MATRIX["syncs-by-digest"]) == (f"makini-sync@{DIGEST}", "IfNotPresent")
    assert told(MATRIX["no-syncs"]) == ("", "IfNotPresent")


def test_the_policies_fence_the_account_that_the_operator_runs_as(helm: Helm) -> None:
    manifests = helm.render(MATRIX["own-account"])
    assert pod_templates(manifests)[0]["spec"]["serviceAccountName"] == "prepared"
    text = json.dumps([m for m in manifests if "Admission" in m["kind"]])
    assert f"system:serviceaccount:{OPERATOR_NAMESPACE}:prepared" in text
    assert OPERATOR_USER not in text


# --- values ----------------------------------------------------------------------------------------------------------

BAD: list[tuple[Values, str]] = [
    ({"replicas": 2}, "additional properties 'replicas' not allowed"),
    ({"policies": {"refrences": False}}, "additional properties 'refrences' not allowed"),
    ({"policies": {"status": "no"}}, "at '/policies/status': got string, want boolean"),
    ({"policies": {"tokenMounts": "deny"}}, "at '/policies/tokenMounts': value must be one of"),
    ({"image": {"digest": "sha256:abc"}}, "at '/image/digest'"),
    ({"image": {"repository": ""}}, "at '/image/repository'"),
    ({"image": {"tag": "a b"}}, "at '/image/tag'"),
    ({"image": {"pullPolicy": "Sometimes"}}, "at '/image/pullPolicy'"),
    ({"sync": {"enabled": "no"}}, "at '/sync/enabled': got string, want boolean"),
    ({"sync": {"image": {"repository": ""}}}, "at '/sync/image/repository'"),
    ({"sync": {"image": {"repository": "example.com/Sync"}}}, "at '/sync/image/repository'"),
    ({"sync": {"image": {"repository": "example.com/sync:1"}}}, "at '/sync/image/repository'"),
    ({"sync": {"image": {"digest": "sha256:abc"}}}, "at '/sync/image/digest'"),
    ({"sync": {"image": {"tag": "t" * 129}}}, "at '/sync/image/tag'"),
    ({"sync": {"image": {"pullPolicy": "Sometimes"}}}, "at '/sync/image/pullPolicy'"),
    ({"sync": {"window": "90d"}}, "additional properties 'window' not allowed"),
    ({"operator": {"workers": 0}}, "at '/operator/workers'"),
    ({"operator": {"logLevel": "loud"}}, "at '/operator/logLevel'"),
    ({"operator": {"extraArgs": "--x"}}, "at '/operator/extraArgs'"),
    ({"metrics": {"port": 8080}}, "at '/metrics/port'"),
    ({"metrics": {"port": 80}}, "at '/metrics/port'"),
    ({"sandbox": {"name": "9lives"}}, "at '/sandbox/name'"),
    ({"serviceAccount": {"name": "Not A Name"}}, "at '/serviceAccount/name'"),
    ({"serviceAccount": {"create": False}}, "say which ServiceAccount the operator runs as"),
    ({"nodeSelector": {"a": 1}}, "at '/nodeSelector/a'"),
]


@pytest.mark.parametrize(("values", "fragment"), BAD, ids=[json.dumps(values) for values, _ in BAD])
def test_a_mistake_in_the_values_is_refused(helm: Helm, values: Values, fragment: str) -> None:
    refused = helm.run("template", RELEASE, str(CHART), values=values)
    assert refused.returncode != 0
    assert fragment in refused.stderr


def test_every_value_is_in_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(found: Values, described: Manifest, path: str) -> None:
        properties = described.get("properties")
        if properties is None:
            return
        extra = {"global"} if not path else set()
        assert set(properties) - set(found) - extra - {"claims", "limits", "requests"} == set(), path
        for key, value in found.items():
            if isinstance(value, dict):
                compare(value, properties[key], f"{path}.{key}")

    compare(values, schema, "")


def test_every_value_is_explained() -> None:
    """A comment stands above it, or above a block of values that it explains together."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    silent = []
    for before, line in pairwise(["", *lines]):
        key = re.match(r"( *)([A-Za-z]+):", line)
        is_group = key and line.endswith(":")
        if key and not is_group and not before.lstrip().startswith("#") and key[2] not in TOGETHER:
            silent.append(line)
    assert silent == []


def test_the_page_on_installing_names_every_group_of_values() -> None:
    page = (ROOT / "docs/install.md").read_text()
    rows = "\n".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))
    named = set(re.findall(r"`([A-Za-z]+)`", rows))
    assert set(yaml.safe_load((CHART / "values.yaml").read_text())) - named == set()
