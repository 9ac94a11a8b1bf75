"""The demo with pods: the chart is installed, a sync and a workflow run, the disconnect ends them, and the rows stay.

It plays on a node of its own; or, with MAKINI_NODE_KUBECONFIG, on a cluster that is there
and has the images, such as kind's. There it refuses to start beside another installation,
and takes away what it made, except the definitions, which the chart keeps.
"""

import base64
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import images
from tests.demo.screen import Screen
from tests.demo.stage import NAMESPACE, Stage, Unexpected
from tests.demo.story import (
    Step,
    a_third_waits,
    an_application_reads,
    orders_served,
    rows_of,
    until_the_next_is_connected,
    until_the_pool_is_ready,
    until_two_are_connected,
)
from tests.harness import OPERATOR_NAMESPACE
from tests.harness.forwarded import ForwardedSandbox
from tests.localkube import build
from tests.localkube.waiting import wait_until
from tests.localnode import LocalNode, programs
from tests.tools.helm import RELEASE, Helm
from tests.tools.helm import program as helm_program

EXISTING = "MAKINI_NODE_KUBECONFIG"
SANDBOX = "makini-sandbox"
BOREALIS = "tests/demo/borealis-with-pods.yaml"
COUNT_ROWS = "tests/demo/count-rows.yaml"
OF_BOREALIS = "-l makini.io/connection=borealis-ecc"
OF_THE_WORKFLOW = "-l makini.io/workflow=read-order"
START_SECONDS = 30
GONE_SECONDS = 5


@contextmanager
def opened(directory: Path, screen: Screen, examples: str) -> Iterator[Stage]:
    """Cluster, chart and sandbox; afterwards everything ended."""
    helm = helm_program().ensure()
    with ExitStack() as stack:
        existing = os.environ.get(EXISTING)
        kubeconfig = directory / "kubeconfig"
        environment = Helm(helm, directory / "helm", kubeconfig).environment() | {
            "KUBECACHEDIR": str(directory / "kubectl-cache"),
            "KUBERC": "off",
            "PATH": os.pathsep.join([str(helm.parent), str(build.ensure().parent), os.environ["PATH"]]),
        }
        if existing:
            shutil.copyfile(existing, kubeconfig)
            screen.say(f"Kubernetes: the cluster of {EXISTING}")
        else:
            node = stack.enter_context(_own_node(directory / "node", screen))
            shutil.copyfile(node.kubeconfig, kubeconfig)
            environment["NO_PROXY"] = node.environment()["NO_PROXY"]
        sandbox = ForwardedSandbox(directory, environment, SANDBOX)
        operator_log = f"kubectl logs -n {OPERATOR_NAMESPACE} deployment/{RELEASE} --tail=500"
        stage = Stage(environment, sandbox, screen, examples, lambda: stage.ask(operator_log))
        if existing:
            _refuse_company(stage)
            stack.callback(_take_away, stage)
        stack.callback(sandbox.stop)
        yield stage


@contextmanager
def _own_node(directory: Path, screen: Screen) -> Iterator[LocalNode]:
    programs.ensure()
    with screen.timed("images: operator, sandbox and syncs, built without a container engine"):
        archives = [images.operator(), images.sync()]
    with ExitStack() as stack:
        with screen.timed("Kubernetes: a node of its own, which runs pods"):
            node = stack.enter_context(LocalNode.start(directory))
        with screen.timed("images: into the node"):
            for archive in archives:
                node.load_image(archive)
        yield node


def _refuse_company(stage: Stage) -> None:
    ours = f"ns/{NAMESPACE} ns/{OPERATOR_NAMESPACE} clusterrole/{RELEASE}"
    if found := stage.ask(f"kubectl get {ours} --ignore-not-found -o name").split():
        raise Unexpected("the demo needs a cluster in which no operator is installed", expected=[], seen=found)


def _take_away(stage: Stage) -> None:
    """As docs/install.md says, so that nothing is stranded."""
    for command in (
        f"kubectl delete mconn --all -n {NAMESPACE} --ignore-not-found --timeout=50s",
        "kubectl delete cpool production --ignore-not-found --timeout=50s",
        f"helm uninstall {RELEASE} -n {OPERATOR_NAMESPACE} --ignore-not-found --wait --timeout=50s",
        f"kubectl delete namespace {NAMESPACE} {OPERATOR_NAMESPACE} --ignore-not-found --timeout=50s",
    ):
        try:
            stage.ask(command)
        except Unexpected as left:
            stage.screen.failure(f"not taken away: {left.what}: {left.seen}")


