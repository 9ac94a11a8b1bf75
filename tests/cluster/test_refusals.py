"""What the API server refuses, and that it says what to do; what it must accept; what is fixed once credits are held.

No operator takes part: these are the CRDs alone, on the real API server.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.harness import Rig
from tests.localkube import LocalKube, LocalKubeError

Manifest = dict[str, Any]

POOL = """
credits: 12
account: {credentialsSecretRef: {name: makini-account}}
"""
CONNECTION = """
poolRef: {name: production}
system: {name: sap-s4hana, deployment: Cloud}
environment: Production
customer: {name: Acme}
authorization: {credentials: {secretRef: {name: acme-login}}}
"""
WORKFLOW = "{name: a, schedule: '@daily', jobTemplate: {spec: {}}}"
TOO_MANY = ", ".join(f"k{n}: v" for n in range(17))
LABELS = "token: {secretTemplate: {labels: {%s: %s}}}"
ANNOTATIONS = "token: {secretTemplate: {annotations: {%s: %s}}}"


@pytest.fixture(scope="module")
def kube(installed: Rig) -> LocalKube:
    """The control plane with both CRDs and no operator."""
    return installed.cluster


def merged(old: Manifest, change: Manifest) -> Manifest:
    """RFC 7396: null takes a field away."""
    result = dict(old)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(old.get(key), dict):
            result[key] = merged(old[key], value)
        else:
            result[key] = value
    return result


def manifest(kind: str, base: str, change: str, name: str = "acme") -> Manifest:
    spec = merged(yaml.safe_load(base), yaml.safe_load(change) or {})
    return {"apiVersion": "makini.io/v1beta1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def pool(change: str = "", name: str = "acme") -> Manifest:
    return manifest("CreditPool", POOL, change, name)


def connection(change: str = "", name: str = "acme") -> Manifest:
    return manifest("MakiniConnection", CONNECTION, change, name)


def try_to_create(kube: LocalKube, obj: Manifest) -> str:
    """What the API server answers to `kubectl apply`; empty when it accepts."""
    where = "creditpools" if obj["kind"] == "CreditPool" else "namespaces/default/makiniconnections"
    path = f"/apis/makini.io/v1beta1/{where}?dryRun=All&fieldValidation=Strict"
    status, text = kube.request("POST", path, obj)
    return "" if status == 201 else json.loads(text)["message"]


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ("credits: null", "spec.credits: Required value"),
        ("credits: -1", "spec.credits in body should be greater than or equal to 0"),
        ("credits: 1000001", "spec.credits in body should be less than or equal to 1000000"),
        ("credits: 1.5", "spec.credits in body must be of type int"),
        ("credits: twelve", "spec.credits in body must be of type integer"),
        ("overage: {limit: 0}", "spec.overage.limit in body should be greater than or equal to 1"),
        ("overage: {}", "spec.overage.limit: Required value"),
        ("access: {maxCreditsPerNamespace: 0}", "should be greater than or equal to 1"),
        ("queueing: {strategy: Lottery}", 'supported values: "BestEffortFIFO", "StrictFIFO"'),
        ("account: null", "spec.account: Required value"),
        ("account: {credentialsSecretRef: null}", "spec.account.credentialsSecretRef: Required value"),
        ("account: {credentialsSecretRef: {name: null}}", "credentialsSecretRef.name: Required value"),
        ("account: {credentialsSecretRef: {name: ''}}", "credentialsSecretRef.name in body should be at least 1 chars"),
        ("account: {credentialsSecretRef: {name: Makini_Account}}", "lower-case letters, digits, '-' and '.'"),
        (
            "account: {credentialsSecretRef: {name: a, namespace: b}}",
            'unknown field "spec.account.credentialsSecretRef.namespace"',
        ),
        ("account: {url: 'http://api.makini.io'}", "must be an https:// URL such as https://api.makini.io"),
        ("account: {url: 'http://evil.svc.example.com'}", "plain http:// only for localhost and for Services"),
        ("account: {url: 'http://[::2]:8500'}", "plain http:// only for localhost"),
        ("account: {url: 'http://localhost.example.com'}", "plain http:// only for localhost"),
        ("account: {url: 'ftp://api.makini.io'}", "must be an https:// URL"),
        ("account: {url: api.makini.io}", "must be an https:// URL"),
        ("account: {url: ''}", "must be an https:// URL"),
        ("account: {url: 'https://user:password@api.makini.io'}", "credentials belong in the Secret"),
        ("account: {url: 'https://api.makini.io?key=1'}", "must not contain a user, a query or a fragment"),
        ("account: {url: 'https://api.makini.io#key'}", "must not contain a user, a query or a fragment"),
        ("account: {sandbox: {url: 'http://127.0.0.1:8500'}}", "sandbox.credentialsSecretRef: Required value"),
        ("account: {sandbox: {credentialsSecretRef: {name: a}}}", "sandbox.url: Required value"),
        ("pricing: {tiers: {III: -1}}", "spec.pricing.tiers.III in body should be greater than or equal to 0"),
        ("pricing: {tiers: {IV: 8}}", 'unknown field "spec.pricing.tiers.IV"'),
        ("pricing: {onPremisesMultiplier: 0}", "onPremisesMultiplier in body should be greater than or equal to 1"),
        (
            "pricing: {systems: [{name: a, tier: II, deployments: []}]}",
            "deployments in body should have at least 1 items",
        ),
        ("pricing: {systems: [{name: a, tier: IV, deployments: [Cloud]}]}", 'supported values: "I", "II", "III"'),
        ("pricing: {systems: [{name: a, tier: I, deployments: [Hybrid]}]}", 'supported values: "Cloud", "OnPremises"'),
        ("pricing: {systems: [{name: a, tier: I, deployments: [Cloud, Cloud]}]}", "Duplicate value"),
        ("pricing: {systems: [{name: SAP, tier: I, deployments: [Cloud]}]}", "for example sap-s4hana"),
        (
            "pricing: {systems: [{name: a, tier: I, deployments: [Cloud]}, {name: a, tier: II, deployments: [Cloud]}]}",
            "Duplicate value",
        ),
        ("hold: 'yes'", "spec.hold in body must be of type boolean"),
        ("credit: 12", 'unknown field "spec.credit"'),
    ],
)
def test_a_pool_is_refused_with_advice(kube: LocalKube, change: str, advice: str) -> None:
    assert advice in try_to_create(kube, pool(change))


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ("priority: 1001", "spec.priority in body should be less than or equal to 1000"),
        ("suspend: 'yes'", "spec.suspend in body must be of type boolean"),
        ("workflows: [{name: a, schedule: '60 * * * *', jobTemplate: {spec: {}}}]", "must be a cron schedule"),
        ("workflows: [{name: a, schedule: 'TZ=UTC 0 * * * *', jobTemplate: {spec: {}}}]", "belongs in timeZone"),
        (
            "workflows: [{name: a, schedule: '@daily', timeZone: 'Berlin!', jobTemplate: {spec: {}}}]",
            "must be the name of a time zone",
        ),
        ("workflows: [{name: A_b, schedule: '@daily', jobTemplate: {spec: {}}}]", "must be lower-case letters"),
        ("workflows: [{name: a, schedule: '@daily'}]", "jobTemplate: Required value"),
        ("workflows: [{name: a, schedule: '@daily', jobTemplate: {}}]", "jobTemplate.spec: Required value"),
        (
            "workflows: [{name: a, schedule: '@daily', jobTemplate: {spec: {}, kind: Job}}]",
            'unknown field "spec.workflows[0].jobTemplate.kind"',
        ),
        (
            f"workflows: [{WORKFLOW}, {WORKFLOW}]",
            "Duplicate value",
        ),
        ("token: {secretName: acme-login}", "must differ from the name of the Secret with the customer's login"),
        ('customer: {name: "Acme\\nInc"}', "must be one line"),
        ('customer: {name: Acme, email: "it@acme.example\\tx"}', "must be an e-mail address"),
        ("poolRef: null", "spec.poolRef: Required value"),
        ("poolRef: {name: ''}", "spec.poolRef.name in body should be at least 1 chars"),
        ("poolRef: {name: Production}", "must be the name of a Kubernetes object: lower-case letters"),
        ("system: null", "spec.system: Required value"),
        ("system: {deployment: null}", "spec.system.deployment: Required value"),
        ("system: {deployment: on-premises}", 'supported values: "Cloud", "OnPremises"'),
        (
            "system: {name: SAP S/4HANA}",
            "must be a system's name in lower-case letters, digits and '-', for example sap-s4hana",
        ),
        ("system: {tier: I}", 'unknown field "spec.system.tier"'),
        ("environment: null", "spec.environment: Required value"),
        ("environment: production", 'supported values: "Production", "Test", "Sandbox"'),
        ("customer: null", "spec.customer: Required value"),
        ("customer: {name: ''}", "spec.customer.name in body should be at least 1 chars"),
        ("customer: {name: ' Acme'}", "must not start or end with white space"),
        (f"customer: {{name: {'A' * 101}}}", "spec.customer.name: Too long: may not be more than 100"),
        ("customer: {email: acme.example}", "must be an e-mail address such as it@acme.example"),
        ("customer: {email: it@acme@example}", "must be an e-mail address such as it@acme.example"),
        ("authorization: null", "spec.authorization: Required value"),
        ("authorization: {credentials: null}", "spec.authorization.credentials: Required value"),
        ("authorization: {credentials: {secretRef: null}}", "credentials.secretRef: Required value"),
        ("authorization: {credentials: {secretRef: {name: Acme Login}}}", "must be the name of a Kubernetes object"),
        ("authorization: {credentials: {password: secret}}", 'unknown field "spec.authorization.credentials.password"'),
        ("metadata: {'makini.io/plan': gold}", "metadata must"),
        ("metadata: {makini.io: gold}", "metadata must not use the keys 'kubernetes' and 'makini.io…'"),
        ("metadata: {kubernetes: mine}", "the operator writes those"),
        ("metadata: {'my plan': gold}", "metadata must have keys of at most 64 letters, digits, '_', '.' and '-'"),
        (f"metadata: {{{'k' * 65}: gold}}", "metadata must have keys of at most 64 letters"),
        (f"metadata: {{plan: {'g' * 257}}}", "spec.metadata.plan: Too long: may not be more than 256"),
        ("metadata: {plan: 1}", "spec.metadata.plan in body must be of type string"),
        (f"metadata: {{{TOO_MANY}}}", "Too many: 17: must have at most 16 items"),
        ("connected: 'no'", "spec.connected in body must be of type boolean"),
        ("token: {secretName: ''}", "spec.token.secretName in body should be at least 1 chars"),
        ("token: {secretName: My_Secret}", "must be the name of a Kubernetes object"),
        ("token: {rotation: {every: 4m}}", "every must be at least 5m"),
        ("token: {rotation: {every: 20 days}}", "every must be a duration such as 10m, 12h or 1h30m"),
        ("token: {rotation: {overlap: 2m}}", "overlap must be at least 3m"),
        ("token: {rotation: {every: 1h, overlap: 1h}}", "overlap must be shorter than every"),
        ("token: {readers: [{serviceAccountName: A B}]}", "must be the name of a Kubernetes object"),
        ("token: {readers: [{serviceAccountName: a}, {serviceAccountName: a}]}", "Duplicate value"),
        ("token: {rolloutRestart: [{kind: Pod, name: a}]}", 'supported values: "Deployment", "StatefulSet"'),
        ("token: {stores: [{name: a, remoteKey: b}]}", "spec.token.stores[0].secretStoreRef: Required value"),
        (LABELS % ("team", "'not a label!'"), "must be a label value: letters, digits"),
        (LABELS % ("'not a key!'", "erp"), "labels must have keys that Kubernetes accepts, for example team"),
        (LABELS % ("app.kubernetes.io/name", "erp"), "use a prefix of your own"),
        (LABELS % ("makini.io/managed-by", "me"), "labels must not use the reserved prefixes"),
        (LABELS % ("argocd.argoproj.io/instance", "x"), "labels must not use the reserved prefixes"),
        (ANNOTATIONS % ("kustomize.toolkit.fluxcd.io/prune", "x"), "annotations must not use the reserved prefixes"),
        (ANNOTATIONS % ("replicator.v1.mittwald.de/replicate-to", "x"), "tools that copy Secrets elsewhere"),
        (
            ANNOTATIONS % ("reflector.v1.k8s.emberstack.com/reflection-allowed", "x"),
            "tools that copy Secrets elsewhere",
        ),
        (ANNOTATIONS % ("Example.com/team", "x"), "annotations must have keys that Kubernetes accepts"),
        ("syncs: []", 'unknown field "spec.syncs"'),
    ],
)
def test_a_connection_is_refused_with_advice(kube: LocalKube, change: str, advice: str) -> None:
    assert advice in try_to_create(kube, connection(change))


@pytest.mark.parametrize(
    ("obj", "advice"),
    [
        (pool(name="p" * 64), "metadata.name: at most 63 characters"),
        (connection(name="c" * 53), "metadata.name: at most 52 characters, because child objects get longer names"),
        (connection() | {"spec": None}, "spec: Required value"),
        (connection() | {"specs": {}}, 'unknown field "specs"'),
    ],
)
def test_an_object_is_refused_with_advice(kube: LocalKube, obj: Manifest, advice: str) -> None:
    assert advice in try_to_create(kube, obj)


def test_a_refusal_does_not_repeat_the_password_that_somebody_put_in_the_wrong_place(kube: LocalKube) -> None:
    answer = try_to_create(kube, connection("authorization: {credentials: {password: hunter-2}}"))
    assert answer
    assert "hunter-2" not in answer


# --- accepted -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "",
        "credits: 0",
        "credits: 1000000",
        "account: {url: 'https://api.makini.io'}",
        "account: {url: 'https://gateway.example.com:8443/makini/'}",
        "account: {url: 'http://localhost:8500'}",
        "account: {url: 'http://127.0.0.1:8500'}",
        "account: {url: 'http://[::1]:8500'}",
        "account: {url: 'http://makini-sandbox.makini-system.svc'}",
        "account: {url: 'http://makini-sandbox.makini-system.svc.cluster.local:8080'}",
        "account: {sandbox: {url: 'http://s.m.svc', credentialsSecretRef: {name: makini-sandbox}}}",
        "pricing: {}",
        "pricing: {tiers: {}}",
        "pricing: {tiers: {I: 0, II: 1000, III: 5}, onPremisesMultiplier: 10}",
        "pricing: {systems: []}",
        "pricing: {systems: [{name: acme-erp, tier: II, deployments: [Cloud, OnPremises]}]}",
        "hold: true",
    ],
)
def test_a_pool_is_accepted(kube: LocalKube, change: str) -> None:
    assert try_to_create(kube, pool(change)) == ""


@pytest.mark.parametrize(
    "change",
    [
        "",
        "poolRef: {name: team-a.production}",
        "system: {name: sap-ecc, deployment: OnPremises}",
        "system: {name: 3com}",
        "environment: Test",
        "environment: Sandbox",
        "customer: {name: Müller & Söhne GmbH, email: it+makini@müller.example}",
        f"customer: {{name: {'A' * 100}}}",
        "authorization: {credentials: {secretRef: {name: acme.login}}}",
        "metadata: {}",
        "metadata: {plan: gold, Account_ID: '0815', a.b-c: ''}",
        f"metadata: {{{'k' * 64}: {'v' * 256}}}",
        "connected: false",
        "token: {}",
        "token: {secretName: acme-token}",
        "token: {secretTemplate: {}}",
        "token: {secretTemplate: {labels: {team: erp, a.b/c: ''}, annotations: {example.com/note: any text}}}",
        ANNOTATIONS % ("mykubernetes.io.example.com/note", "x"),
    ],
)
def test_a_connection_is_accepted(kube: LocalKube, change: str) -> None:
    assert try_to_create(kube, connection(change)) == ""


def test_the_longest_names_are_accepted(kube: LocalKube) -> None:
    assert try_to_create(kube, pool(name="p" * 63)) == ""
    assert try_to_create(kube, connection(name="c" * 52)) == ""


# --- what is fixed once credits are held ----------------------------------------------------------------------------

CLAIM = {"pool": "production", "poolUID": "u", "amount": 4, "tier": "III", "grantedAt": "2025-01-01T00:00:00Z"}
FIXED = "are fixed while the connection holds credits: set connected: false first and wait for Disconnected"
PRICED = [
    "poolRef: {name: other}",
    "system: {name: fiix}",
    "system: {deployment: OnPremises}",
    "environment: Test",
    "customer: {name: Other}",
    "customer: {email: other@acme.example}",
]
FREE = [
    "connected: false",
    "metadata: {plan: gold}",
    "token: {secretName: other}",
    "token: {secretTemplate: {labels: {team: erp}}}",
    "authorization: {credentials: {secretRef: {name: other-login}}}",
]


class Tenant:
    """One stored connection, and what its owner and an administrator do to it."""

    def __init__(self, kube: LocalKube, namespace: str) -> None:
        self._kube, self._where = kube, ("mconn", "acme", "-n", namespace)
        kube.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(connection()))

    def edit(self, change: str) -> str:
        """What kubectl says when it fails; empty when the change was accepted."""
        return self._patch({"spec": yaml.safe_load(change)})

    def set_status(self, status: Manifest) -> str:
        return self._patch({"status": status}, "--subresource=status")

    def get(self) -> Manifest:
        return json.loads(self._kube.kubectl("get", *self._where, "-o", "json").stdout)

    def _patch(self, patch: Manifest, *options: str) -> str:
        try:
            self._kube.kubectl("patch", *self._where, "--type=merge", *options, "-p", json.dumps(patch))
        except LocalKubeError as error:
            return str(error)
        return ""


@pytest.fixture
def tenant(kube: LocalKube, namespace: str) -> Tenant:
    return Tenant(kube, namespace)


def test_before_credits_are_held_everything_can_be_mended(tenant: Tenant) -> None:
    for change in [*PRICED, *FREE]:
        assert tenant.edit(change) == ""


@pytest.mark.parametrize("status", [{"credits": CLAIM}, {"connectionID": "c1"}], ids=["credits", "connectionID"])
def test_what_costs_credits_is_fixed_while_they_are_held(tenant: Tenant, status: Manifest) -> None:
    assert tenant.set_status(status) == ""
    for change in PRICED:
        assert FIXED in tenant.edit(change)
    for change in FREE:
        assert tenant.edit(change) == ""


def test_when_credits_have_returned_everything_can_be_changed_again(tenant: Tenant) -> None:
    tenant.set_status({"credits": CLAIM, "connectionID": "c1"})
    assert FIXED in tenant.edit("system: {name: fiix}")
    tenant.set_status({"credits": None, "connectionID": None})
    for change in PRICED:
        assert tenant.edit(change) == ""


def test_the_operator_can_write_status_while_the_spec_is_fixed(tenant: Tenant) -> None:
    tenant.set_status({"credits": CLAIM})
    assert tenant.set_status({"credits": CLAIM, "connectionID": "c1", "phase": "Active"}) == ""


def test_a_new_object_shows_that_nobody_has_looked_at_it(tenant: Tenant) -> None:
    assert tenant.get()["status"] == {"observedGeneration": -1}


def test_defaults_are_written_only_where_git_tools_see_no_drift(tenant: Tenant) -> None:
    """Defaults inside lists and optional objects would be permanent drift."""
    assert tenant.get()["spec"] == yaml.safe_load(CONNECTION) | {"connected": True, "suspend": False}


def test_a_status_in_the_spec_s_write_is_ignored(tenant: Tenant) -> None:
    tenant._patch({"status": {"credits": CLAIM}})
    assert "credits" not in tenant.get()["status"]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ({"phase": "Confused"}, 'supported values: "Waiting"'),
        ({"credits": {"pool": "production"}}, "status.credits.amount: Required value"),
        ({"conditions": [{"type": "Ready"}]}, "status.conditions[0].status: Required value"),
        ({"history": [{"disconnectedAt": "2025-01-01T00:00:00Z", "reason": "x"}] * 6}, "must have at most 5 items"),
    ],
)
def test_a_status_outside_the_vocabulary_is_refused(tenant: Tenant, status: Manifest, advice: str) -> None:
    assert advice in tenant.set_status(status)


# --- kubectl explain ------------------------------------------------------------------------------------------------

CRDS = {
    "cpool": "creditpools.yaml",
    "mconn": "makiniconnections.yaml",
}


def fields(schema: Manifest, path: str = "") -> Iterator[str]:
    """The path of every field below this schema that has fields of its own, or is one."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from fields(child, f"{path}.{name}")
        yield from fields(child.get("items", {}), f"{path}.{name}")


