"""What the API server refuses, and that it says what to do; what it must accept; what is fixed once credits are held.

No operator takes part: these are the CRDs alone, on the real API server.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.harness import Rig
from tests.localkube import LocalKube, LocalKubeError, objects

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
        ("sync: []", 'unknown field "spec.sync"'),
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
        self._kube, self._namespace = kube, namespace
        obj = connection()
        objects.apply(kube, obj | {"metadata": obj["metadata"] | {"namespace": namespace}})

    def edit(self, change: str) -> str:
        """What the API server says when it refuses; empty when the change was accepted."""
        return self._patch("acme", {"spec": yaml.safe_load(change)})

    def set_status(self, status: Manifest) -> str:
        return self._patch("acme/status", {"status": status})

    def get(self) -> Manifest:
        found = objects.get(self._kube, "mconn", "acme", "-n", self._namespace)
        assert found
        return found

    def _patch(self, name: str, patch: Manifest) -> str:
        try:
            objects.patch(self._kube, "mconn", name, patch, self._namespace)
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
    tenant._patch("acme", {"status": {"credits": CLAIM}})
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


@pytest.fixture(scope="module")
def asked(kube: LocalKube) -> LocalKube:
    """`explain` knows short names only once a kubectl has asked for all that there is."""
    kube.kubectl("api-resources")
    return kube


@pytest.mark.parametrize("kind", sorted(CRDS))
def test_kubectl_explains_every_field(asked: LocalKube, kind: str) -> None:
    """`--recursive` shows names only, so each object is asked for; its answer describes the fields in it."""
    crd = json.loads(asked.kubectl("get", "crd", f"{CRDS[kind].removesuffix('.yaml')}.makini.io", "-o", "json").stdout)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = {"properties": {"spec": schema["properties"]["spec"], "status": schema["properties"]["status"]}}
    paths = list(fields(spec))
    assert len(paths) > 20
    parents = sorted({path.rsplit(".", 1)[0] for path in paths} - {""})
    for parent in parents:
        text = asked.kubectl("explain", f"{kind}{parent}").stdout
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
def test_an_explanation_tells_what_matters(asked: LocalKube, path: str, words: str) -> None:
    text = " ".join(asked.kubectl("explain", path).stdout.split())
    assert words in text


# --- syncs ----------------------------------------------------------------------------------------------------------

SYNC = """
name: orders
schedule: '*/15 * * * *'
entities: [erp/purchase-orders]
destination: {duckdb: {volumeClaimName: history}}
"""
PG = "destination: {duckdb: null, postgres: %s}"
FILES = "destination: {duckdb: null, files: %s}"
FORTY_ONE = ", ".join(f"erp/{n}" for n in range(41))
ONE_DESTINATION = "must be exactly one of postgres, files and duckdb"
A_FILES_URL = "must be s3://bucket/prefix, or file:///history or a folder below it"
A_WINDOW = "must be a duration such as 2160h, or all"
A_DATASET = "must be a small letter, then at most 39 small letters, digits and '_'; not pg_…, …_staging, or a name that"
A_QUANTITY = "must be a quantity of Kubernetes, for example 500m or 512Mi"
S3_KEYS = "files: {url: 's3://history/acme', credentialsSecretRef: {name: s3}}"


def with_syncs(*changes: str) -> Manifest:
    base = yaml.safe_load(SYNC)
    obj = connection()
    obj["spec"]["syncs"] = [merged(base, yaml.safe_load(change) or {}) for change in changes]
    return obj


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ("name: null", "spec.syncs[0].name: Required value"),
        ("name: Orders", "must be lower-case letters, digits and '-', starting and ending with a letter or digit"),
        ("name: my_orders", "must be lower-case letters, digits and '-'"),
        ("name: -orders", "must be lower-case letters, digits and '-', starting and ending"),
        ("name: ''", "spec.syncs[0].name in body should be at least 1 chars"),
        (f"name: {'o' * 41}", "spec.syncs[0].name: Too long: may not be more than 40"),
        ("schedule: null", "spec.syncs[0].schedule: Required value"),
        ("schedule: every day", "must be a cron schedule"),
        ("schedule: 'TZ=UTC 0 * * * *'", "belongs in timeZone"),
        ("timeZone: 'Berlin!'", "must be the name of a time zone"),
        ("entities: null", "spec.syncs[0].entities: Required value"),
        ("entities: []", "spec.syncs[0].entities in body should have at least 1 items"),
        ("entities: [erp/purchase-order]", 'Unsupported value: "erp/purchase-order": supported values: "eam/accounts"'),
        ("entities: [purchase-orders]", 'Unsupported value: "purchase-orders"'),
        ("entities: [ERP/purchase-orders]", 'Unsupported value: "ERP/purchase-orders"'),
        ("entities: [wms/stocks]", 'Unsupported value: "wms/stocks"'),
        ("entities: [erp/vendors, erp/vendors]", 'spec.syncs[0].entities[1]: Duplicate value: "erp/vendors"'),
        (f"entities: [{FORTY_ONE}]", "Too many: 41: must have at most 40 items"),
        ("window: 90d", A_WINDOW),
        ("window: h", A_WINDOW),
        ("window: '24'", A_WINDOW),
        ("window: ''", A_WINDOW),
        ("window: All", A_WINDOW),
        ("window: -1h", A_WINDOW),
        ("window: 1m1h", A_WINDOW),
        ("window: 0h", "must be longer than nothing"),
        ("window: 0h0m0s", "must be longer than nothing"),
        ("withoutCursor: []", "spec.syncs[0].withoutCursor in body should have at least 1 items"),
        ("withoutCursor: [erp/materials]", "withoutCursor must name only what entities names"),
        ("window: 24", "spec.syncs[0].window in body must be of type string"),
        ("suspend: 'yes'", "spec.syncs[0].suspend in body must be of type boolean"),
        ("destination: null", "spec.syncs[0].destination: Required value"),
        ("destination: {duckdb: null}", ONE_DESTINATION),
        ("destination: {files: {url: 's3://history/acme'}}", ONE_DESTINATION),
        ("destination: {postgres: {credentialsSecretRef: {name: a, key: b}}}", ONE_DESTINATION),
        (f"destination: {{{S3_KEYS}}}", ONE_DESTINATION),
        ("destination: {duckdb: null, mysql: {}}", 'unknown field "spec.syncs[0].destination.mysql"'),
        ("destination: {duckdb: {volumeClaimName: null}}", "destination.duckdb.volumeClaimName: Required value"),
        ("destination: {duckdb: {volumeClaimName: My Volume}}", "must be the name of a Kubernetes object"),
        ("destination: {duckdb: {folder: /x}}", 'unknown field "spec.syncs[0].destination.duckdb.folder"'),
        (PG % "{}", "destination.postgres.credentialsSecretRef: Required value"),
        (PG % "{credentialsSecretRef: {name: db}}", "credentialsSecretRef.key: Required value"),
        (PG % "{credentialsSecretRef: {key: dsn}}", "credentialsSecretRef.name: Required value"),
        (PG % "{credentialsSecretRef: {name: DB, key: dsn}}", "must be the name of a Kubernetes object"),
        (PG % "{credentialsSecretRef: {name: db, key: 'd/n'}}", "must be a key of a Secret: letters, digits, '-', '_'"),
        (PG % "{credentialsSecretRef: {name: db, key: ..}}", "must be a key of a Secret"),
        (PG % "{credentialsSecretRef: {name: db, key: ''}}", "key in body should be at least 1 chars"),
        (PG % "{dsn: 'postgresql://me:canary@db/x'}", 'unknown field "spec.syncs[0].destination.postgres.dsn"'),
        (
            PG % "{credentialsSecretRef: {name: db, key: dsn, namespace: b}}",
            'unknown field "spec.syncs[0].destination.postgres.credentialsSecretRef.namespace"',
        ),
        (FILES % "{}", "destination.files.url: Required value"),
        (FILES % "{url: ''}", "destination.files.url in body should be at least 1 chars"),
        (FILES % "{url: /history}", A_FILES_URL),
        (FILES % "{url: 'file:///history'}", "file:///history needs volumeClaimName: the volume that is mounted there"),
        (FILES % "{url: 'file:///etc', volumeClaimName: v}", A_FILES_URL),
        (FILES % "{url: 'file:///history/../etc', volumeClaimName: v}", A_FILES_URL),
        (FILES % "{url: 'file:///history/.hidden', volumeClaimName: v}", A_FILES_URL),
        (FILES % "{url: 'file:///history2', volumeClaimName: v}", A_FILES_URL),
        (FILES % "{url: 'gs://history', volumeClaimName: v}", A_FILES_URL),
        (FILES % "{url: 's3://Bucket'}", A_FILES_URL),
        (FILES % "{url: 's3://b'}", A_FILES_URL),
        (FILES % "{url: 's3://bucket//acme'}", A_FILES_URL),
        (FILES % "{url: 's3://key:canary@bucket/acme'}", A_FILES_URL),
        (FILES % "{url: 's3://bucket/../acme'}", A_FILES_URL),
        (FILES % "{url: 's3://bucket', volumeClaimName: v}", "volumeClaimName is for file:///history: leave it out"),
        (
            FILES % "{url: 'file:///history', volumeClaimName: v, credentialsSecretRef: {name: s3}}",
            "credentialsSecretRef is for s3://bucket/prefix: leave it out",
        ),
        *(
            (f"destination: {{duckdb: {{dataset: {name}}}}}", A_DATASET)
            for name in (
                "Acme",
                "acme-eu",
                "1acme",
                "_acme",
                "pg_acme",
                "acme_staging",
                "public",
                "main",
                "temp",
                "information_schema",
                "'a.b'",
                "''",
            )
        ),
        (f"destination: {{duckdb: {{dataset: {'a' * 41}}}}}", "dataset: Too long: may not be more than 40"),
        ("resources: {limits: {memory: 512MB}}", A_QUANTITY),
        ("resources: {limits: {memory: lots}}", A_QUANTITY),
        ("resources: {requests: {cpu: -1}}", "spec.syncs[0].resources.requests.cpu in body must be of type string"),
        ("resources: {requests: {cpu: '-1'}}", A_QUANTITY),
        ("resources: {requests: {cpu: 0.5.5}}", A_QUANTITY),
        ("resources: {limits: {gpu: '1'}}", 'unknown field "spec.syncs[0].resources.limits.gpu"'),
        ("image: thief.example/x", 'unknown field "spec.syncs[0].image"'),
    ],
)
def test_a_sync_is_refused_with_advice(kube: LocalKube, change: str, advice: str) -> None:
    answer = try_to_create(kube, with_syncs(change))
    assert advice in answer
    assert "canary" not in answer


def test_syncs_are_refused_when_they_are_too_many_or_share_a_name(kube: LocalKube) -> None:
    assert 'spec.syncs[1]: Duplicate value: {"name":"orders"}' in try_to_create(kube, with_syncs("", "window: 1h"))
    seventeen = with_syncs(*(f"name: s{number}" for number in range(17)))
    assert "spec.syncs: Too many: 17: must have at most 16 items" in try_to_create(kube, seventeen)


def test_what_a_failing_sync_means_is_one_of_two(kube: LocalKube) -> None:
    answer = try_to_create(kube, connection("healthPolicy: {syncFailures: Alarm}"))
    assert 'Unsupported value: "Alarm": supported values: "Ignore", "Degrade"' in answer


@pytest.mark.parametrize(
    "change",
    [
        "",
        "name: '1'",
        f"name: {'o' * 40}",
        "schedule: '@daily'",
        "timeZone: Europe/Berlin",
        "entities: [erp/purchase-orders.line-items, eam/work-orders/materials, erp/statuses/purchase-orders]",
        "window: all",
        "window: 2160h",
        "window: 1h30m",
        "window: 90s",
        "suspend: true",
        "destination: {duckdb: {dataset: acme_1}}",
        f"destination: {{duckdb: {{dataset: {'a' * 40}}}}}",
        "destination: {duckdb: {dataset: staging}}",
        "destination: {duckdb: {dataset: public_}}",
        PG % "{credentialsSecretRef: {name: db.history, key: dsn.url_1}, dataset: pgx}",
        FILES % "{url: 's3://history'}",
        FILES % "{url: 's3://history/'}",
        FILES % "{url: 's3://my.history-1/Acme/year=2026/a.b_c'}",
        f"destination: {{duckdb: null, {S3_KEYS}}}",
        FILES % "{url: 'file:///history', volumeClaimName: v}",
        FILES % "{url: 'file:///history/', volumeClaimName: v}",
        FILES % "{url: 'file:///history/Acme/a.b', volumeClaimName: v, dataset: acme}",
        "resources: {}",
        "resources: {requests: {}, limits: {}}",
        "resources: {requests: {cpu: 100m, memory: 256Mi}, limits: {cpu: '2', memory: 1.5Gi}}",
        "resources: {requests: {cpu: '0.5'}}",
    ],
)
def test_a_sync_is_accepted(kube: LocalKube, change: str) -> None:
    assert try_to_create(kube, with_syncs(change)) == ""


def test_as_many_syncs_as_there_may_be_are_accepted(kube: LocalKube) -> None:
    crd = json.loads(kube.kubectl("get", "crd", "makiniconnections.makini.io", "-o", "json").stdout)
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    entities = ", ".join(spec["syncs"]["items"]["properties"]["entities"]["items"]["enum"][:40])
    sixteen = with_syncs(*(f"{{name: s{number}, entities: [{entities}]}}" for number in range(16)))
    assert try_to_create(kube, sixteen) == ""
    assert try_to_create(kube, connection("syncs: []")) == ""
    for policy in ("{}", "{syncFailures: Ignore}", "{syncFailures: Degrade}"):
        assert try_to_create(kube, connection(f"healthPolicy: {policy}")) == ""


def test_a_sync_can_be_changed_while_credits_are_held(tenant: Tenant) -> None:
    tenant.set_status({"credits": CLAIM, "connectionID": "c1"})
    sync = yaml.safe_load(SYNC)
    for change in ({}, {"window": "all"}, {"suspend": True}, {"destination": {"files": {"url": "s3://history/acme"}}}):
        assert tenant.edit(json.dumps({"syncs": [sync | change]})) == ""
    assert tenant.edit("syncs: null") == ""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("mconn.spec.syncs", "on a schedule"),
        ("mconn.spec.syncs.window", "Default: 2160h (90 days)"),
        ("mconn.spec.syncs.destination.files.url", "s3://bucket/prefix; or file:///history"),
        ("mconn.spec.syncs.destination.duckdb.volumeClaimName", "Never owned, never deleted"),
        ("mconn.spec.healthPolicy.syncFailures", "only SyncsHealthy says so"),
    ],
)
def test_an_explanation_of_syncs_tells_what_matters(asked: LocalKube, path: str, words: str) -> None:
    text = " ".join(asked.kubectl("explain", path).stdout.split())
    assert words in text
