"""The command lines and settings of a node, as data: what lets kubelet and containerd run where they else would not.

Settings that look odd and are needed:

* cgroups of version 1, made by nobody but us: `failCgroupV1`, `cgroupDriver`, `cgroupRoot`,
  and containerd without systemd.
* No CAP_SYS_RESOURCE: the gate `KubeletInUserNamespace`, and `restrict_oom_score_adj`.
* A changed Secret shall be in the pod's volume soon: `syncFrequency`.
* No image can be pulled, so none is ever thrown away: `imageGC...`.
"""

import json
from pathlib import Path

from tests import images
from tests.localkube import components as control_plane
from tests.localnode import requirements
from tests.localnode.layout import Node

SOCKET = Path("/run/node/containerd.sock")
DNS_READY_PORT = 8181
FIRST = ("containerd", "etcd", "kube-apiserver")
"""What the others need before they start."""

_HEALTH_ADDRESS = "127.0.0.1"


def commands(node: Node, localkube: Path, localnode: Path, coredns: Path) -> dict[str, list[str]]:
    """The command line of each component, in the order of starting."""
    layout = node.control_plane
    kubernetes = {
        localkube: [control_plane.etcd(layout), _apiserver(node), _controller_manager(node)],
        localnode: [_scheduler(node), _kubelet(node), _proxy(node)],
    }
    started = {"containerd": [requirements.path_of("containerd"), f"--config={node.directory / 'containerd.toml'}"]}
    for binary, lines in kubernetes.items():
        started |= {line[0]: [str(binary), *line] for line in lines}
    return started | {"coredns": [str(coredns), "-conf", str(node.directory / "Corefile")]}


def write_files(node: Node) -> None:
    """Writes what the command lines refer to, except the certificates."""
    control_plane.write_files(node.control_plane, "scheduler", "kubelet", "proxy", "dns")
    network = node.directory / "network"
    network.mkdir()
    for path, content in (
        (node.directory / "kubelet.json", _kubelet_settings(node)),
        (node.directory / "proxy.json", _proxy_settings(node)),
        (network / "10-node.conflist", _network(node)),
    ):
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    (node.directory / "containerd.toml").write_text(_containerd_settings(node), encoding="utf-8")
    (node.directory / "Corefile").write_text(_names(node), encoding="utf-8")


def _apiserver(node: Node) -> list[str]:
    """As without a node, but reachable from pods and able to reach the kubelet. A flag given twice counts as last."""
    pki = node.control_plane.pki
    return [
        *control_plane.apiserver(node.control_plane),
        f"--advertise-address={node.address}",
        "--endpoint-reconciler-type=lease",
        "--enable-admission-plugins=NodeRestriction",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver.crt'}",
        f"--kubelet-client-key={pki / 'apiserver.key'}",
    ]


def _controller_manager(node: Node) -> list[str]:
    return control_plane.controller_manager(node.control_plane, node=True)


def _scheduler(node: Node) -> list[str]:
    kubeconfig = node.directory / "scheduler.kubeconfig"
    return ["kube-scheduler", f"--kubeconfig={kubeconfig}", "--secure-port=0", "--leader-elect=false"]


def _kubelet(node: Node) -> list[str]:
    return [
        "kubelet",
        f"--config={node.directory / 'kubelet.json'}",
        f"--kubeconfig={node.directory / 'kubelet.kubeconfig'}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
    ]


def _proxy(node: Node) -> list[str]:
    return ["kube-proxy", f"--config={node.directory / 'proxy.json'}", f"--hostname-override={node.name}"]


def _kubelet_settings(node: Node) -> dict[str, object]:
    pki = node.control_plane.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "address": node.address,
        "port": 10250,
        "readOnlyPort": 0,
        "healthzBindAddress": _HEALTH_ADDRESS,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "imageServiceEndpoint": f"unix://{SOCKET}",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.name}",
        "enforceNodeAllocatable": [],
        "featureGates": {"KubeletInUserNamespace": True},
        "oomScoreAdj": 0,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "resolvConf": "",
        "clusterDNS": [node.address],
        "clusterDomain": "cluster.local",
        "syncFrequency": "2s",
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
    }


def _proxy_settings(node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(node.directory / "proxy.kubeconfig")},
        "clusterCIDR": node.pod_network,
        "bindAddress": node.address,
        "healthzBindAddress": f"{_HEALTH_ADDRESS}:10256",
        "metricsBindAddress": f"{_HEALTH_ADDRESS}:10249",
        # Connection tracking is the kernel's, so the host's: leave it alone.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _network(node: Node) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "dataDir": "/run/node/addresses",
        "ranges": [[{"subnet": node.pod_network}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "1.0.0", "name": "node", "plugins": [bridge]}


def _containerd_settings(node: Node) -> str:
    data = node.directory / "containerd"
    # A JSON string is a TOML string too.
    root, extra, network, plugins, runc = map(
        json.dumps,
        map(
            str, (data, data / "opt", node.directory / "network", requirements.plugins(), requirements.path_of("runc"))
        ),
    )
    return f"""version = 2
root = {root}
state = "/run/node/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = {extra}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE}"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  enable_tls_streaming = false
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {plugins}
    conf_dir = {network}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = {runc}
"""


def _names(node: Node) -> str:
    return f""".:53 {{
    bind {node.address}
    errors
    ready {node.address}:{DNS_READY_PORT}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig "{node.directory / "dns.kubeconfig"}" localkube
        ttl 5
    }}
    cache 5
}}
"""