@pytest.mark.parametrize("kind", sorted(CRDS))
def test_kubectl_explains_every_field(kube: LocalKube, kind: str) -> None:
    """`--recursive` shows names only, so each object is asked for; its answer describes the fields in it."""
    crd = json.loads(kube.kubectl("get", "crd", f"{CRDS[kind].removesuffix('.yaml')}.makini.io", "-o", "json").stdout)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = {"properties": {"spec": schema["properties"]["spec"], "status": schema["properties"]["status"]}}
    paths = list(fields(spec))
    assert len(paths) > 20
    parents = sorted({path.rsplit(".", 1)[0] for path in paths} - {""})
    for parent in parents:
        text = kube.kubectl("explain", f"{kind}{parent}").stdout
        assert "<no description>" not in text, f"{kind}{parent}"
        for path in paths:
            if path.rsplit(".", 1)[0] == parent:
                assert f"  {path.rsplit('.', 1)[1]}\t" in text, path


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("mconn.spec.system", "The customer's system"),
        ("mconn.spec.system.name", "for example sap-s4hana; the pool's catalogue prices it"),
        ("mconn.spec.environment", "Sandbox (sample data"),
        ("mconn.spec.connected", "opens a new connection with a new token"),
        ("mconn.spec.token.secretName", "Default: <name>-makini"),
        ("mconn.status.credits", "present means they are this"),
        ("cpool.spec.credits", "takes nothing away and grants nothing new"),
        ("cpool.spec.pricing.onPremisesMultiplier", "Default: 2"),
        ("cpool.status.credits.held", "Credits held by connections"),
    ],
)
def test_an_explanation_tells_what_matters(kube: LocalKube, path: str, words: str) -> None:
    text = " ".join(kube.kubectl("explain", path).stdout.split())
    assert words in text
