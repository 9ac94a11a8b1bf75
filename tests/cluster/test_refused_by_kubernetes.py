"""What Kubernetes does not let the operator write is shown to the user, costs nothing, and heals by itself."""

from tests.cluster.fixtures_operator import Manifest, World, condition
from tests.cluster.test_workflows import connected, listed, start_run, workflow
from tests.harness.rig import OPERATOR_USER

NO_SECRETS = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}


def test_a_quota_that_forbids_the_secret_is_shown_and_no_second_token_is_minted(world: World) -> None:
    world.make_pool()
    quota = NO_SECRETS | {"metadata": {"name": "none", "namespace": world.namespace}}
    world.apply(quota | {"spec": {"hard": {"secrets": "1"}}})
    world.until(lambda: _is_counted(world))
    world.apply(world.connection("acme"))
    refused = world.until_reason("acme", "SecretRefused")
    assert condition(refused, "Stalled")["status"] == "True"
    assert "exceeded quota" in condition(refused, "Ready")["message"]
    assert refused["status"]["credits"]["amount"] == 1, "the connection is open, so its credits stay held"
    assert "acme-makini" not in world.secret_names()
    before = world.sandbox.requests()
    world.kubectl("delete", "resourcequota", "none", "-n", world.namespace)
    world.until_ready("acme", seconds=45)
    assert world.sandbox.accepts(world.secret("acme-makini")["token"])
    after = world.sandbox.requests()
    assert {k: v for k, v in after.items() if "token" in k} == {k: v for k, v in before.items() if "token" in k}


def test_a_secret_that_may_not_be_deleted_does_not_hold_up_the_disconnect(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("acme"))
    world.until_ready("acme")
    token = world.secret("acme-makini")["token"]
    name = f"keep-{world.namespace}"
    world.apply(*_keep("secrets", name, world.namespace))
    try:
        world.until(lambda: not _may_delete(world, "secret", "acme-makini"))
        world.patch("acme", {"connected": False})
        world.until_reason("acme", "Disconnected", seconds=45)
        assert not world.sandbox.accepts(token)
        world.until(lambda: world.held() == 0)
    finally:
        world.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


def test_a_pod_that_may_not_be_deleted_spares_neither_cron_job_nor_job_and_is_tried_again(world: World) -> None:
    connected(world, workflow())
    start_run(world)
    (pod,) = listed(world, "pods")
    name = f"keep-{world.namespace}"
    world.apply(*_keep("pods", name, world.namespace))
    try:
        world.until(lambda: not _may_delete(world, "pod", pod["metadata"]["name"]))
        start = world.rig.cluster.audit_position()
        world.patch("acme", {"connected": False})
        world.until_reason("acme", "Disconnected", seconds=45)
        world.until(lambda: listed(world, "cronjobs,jobs") == [])
        assert [kept["metadata"]["name"] for kept in listed(world, "pods")] == [pod["metadata"]["name"]]
        told = len(_tries(world, start))
        assert told > 0
        world.until(lambda: len(_tries(world, start)) > told, 45)
    finally:
        world.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)
    world.until(lambda: listed(world, "pods") == [], 45)


def _tries(world: World, since: int) -> list[Manifest]:
    """What the operator has done to end pods."""
    writes = world.rig.cluster.writes(since, user=OPERATOR_USER)
    return [entry for entry in writes if entry["verb"] == "delete" and entry["objectRef"]["resource"] == "pods"]


def _is_counted(world: World) -> bool:
    quota = world.rig.get("resourcequota", "none", "-n", world.namespace)
    return quota.get("status", {}).get("used", {}).get("secrets") == "1"


def _may_delete(world: World, kind: str, name: str) -> bool:
    tried = world.kubectl("delete", kind, name, "-n", world.namespace, "--dry-run=server", check=False)
    return tried.returncode == 0


def _keep(what: str, name: str, namespace: str) -> tuple[dict[str, object], dict[str, object]]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": [what]}
    where = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    group = "admissionregistration.k8s.io/v1"
    policy = {
        "apiVersion": group,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": where},
            "validations": [{"expression": "false", "message": f"{what} are kept here"}],
        },
    }
    binding = {
        "apiVersion": group,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return policy, binding
