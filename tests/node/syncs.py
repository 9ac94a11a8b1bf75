"""A tenant whose connection has syncs, the Makini that it leads to, and the places where its rows are."""

import base64
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml
from tests import images
from tests.harness.forwarded import ForwardedSandbox
from tests.harness.rig import OPERATOR_NAMESPACE
from tests.localkube.waiting import wait_until
from tests.localnode import LocalNode
from tests.node.existing import EXISTING, HOST_ADDRESS
from tests.node.history import Snapshot, in_duckdb, in_postgres, served, start_reader
from tests.node.pods import Cluster, Manifest
from tests.node.tenants import SANDBOX, VALUES, Tenant, installed
from tests.sync import postgres
from tests.sync.reading import Row
from tests.tools.helm import Helm

POOL = "of-syncs"
ENTITY = "erp/purchase-orders"
NAMESPACE = "sync-tenants"
DATASET = "sync_tenants_acme"
SCALE = 600
"""Purchase orders: six pages."""
RUN_SECONDS = 120
"""A run takes 10 s of a processor, and the computer may be busy."""

REACHED = EXISTING not in os.environ or HOST_ADDRESS in os.environ
DESTINATIONS: dict[str, Manifest] = {
    "duckdb": {"duckdb": {"volumeClaimName": "history"}},
} | ({"postgres": {"postgres": {"credentialsSecretRef": {"name": "history", "key": "dsn"}}}} if REACHED else {})

REPOSITORY, _, TAG = images.SYNC.rpartition(":")
SYNC_VALUES = VALUES | {
    "sandbox": {"enabled": True, "extraArgs": ["--allow-faults", f"--scale={SCALE}"]},
    "sync": {"image": {"repository": REPOSITORY, "tag": TAG, "pullPolicy": "Never"}},
}


class Scene:
    """The tenant, the Makini that its connection leads to, and both places where its history is."""

    def __init__(self, tenant: Tenant, sandbox: ForwardedSandbox, dsn: str) -> None:
        self.tenant, self.sandbox, self._dsn = tenant, sandbox, dsn

    def history(self) -> dict[str, Snapshot]:
        """What a reader finds now, by destination."""
        found = {"duckdb": in_duckdb(self.tenant.pods, DATASET)}
        return found | ({"postgres": in_postgres(self._dsn, DATASET)} if REACHED else {})

    def token(self) -> str:
        secret = self.tenant.pods.get("secret", "acme-makini")
        return base64.b64decode(secret["data"]["token"]).decode()

    def ask(self, what: str) -> None:
        request = f"makini.io/{what}-requested-at={datetime.now(UTC).isoformat()}"
        self.tenant.pods.kubectl("annotate", "mconn", "acme", "--overwrite", request)

    def until_all(self, is_so: Callable[[Manifest], object], after: Sequence[Manifest] = ()) -> list[Manifest]:
        """The pods of the runs after these, one for each sync, as soon as this is true of all of them."""
        known = {pod["metadata"]["uid"] for pod in after}

        def found() -> list[Manifest]:
            pods = [pod for pod in self.tenant.runs() if pod["metadata"]["uid"] not in known]
            return pods if len(pods) == len(DESTINATIONS) and all(is_so(pod) for pod in pods) else []

        return wait_until(found, RUN_SECONDS, self.seen)

    def logs(self, pod: Manifest) -> str:
        return self.tenant.node.kubectl("logs", pod["metadata"]["name"], "-n", NAMESPACE, check=False).stdout

    def moment(self, pods: list[Manifest]) -> "Moment":
        """How it all is now, after these runs."""
        return Moment(
            history=self.history(),
            status=self.tenant.status(),
            source=served(self.sandbox, self.token()),
            pods=pods,
            jobs=self.tenant.items("jobs"),
            logs="".join(self.logs(pod) for pod in pods),
            token=self.token(),
        )

    def told(self) -> list[Manifest]:
        """What the connection's status says of its syncs."""
        found: list[Manifest] = self.tenant.status().get("syncs", [])
        return found

    def purge(self, destination: str) -> str:
        """Run the Job of docs/history.md for this destination, as the page says; returns what it wrote."""
        job = purge_job(destination)
        self.tenant.pods.apply(job)
        name = job["metadata"]["name"]
        self.tenant.pods.kubectl("wait", "job", name, "--for=condition=Complete", f"--timeout={RUN_SECONDS}s")
        return self.tenant.pods.kubectl("logs", f"job/{name}")

    def is_empty(self, destination: str) -> bool:
        """Whether nothing of the dataset is at this destination any more."""
        if destination == "postgres":
            left = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE %s"
            return postgres.query(self._dsn, left, f"{DATASET}%") == []
        program = "import os; print(os.listdir('/history'))"
        return "duckdb" not in self.tenant.pods.python("reader", program)

    def seen(self) -> str:
        said = [self.logs(pod)[-2000:] for pod in self.tenant.runs()]
        return "\n".join([self.tenant.seen(), json.dumps(self.told()), *said])


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What was to be seen at one moment of the connection's life."""

    history: dict[str, Snapshot]
    status: Manifest = field(default_factory=dict)
    source: dict[str, Row] = field(default_factory=dict)
    pods: list[Manifest] = field(default_factory=list)
    jobs: list[Manifest] = field(default_factory=list)
    logs: str = ""
    token: str = ""


