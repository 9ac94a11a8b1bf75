"""The chart where it will live: installed by the real helm on a real node, with the sandbox on.

The tests share one release and need no order; whatever an uninstall takes away is installed again first.
Connections that must outlive the release are at a Makini of their own: a sandbox that is not the chart's.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import images
from tests.harness.rig import OPERATOR_NAMESPACE, ROOT
from tests.localkube import build
from tests.localkube.waiting import wait_until
from tests.node.pods import CONFINED, Cluster, Manifest, Pods
from tests.tools.helm import CHART, RELEASE, Helm

REPOSITORY, _, TAG = images.OPERATOR.rpartition(":")
VALUES = {
    "image": {"repository": REPOSITORY, "tag": TAG, "pullPolicy": "Never"},
    "sandbox": {"enabled": True},
    "operator": {"accountRelistSeconds": 5},
}
PAGE = ROOT / "docs/install.md"
TENANTS = "chart-tenants"
MANY = 30
MEBIBYTES = 120
KEPT = {
    "customresourcedefinition.apiextensions.k8s.io/creditpools.makini.io",
    "customresourcedefinition.apiextensions.k8s.io/makiniconnections.makini.io",
    "secret/makini-sandbox",
}
LOOK = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/1/status"))
writable = [folder for folder, _, _ in os.walk("/") if os.access(folder, os.W_OK)]
print(json.dumps({"status": status, "writable": writable}))
"""


class Release:
    """The release, and a tenant's namespace beside it."""

    def __init__(self, node: Cluster, helm: Helm) -> None:
        self.node, self.helm = node, helm
        self.tenants = Pods(node, TENANTS)
        self.seconds_to_ready = 0.0

    def install(self) -> None:
        """Install it unless it is there. Definitions that another test applied are taken over."""
        if RELEASE not in self.helm("list", "--short"):
            self.helm("install", RELEASE, str(CHART), "--take-ownership", "--wait", "--timeout=60s", values=VALUES)

    def run_in(self, folder: Path, script: str) -> str:
        """Run a block of a page as its reader; whatever it says."""
        adapted = script.replace(" charts/makini-operator ", " charts/makini-operator -f values.yaml ")
        tools = [str(self.helm.binary.parent), str(build.binary_path().parent), os.environ["PATH"]]
        environment = self.helm.environment() | {"CLIENT_ID": "client", "CLIENT_SECRET": "not-a-real-secret"}
        done = subprocess.run(
            ["timeout", "120", "bash", "-euo", "pipefail", "-c", adapted],
            cwd=folder,
            env=environment | {"PATH": os.pathsep.join(tools)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def account(self, name: str, url: str, credits: int, secret: str) -> Manifest:  # noqa: A002 - the field's name
        spec = {"credits": credits, "account": {"url": url, "credentialsSecretRef": {"name": secret}}}
        return {"apiVersion": "makini.io/v1beta1", "kind": "CreditPool", "metadata": {"name": name}, "spec": spec}

    def connection(self, name: str, pool: str) -> Manifest:
        spec = {
            "poolRef": {"name": pool},
            "system": {"name": "fiix", "deployment": "Cloud"},
            "environment": "Production",
            "customer": {"name": "Acme"},
            "authorization": {"credentials": {"secretRef": {"name": "login"}}},
        }
        return {"apiVersion": "makini.io/v1beta1", "kind": "MakiniConnection", "metadata": {"name": name}, "spec": spec}

    def connections(self) -> dict[str, Manifest]:
        items = json.loads(self.tenants.kubectl("get", "mconn", "-o", "json"))["items"]
        return {item["metadata"]["name"]: item for item in items}

    def until_ready(self, *names: str) -> None:
        def are_ready() -> bool:
            found = self.connections()
            return all(_is_ready(found[name]) for name in names)

        wait_until(are_ready, 30, lambda: self.tenants.kubectl("get", "mconn", "-o", "wide"))

    def kubectl(self, *arguments: str) -> str:
        return self.node.kubectl("-n", OPERATOR_NAMESPACE, *arguments).stdout

    def pod(self) -> Manifest:
        """The operator's only pod, as soon as it is the only one and ready."""
        selector = f"app.kubernetes.io/name=makini-operator,app.kubernetes.io/instance={RELEASE}"

        def found() -> Manifest | None:
            items: list[Manifest] = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
            return items[0] if [_is_ready(item) for item in items] == [True] else None

        return wait_until(found, 30, lambda: self.kubectl("describe", "pods", "-l", selector))

    def look_inside(self) -> Any:
        """The process's own view: /proc/1/status, and the folders that it can write to."""
        python = "/usr/local/bin/python3"
        return json.loads(self.kubectl("exec", self.pod()["metadata"]["name"], "--", python, "-c", LOOK))

    def left(self) -> set[str]:
        """What of the release's objects is there."""
        listed = {"apiVersion": "v1", "kind": "List", "items": self.helm.render(VALUES)}
        arguments = ("get", "--ignore-not-found", "-f", "-", "-o", "name")
        return set(self.node.kubectl(*arguments, input=json.dumps(listed)).stdout.split())

    def opened(self, names: list[str]) -> dict[str, tuple[str, str, str]]:
        """Of each: its id at Makini, when its token was made, and the version of the token's Secret."""
        secrets = json.loads(self.tenants.kubectl("get", "secrets", "-o", "json"))["items"]
        versions = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in secrets}
        states = {name: each["status"] for name, each in self.connections().items() if name in names}
        return {
            name: (status["connectionID"], status["token"]["issuedAt"], versions[status["token"]["secretName"]])
            for name, status in states.items()
        }

    def until_taken_over(self, pool: str, change: Callable[[], object]) -> None:
        """Do something that starts another operator, and wait until that one leads the pool and is ready."""

        def found() -> Manifest:
            return dict(json.loads(self.kubectl("get", "cpool", pool, "-o", "json")))

        def holder() -> Any:
            return found()["status"]["ledger"]["holder"]

        before = holder()
        change()
        wait_until(lambda: holder() != before and _is_ready(found()), 30, lambda: json.dumps(found()["status"]))


def _is_ready(obj: Manifest) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in obj["status"].get("conditions", []))