def the_chart(stage: Stage) -> None:
    """Helm installs the operator, and a sandbox that plays Makini."""
    repository, _, tag = images.OPERATOR.rpartition(":")
    of_syncs, _, tag_of_syncs = images.SYNC.rpartition(":")
    take_over = "--take-ownership " if os.environ.get(EXISTING) else ""  # of definitions that an earlier release left
    stage.run(
        f"helm install {RELEASE} charts/makini-operator --namespace {OPERATOR_NAMESPACE} --create-namespace \\\n"
        f"    --set image.repository={repository},image.tag={tag},sandbox.enabled=true \\\n"
        f"    --set sync.image.repository={of_syncs},sync.image.tag={tag_of_syncs} \\\n"
        f"    {take_over}--hide-notes --wait --timeout 55s"
    )
    stage.run(f"kubectl get pods -n {OPERATOR_NAMESPACE}")
    pods = stage.get(f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods")["items"]
    phases = [pod["status"]["phase"] for pod in pods]
    stage.check("operator and sandbox run as pods", expected=["Running", "Running"], seen=phases)
    _reach_sandbox(stage)


def _reach_sandbox(stage: Stage) -> None:
    secret = stage.get(f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets/{SANDBOX}")["data"]
    stage.sandbox.client_id = base64.b64decode(secret["client_id"]).decode()
    stage.sandbox.client_secret = base64.b64decode(secret["client_secret"]).decode()
    stage.sandbox.start()
    stage.environment["MAKINI_URL"] = stage.sandbox.url
    stage.screen.note(f"this computer reaches the sandbox at {stage.sandbox.url} (kubectl port-forward)")


def a_pool(stage: Stage) -> None:
    """A platform admin declares a pool of 12 credits."""
    examples = stage.examples
    stage.run(f"kubectl apply -f {examples}/01-namespace.yaml -f {examples}/03-login-secrets.yaml")
    stage.run(f"kubectl label namespace {NAMESPACE} pod-security.kubernetes.io/enforce=restricted")
    stage.run(f"kubectl config set-context --current --namespace {NAMESPACE}")
    stage.screen.note("what differs from the example: the account is in the sandbox")
    stage.run(
        f"sed 's|https://api.makini.io|http://{SANDBOX}.{OPERATOR_NAMESPACE}.svc|; s|makini-account|{SANDBOX}|' \\\n"
        f"    {examples}/02-credit-pool.yaml | kubectl apply -f -"
    )
    until_the_pool_is_ready(stage)


def two_systems(stage: Stage) -> None:
    """Two customers are connected; the second (SAP ECC) with a nightly sync, and a workflow that is due each minute."""
    stage.run(f"kubectl apply -f {stage.examples}/04-sap-s4hana-cloud.yaml \\\n    -f {BOREALIS}")
    until_two_are_connected(stage)
    stage.run("kubectl get cronjobs")
    stage.run("kubectl get secret borealis-ecc-makini -o go-template='{{range $key, $_ := .data}}{{$key}} {{end}}'")


def a_sync_copies_orders(stage: Stage) -> None:
    """The sync is asked to run now: the customer's orders are copied into a DuckDB file on a volume."""
    stage.run('kubectl annotate mconn borealis-ecc makini.io/sync-requested-at="$(date -u +%FT%TZ)"')
    stage.run("kubectl wait --for=jsonpath='{.status.syncs[0].lastResult}'=Succeeded mconn/borealis-ecc --timeout=90s")
    stage.run("kubectl get mconn borealis-ecc -o jsonpath='{.status.syncs[0]}'")
    stage.run(f"kubectl apply -f {COUNT_ROWS}")
    check_rows(stage, "the volume has every order that Makini serves")


def check_rows(stage: Stage, what: str) -> None:
    """Show what a pod that sees the volume says of it, and compare."""
    stage.run("kubectl wait --for=jsonpath='{.status.phase}'=Succeeded pod/count-rows --timeout=60s")
    rows = rows_of(stage.run("kubectl logs count-rows"))
    stage.check(f"{what}: {orders_served(stage)}", expected=orders_served(stage), seen=rows["erp_purchase_orders"])


def a_workflow_runs(stage: Stage) -> None:
    """The workflow is due: its pod calls Makini with the token that is mounted in it."""
    stage.screen.note("that is at the next full minute")
    stage.run(f"kubectl wait --for=jsonpath='{{.status.lastScheduleTime}}' cronjob {OF_THE_WORKFLOW} --timeout=90s")
    _until(stage, lambda: "Running" in stage.ask(f"kubectl get pods {OF_THE_WORKFLOW}"), "the pod to run")
    _until(stage, lambda: stage.ask(f"kubectl logs {OF_THE_WORKFLOW} --tail=1"), "a line in the pod's log")
    stage.run(f"kubectl get cronjobs,jobs,pods {OF_THE_WORKFLOW}")
    line = stage.run(f"kubectl logs {OF_THE_WORKFLOW} --tail=1")
    stage.check("Makini answered the workflow", expected=["200", "PO-2026-0001"], seen=line.split()[:2])


def a_customer_leaves(stage: Stage) -> None:
    """The ECC customer leaves: the pod ends, the token dies, and the next in line is connected."""
    (pod,) = stage.ask(f"kubectl get pods {OF_THE_WORKFLOW} -o name").split()
    started = time.monotonic()
    stage.run("kubectl delete mconn borealis-ecc --wait=false")
    stage.run(f"kubectl wait --for=delete {pod} --timeout=30s")
    seconds = time.monotonic() - started
    what = f"the pod is gone within {GONE_SECONDS} s of the disconnect: after {seconds:.1f} s"
    stage.check(what, expected=True, seen=seconds < GONE_SECONDS)
    stage.run("kubectl wait --for=delete mconn/borealis-ecc --timeout=30s")
    left = stage.ask(f"kubectl get cronjobs,jobs,pods {OF_BOREALIS} -o name").split()
    stage.check("CronJob, Job and pods are gone", expected=[], seen=left)
    until_the_next_is_connected(stage)


def history_stays(stage: Stage) -> None:
    """What was synced from that customer is still there."""
    stage.run("kubectl get pvc history")
    stage.run(f"kubectl replace --force -f {COUNT_ROWS}")
    check_rows(stage, "the volume has every order as before")


STEPS: Sequence[Step] = (
    the_chart,
    a_pool,
    two_systems,
    a_third_waits,
    an_application_reads,
    a_sync_copies_orders,
    a_workflow_runs,
    a_customer_leaves,
    history_stays,
)


def _until(stage: Stage, predicate: Callable[[], object], what: str) -> None:
    wait_until(predicate, START_SECONDS, lambda: f"{what}\n{stage.ask('kubectl get pods; kubectl get events')}")