@contextmanager
def opened(node: Cluster, helm: Helm, folder: Path) -> Iterator[Scene]:
    """Database, chart and tenant; afterwards nothing of it is left."""
    with ExitStack() as stack:
        dsn = stack.enter_context(postgres.running(node.host_address)) if REACHED else ""
        stack.enter_context(installed(node, helm, POOL, SYNC_VALUES))
        environment = node.environment() if isinstance(node, LocalNode) else dict(os.environ)
        environment["KUBECONFIG"] = str(node.kubeconfig)
        sandbox = ForwardedSandbox(folder, environment, SANDBOX)
        secret = json.loads(node.kubectl("get", "secret", SANDBOX, "-n", OPERATOR_NAMESPACE, "-o", "json").stdout)
        sandbox.client_id, sandbox.client_secret = (
            base64.b64decode(secret["data"][key]).decode() for key in ("client_id", "client_secret")
        )
        stack.callback(sandbox.stop)
        sandbox.start()
        node.kubectl("create", "namespace", NAMESPACE)
        stack.callback(node.kubectl, "delete", "namespace", NAMESPACE, "--wait=false")
        node.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        made = Scene(Tenant(node, NAMESPACE, POOL), sandbox, dsn)
        prepare(made, dsn.replace("127.0.0.1", node.host_address) if REACHED else "")
        stack.callback(made.tenant.pods.kubectl, "delete", "mconn", "--all", "--timeout=60s")
        stack.callback(sandbox.heal)
        yield made


def prepare(scene: Scene, dsn: str) -> None:
    """The database's Secret, the claim, and somebody who reads the volume."""
    pods = scene.tenant.pods
    wait_until(lambda: pods.kubectl("get", "serviceaccount", "default"), 20, "its service account")
    pods.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "history"}, "stringData": {"dsn": dsn}})
    pods.claim("history")
    start_reader(pods, "history")


def purge_job(destination: str) -> Manifest:
    """The manifest of docs/history.md with what is this tenant's put in."""
    page = (Path(images.__file__).parents[2] / "docs/history.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(apiVersion: batch/v1.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    job: Manifest = yaml.safe_load(block.replace("makini-sync:0.1.0", images.SYNC).replace("acme", DATASET))
    job["metadata"]["name"] = f"purge-{destination}"
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["imagePullPolicy"] = "Never"
    login, *others = container["env"]
    if destination == "postgres":
        login["valueFrom"]["secretKeyRef"]["name"] = "history"
        return job
    pod["securityContext"]["fsGroup"] = 65532
    pod["volumes"].append({"name": "history", "persistentVolumeClaim": {"claimName": "history"}})
    container["volumeMounts"].append({"name": "history", "mountPath": "/history"})
    container["env"] = others
    args = container["args"]
    args[args.index("postgres")] = "duckdb"
    container["args"] = [*args, "--duckdb-folder", "/history"]
    return job


def declared(schedule: str) -> list[Manifest]:
    """A sync of all purchase orders for each destination."""
    usual = {"schedule": schedule, "timeZone": "Etc/UTC", "entities": [ENTITY], "window": "all"}
    return [{"name": name, "destination": where} | usual for name, where in DESTINATIONS.items()]


def has_ended(pod: Manifest) -> bool:
    return pod["status"]["phase"] in {"Succeeded", "Failed"}


def end(pod: Manifest) -> Manifest:
    """How the container of a run ended, and its last words."""
    (status,) = pod["status"]["containerStatuses"]
    found: Manifest = status["state"]["terminated"]
    return found