@pytest.fixture(scope="module")
def release(node: Cluster, helm: Helm) -> Iterator[Release]:
    made = Release(node, helm)
    for name in (OPERATOR_NAMESPACE, TENANTS):
        node.kubectl("create", "namespace", name)
    started = time.monotonic()
    made.install()
    notes = helm("get", "notes", RELEASE)
    pool = yaml.safe_load(notes.partition("<<EOF\n")[2].partition("\n  EOF\n")[0])
    login = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": {"login": "makini"}}
    made.tenants.apply(login, pool, made.connection("first", "try"))
    made.until_ready("first")
    made.seconds_to_ready = time.monotonic() - started
    start_a_makini(made, "lasting")
    yield made
    if made.tenants.kubectl("get", "mconn,cpool", "-o", "name"):
        made.install()
        made.tenants.kubectl("delete", "mconn", "--all", "--timeout=60s")
        made.kubectl("delete", "cpool", "--all", "--timeout=60s")
    helm("uninstall", RELEASE, "--wait", "--ignore-not-found")
    for name in (OPERATOR_NAMESPACE, TENANTS):
        node.kubectl("delete", "namespace", name, "--wait=false")


def start_a_makini(release: Release, name: str) -> None:
    """A sandbox that no release owns, its Service, and the Secret with its credentials."""
    client = {"client_id": name, "client_secret": "not-a-real-secret"}
    environment = [{"name": f"MAKINI_SANDBOX_{key.upper()}", "value": value} for key, value in client.items()]
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8081}]}
    release.tenants.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"makini-{name}"}, "spec": spec},
    )
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"makini-{name}"},
        "stringData": client,
    }
    Pods(release.node, OPERATOR_NAMESPACE).apply(secret)
    container = {"securityContext": CONFINED, "env": environment}
    release.tenants.run(name, "--listen", "0.0.0.0:8081", image=images.SANDBOX, container=container)
    release.tenants.until_ready(name)


@pytest.fixture
def many(release: Release) -> list[str]:
    """Thirty connections that do not depend on the release."""
    release.install()
    release.tenants.apply(release.account("lasting", f"http://makini-lasting.{TENANTS}.svc", MANY, "makini-lasting"))
    names = [f"lasting-{number}" for number in range(MANY)]
    if missing := sorted(set(names) - set(release.connections())):
        release.tenants.apply(*(release.connection(name, "lasting") for name in missing))
    release.until_ready(*names)
    return names


