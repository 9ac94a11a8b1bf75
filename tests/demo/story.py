"""The steps of the demo without pods, in order, and what every demo needs. Each is one screen at most."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

from tests.demo.stage import NAMESPACE, Stage
from tests.harness import OPERATOR_NAMESPACE
from tests.localkube.waiting import wait_until

SETTLE_SECONDS = 20
READ_AN_ORDER = "python3 {examples}/read_order.py po-001"
HISTORY = "--destination duckdb --duckdb-folder $HISTORY --dataset borealis"


Step = Callable[[Stage], None]


def play(stage: Stage, steps: Sequence[Step]) -> None:
    """The whole story; raises `Unexpected` at the first thing that is not so."""
    for number, step in enumerate(steps, start=1):
        stage.screen.title(f"{number}/{len(steps)}  {(step.__doc__ or '').rstrip('.')}")
        step(stage)


def a_pool(stage: Stage) -> None:
    """A platform admin declares a pool of 12 credits."""
    examples = stage.examples
    stage.run(f"kubectl apply -f {examples}/01-namespace.yaml -f {examples}/03-login-secrets.yaml")
    stage.run(f"kubectl config set-context --current --namespace {NAMESPACE}")
    stage.run(
        r"printf 'client_id=%s\nclient_secret=%s\n' "
        '"$CLIENT_ID" "$CLIENT_SECRET" |\n'
        f"    kubectl create secret generic makini-account -n {OPERATOR_NAMESPACE} --from-env-file=/dev/stdin"
    )
    stage.screen.note("the one thing that differs from the example: the account is in the sandbox")
    url = stage.sandbox.url
    stage.run(f"sed 's|https://api.makini.io|{url}|' {examples}/02-credit-pool.yaml | kubectl apply -f -")
    until_the_pool_is_ready(stage)


def until_the_pool_is_ready(stage: Stage) -> None:
    stage.run("kubectl wait --for=condition=Ready cpool/production --timeout=20s")
    stage.run("kubectl get cpool")
    stage.check("the pool is ready, and all of its 12 credits are available", expected=(12, 0, 12), seen=books(stage))


def two_systems(stage: Stage) -> None:
    """Two customers are connected: SAP S/4HANA in the cloud (4), SAP ECC on-premises (8)."""
    examples = stage.examples
    stage.run(f"kubectl apply -f {examples}/04-sap-s4hana-cloud.yaml \\\n    -f {examples}/05-sap-ecc-on-premises.yaml")
    until_two_are_connected(stage)


def until_two_are_connected(stage: Stage) -> None:
    stage.run("kubectl wait --for=condition=Ready mconn --all --timeout=20s")
    stage.run("kubectl get cpool,mconn")
    costs = [credits_of(stage, name) for name in ("acme-s4hana", "borealis-ecc")]
    stage.check("cloud SAP costs 4 credits and on-premises SAP 8", expected=[4, 8], seen=costs)
    stage.check("12 credits are held, and Makini has 2 connections", expected=(12, 2), seen=held_and_open(stage))


def a_third_waits(stage: Stage) -> None:
    """A third customer, a small cloud CMMS (1), has to wait, and says why."""
    stage.run(f"kubectl apply -f {stage.examples}/06-cloud-cmms.yaml")
    stage.run("kubectl wait --for=jsonpath='{.status.phase}'=Waiting mconn/corvus-cmms --timeout=20s")
    stage.run("kubectl get mconn corvus-cmms -o wide")
    stage.run("kubectl get cpool")
    waiting = connection(stage, "corvus-cmms")["status"].get("waiting", {})
    seen = (waiting.get("need"), waiting.get("available"))
    stage.check("it waits: 1 credit is needed, 0 are available", expected=(1, 0), seen=seen)
    stage.check("nothing was opened for it at Makini", expected=(12, 2), seen=held_and_open(stage))


def an_application_reads(stage: Stage) -> None:
    """An application reads a purchase order with the token from the Secret."""
    read_secret(stage, "borealis-ecc")
    order = stage.run(READ_AN_ORDER.format(examples=stage.examples))
    stage.check("the token opens that customer's data", expected="PO-2026-0001", seen=order.split()[0])


def orders_are_copied(stage: Stage) -> None:
    """With the same token its orders are copied into a DuckDB file, as a sync in the cluster would do it."""
    stage.run(
        "makini-operator sync --entity erp/purchase-orders --window all --url $MAKINI_URL --connection-id borealis \\\n"
        f"    {HISTORY} 2>$HISTORY.log"
    )
    rows = rows_of(stage.run(f"makini-operator history show {HISTORY}"))
    served = orders_served(stage)
    stage.check(f"every order is there: {served}", expected=served, seen=rows["erp_purchase_orders"])


def a_customer_leaves(stage: Stage) -> None:
    """The ECC customer leaves: the token dies, the credits return, and the next in line is connected."""
    stage.run("kubectl delete mconn borealis-ecc")
    until_the_next_is_connected(stage)
    rows = rows_of(stage.run(f"makini-operator history show {HISTORY}"))
    stage.check("the copied orders are still there", expected=orders_served(stage), seen=rows["erp_purchase_orders"])


def until_the_next_is_connected(stage: Stage) -> None:
    answer = stage.run(READ_AN_ORDER.format(examples=stage.examples), exit_code=1)
    stage.check("the copy of the token that the application kept is dead", expected="401", seen=answer.split()[0])
    stage.check("its Secret is gone", expected=False, seen="borealis-ecc-makini" in secret_names(stage))
    stage.run("kubectl wait --for=condition=Ready mconn/corvus-cmms --timeout=20s")
    wait_until(lambda: books(stage)[1] == 5, SETTLE_SECONDS, lambda: f"5 credits held; the pool says {books(stage)}")
    stage.run("kubectl get cpool,mconn")
    stage.check("8 credits came back, and 1 of them is the CMMS's", expected=(12, 5, 7), seen=books(stage))


def off_and_on_again(stage: Stage) -> None:
    """Off and on again by editing YAML: a new connection with a new token."""
    before = connection(stage, "corvus-cmms")["status"]["connectionID"]
    old = read_secret(stage, "corvus-cmms")
    file = f"{stage.examples}/06-cloud-cmms.yaml"
    stage.run(f"sed 's/connected: true/connected: false/' {file} | kubectl apply -f -")
    stage.run("kubectl wait --for=jsonpath='{.status.phase}'=Disconnected mconn/corvus-cmms --timeout=20s")
    answer = stage.run(READ_AN_ORDER.format(examples=stage.examples), exit_code=1)
    stage.check("off: the token is dead", expected="401", seen=answer.split()[0])
    stage.run(f"kubectl apply -f {file}")
    stage.run("kubectl wait --for=condition=Ready mconn/corvus-cmms --timeout=20s")
    stage.run("kubectl events --for mconn/corvus-cmms")
    status = connection(stage, "corvus-cmms")["status"]
    is_new = status["connectionID"] != before
    stage.check(f"on: {before} became {status['connectionID']}", expected=True, seen=is_new)
    ended = [entry["connectionID"] for entry in status["history"]]
    stage.check("status.history remembers the old one", expected=[before], seen=ended)
    new = token_of(stage, "corvus-cmms")
    accepted = (stage.sandbox.accepts(old), stage.sandbox.accepts(new))
    stage.check("the new token works, and the old one stays dead", expected=(False, True), seen=accepted)


STEPS: Sequence[Step] = (
    a_pool,
    two_systems,
    a_third_waits,
    an_application_reads,
    orders_are_copied,
    a_customer_leaves,
    off_and_on_again,
)


# --- looking --------------------------------------------------------------------------------------------------------


def read_secret(stage: Stage, name: str) -> str:
    """Put the token of a connection, and its URL, into the environment, where the application looks."""
    template = "kubectl get secret {0}-makini -o go-template='{{{{.data.{1} | base64decode}}}}'"
    if "MAKINI_URL" not in stage.environment:
        stage.export("MAKINI_URL", template.format(name, "url"))
    return stage.export("MAKINI_TOKEN", template.format(name, "token"))


def orders_served(stage: Stage) -> int:
    """How many purchase orders Makini has for a customer that is connected; all have the same in the sandbox."""
    token = token_of(stage, "acme-s4hana")
    return stage.sandbox.call("GET", "/api/erp/purchase-orders", token=token)[1]["meta"]["total"]


def rows_of(shown: str) -> dict[str, int]:
    """Tables and rows, from what `history show` says."""
    return {table: int(count) for table, count in (line.split("\t") for line in shown.splitlines())}


def books(stage: Stage) -> tuple[int, int, int]:
    """The pool's credits: total, held, available."""
    credits_ = stage.get("/apis/makini.io/v1beta1/creditpools/production")["status"]["credits"]
    return credits_["total"], credits_["held"], credits_["available"]


def held_and_open(stage: Stage) -> tuple[int, int]:
    """Credits held in the pool, and connections open at Makini."""
    return books(stage)[1], len(stage.sandbox.connections())


def connection(stage: Stage, name: str) -> dict[str, Any]:
    return stage.get(f"/apis/makini.io/v1beta1/namespaces/{NAMESPACE}/makiniconnections/{name}")


def credits_of(stage: Stage, name: str) -> int:
    return connection(stage, name)["status"]["credits"]["amount"]


def secret_names(stage: Stage) -> set[str]:
    return {item["metadata"]["name"] for item in stage.get(f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"]}


def token_of(stage: Stage, name: str) -> str:
    secret = stage.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}-makini")
    return base64.b64decode(secret["data"]["token"]).decode()
