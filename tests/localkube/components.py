"""The command lines of etcd, kube-apiserver and kube-controller-manager.

Why: everything that makes this control plane what it is stands here as data: loopback
only, TLS verified everywhere, RBAC as in a real cluster, an audit log of every write.
Nothing here starts a process. With a node (`tests.localnode`), the API server listens at
the node's address instead.
"""

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"

# The API server insists on an address that is not loopback and publishes it as the endpoint of the
# `kubernetes` service. Nobody is to connect there, so it is one reserved for documentation, and the
# reconciler that would publish it is off.
_ADVERTISED = "192.0.2.1"

# These need a cloud or a node and would only log errors here.
_OFF_WITHOUT_CLOUD = (
    "cloud-node-lifecycle-controller",
    "node-ipam-controller",
    "node-route-controller",
    "service-lb-controller",
)
_OFF_WITHOUT_NODE = (
    "node-lifecycle-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-expander-controller",
)

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {
            "level": "None",
            "resources": [
                {"group": "", "resources": ["events"]},
                {"group": "events.k8s.io", "resources": ["events"]},
                {"group": "coordination.k8s.io", "resources": ["leases"]},
            ],
        },
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True)
class Layout:
    """Where everything of one control plane lies, on which ports it listens, and at which address clients reach it."""

    directory: Path
    etcd_port: int
    etcd_peer_port: int
    api_port: int
    host: str = field(default=HOST, kw_only=True)

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    def log(self, component: str) -> Path:
        return self.directory / "logs" / f"{component}.log"


def etcd(at: Layout) -> list[str]:
    """One member in the state folder, fast because its data need not survive a power cut."""
    client, peer = f"https://{HOST}:{at.etcd_port}", f"https://{HOST}:{at.etcd_peer_port}"
    ca, cert, key = at.pki / "ca.crt", at.pki / "etcd.crt", at.pki / "etcd.key"
    return [
        "etcd",
        "--name=localkube",
        f"--data-dir={at.directory / 'etcd'}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=localkube={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={ca}",
        f"--cert-file={cert}",
        f"--key-file={key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={ca}",
        f"--peer-cert-file={cert}",
        f"--peer-key-file={key}",
    ]


def apiserver(at: Layout) -> list[str]:
    """The API server with the admission plugins, policies and authorization of a real cluster."""
    cert, key = at.pki / "apiserver.crt", at.pki / "apiserver.key"
    return [
        "kube-apiserver",
        f"--bind-address={at.host}",
        f"--secure-port={at.api_port}",
        f"--advertise-address={_ADVERTISED}",
        "--endpoint-reconciler-type=none",
        f"--etcd-servers=https://{HOST}:{at.etcd_port}",
        f"--etcd-cafile={at.pki / 'ca.crt'}",
        f"--etcd-certfile={cert}",
        f"--etcd-keyfile={key}",
        f"--cert-dir={at.pki}",
        f"--tls-cert-file={cert}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={at.pki / 'ca.crt'}",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={at.pki / 'sa.pub'}",
        f"--service-account-signing-key-file={at.pki / 'sa.key'}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged=true",
        f"--audit-policy-file={at.directory / 'audit-policy.json'}",
        f"--audit-log-path={at.audit_log}",
        "--audit-log-maxsize=4096",  # megabytes: a rotated file would lose entries from a count
    ]


def controller_manager(at: Layout, *, node: bool = False) -> list[str]:
    """Namespaces, garbage collection, service accounts, Jobs and the rest; with a node, also what looks after it."""
    off = sorted({*_OFF_WITHOUT_CLOUD, *(() if node else _OFF_WITHOUT_NODE)})
    return [
        "kube-controller-manager",
        f"--kubeconfig={at.directory / 'controller-manager.kubeconfig'}",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={at.pki / 'ca.crt'}",
        f"--service-account-private-key-file={at.pki / 'sa.key'}",
        f"--controllers={','.join(['*', *(f'-{name}' for name in off)])}",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]


def write_files(at: Layout, *components: str) -> None:
    """Writes what the command lines refer to, except the certificates.

    Args:
        at: where; its certificates are there already.
        components: further ones that get a kubeconfig, by the name of their certificate.
    """
    at.log("any").parent.mkdir(exist_ok=True)
    (at.directory / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY), encoding="utf-8")
    for path, identity in (
        (at.kubeconfig, "admin"),
        *((at.directory / f"{name}.kubeconfig", name) for name in ("controller-manager", *components)),
    ):
        path.touch(mode=0o600)  # clients warn about a key that others can read
        path.write_text(_kubeconfig(at, identity), encoding="utf-8")


def _kubeconfig(at: Layout, identity: str) -> str:
    """A kubeconfig that carries its certificates, so it can be copied anywhere. JSON is YAML."""

    def encoded(file: str) -> str:
        return base64.b64encode((at.pki / file).read_bytes()).decode()

    server = {"server": f"https://{at.host}:{at.api_port}", "certificate-authority-data": encoded("ca.crt")}
    user = {"client-certificate-data": encoded(f"{identity}.crt"), "client-key-data": encoded(f"{identity}.key")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "localkube", "cluster": server}],
        "users": [{"name": identity, "user": user}],
        "contexts": [{"name": "localkube", "context": {"cluster": "localkube", "user": identity}}],
        "current-context": "localkube",
    }
    return json.dumps(config, indent=1)