def test_half_a_minute_after_the_install_a_connection_is_ready(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\nhelm install to a Ready connection: {release.seconds_to_ready:.1f} s")  # noqa: T201 - measured
    assert release.seconds_to_ready < 30


def test_the_pod_has_no_privilege_and_answers_its_probes(release: Release) -> None:
    release.install()
    pod = release.pod()
    seen = release.look_inside()
    status = {key: value.split() for key, value in seen["status"].items()}
    assert status["Uid"] == ["65532"] * 4
    assert {int(value[0], 16) for key, value in status.items() if key.startswith("Cap")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == (["1"], ["2"])
    kernels = ("/proc", "/dev", "/sys")
    assert [folder for folder in seen["writable"] if not folder.startswith(kernels)] == ["/tmp"]  # noqa: S108
    (container,) = pod["status"]["containerStatuses"]
    assert container["restartCount"] == 0
    proxy = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod['metadata']['name']}"
    assert release.node.kubectl("get", "--raw", f"{proxy}:8080/proxy/healthz").stdout == "ok\n"
    assert "makini_pool_credits" in release.node.kubectl("get", "--raw", f"{proxy}:9090/proxy/metrics").stdout


def test_thirty_connections_fit_into_120_mebibytes(
    release: Release, many: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status = release.look_inside()["status"]
    peak = int(status["VmHWM"].split()[0]) / 1024
    with capsys.disabled():
        print(f"\nthe operator's memory with {len(many)} connections: at most {peak:.0f} MiB")  # noqa: T201 - measured
    assert peak < MEBIBYTES


def test_an_upgrade_keeps_connections_and_tokens(release: Release, many: list[str]) -> None:
    before = release.opened(many)
    changed = VALUES | {"operator": {"accountRelistSeconds": 5, "workers": 3, "logLevel": "debug"}}
    upgrade = ("upgrade", RELEASE, str(CHART), "--wait", "--timeout=60s")
    release.until_taken_over("lasting", lambda: release.helm(*upgrade, values=changed))
    assert {"--workers=3", "--log-level=debug"} <= set(release.pod()["spec"]["containers"][0]["args"])
    assert release.opened(many) == before


def test_uninstall_refuses_while_a_connection_is_open_and_nothing_has_happened(
    release: Release, many: list[str]
) -> None:
    before, objects = release.opened(many), release.left()
    refused = release.helm.run("uninstall", RELEASE)
    assert refused.returncode == 1
    for words in (
        "Not uninstalled: the operator is still needed by",
        f"{TENANTS}/lasting-1: connection",
        "kubectl delete mconn -A --all",
        "helm uninstall --no-hooks",
        "To keep the operator: helm rollback",
    ):
        assert words in refused.stderr, refused.stderr
    assert "Traceback" not in refused.stderr
    assert release.left() - objects == {f"job.batch/{RELEASE}-uninstall"}
    release.helm("rollback", RELEASE, "--wait")
    assert "STATUS: deployed" in release.helm("status", RELEASE)
    release.pod()
    assert release.opened(many) == before


def test_uninstalled_all_the_same_and_installed_again_everything_goes_on(release: Release, many: list[str]) -> None:
    def again() -> None:
        release.helm("uninstall", RELEASE, "--no-hooks", "--wait")
        release.install()

    before = release.opened(many)
    release.until_taken_over("lasting", again)
    assert release.opened(many) == before
    release.tenants.apply(release.connection("second", "try"))  # at the chart's sandbox, with the kept credentials
    release.until_ready("second")


def test_after_its_namespace_was_deleted_the_backup_and_an_install_are_enough(
    release: Release, many: list[str]
) -> None:
    kept = ("makini-installation", "makini-lasting", "makini-sandbox")
    backup = [release.kubectl("get", "secret", name, "-o", "yaml") for name in kept]

    def again() -> None:
        release.node.kubectl("delete", "namespace", OPERATOR_NAMESPACE, "--timeout=60s")
        release.node.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        for secret in backup:
            release.node.kubectl("apply", "-f", "-", input=secret)
        release.install()

    before = release.opened(many)
    release.until_taken_over("lasting", again)
    assert release.opened(many) == before


def test_the_commands_of_the_page_work_and_leave_what_it_says(release: Release, tmp_path: Path) -> None:
    """Every block of docs/install.md, in order, with the image and the sandbox of the tests."""
    release.helm("uninstall", RELEASE, "--no-hooks", "--wait")
    release.node.kubectl("create", "namespace", "integrations")
    try:
        for name in ("charts", "examples"):
            (tmp_path / name).symlink_to(ROOT / name)
        (tmp_path / "values.yaml").write_text(json.dumps(VALUES))
        said = ""
        for block in re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
            said += release.run_in(tmp_path, block)
        for words in (
            "STATUS: deployed",
            "secret/makini-account created",
            "creditpool.makini.io/production created",
            "rolebinding.rbac.authorization.k8s.io/developers created",
            "has been upgraded",
            f'makiniconnection.makini.io "first" deleted from {TENANTS} namespace',
            'creditpool.makini.io "production" deleted',
            f'release "{RELEASE}" uninstalled',
        ):
            assert words in said, said
    finally:
        release.node.kubectl("delete", "namespace", "integrations", "--wait=false")
    assert release.left() == KEPT
    names = set(release.kubectl("get", "secrets,jobs", "-o", "name").split())
    assert names == {f"secret/makini-{name}" for name in ("installation", "sandbox", "account", "lasting")}
