"""Workflows on the real API server: CronJobs that follow the spec, are tried out first, and end with the connection."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cluster.fixtures_operator import Manifest, World, condition
from tests.harness.rig import OPERATOR_USER, Rig

from makini_operator.manifests.workflow import workflow_name
from makini_operator.resources.connection import MakiniConnection

CONTROLLER = "system:serviceaccount:kube-system:cronjob-controller"
JOB_CONTROLLER = "system:serviceaccount:kube-system:job-controller"

POD_WITHOUT_POLICY = {"containers": [{"name": "main", "image": "reorder:1"}]}


def work(image: str = "reorder:1", **pod: Any) -> Manifest:
    container = {"name": "main", "image": image}
    return {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]} | pod}}}


def posing() -> Manifest:
    """A template whose pods would pass for those of a sync."""
    pod = work()["spec"]["template"]
    return {"spec": {"template": pod | {"metadata": {"labels": {"makini.io/sync": "orders"}}}}}


def workflow(name: str = "orders", template: Manifest | None = None, **more: Any) -> Manifest:
    return {"name": name, "schedule": "0 0 1 1 *", "jobTemplate": template or work()} | more


def listed(world: World, kinds: str, name: str = "acme") -> list[Manifest]:
    found = world.rig.get(kinds, "-n", world.namespace, "-l", f"makini.io/connection={name}")["items"]
    return [obj for obj in found if "deletionTimestamp" not in obj["metadata"]]


def cron(world: World) -> Manifest:
    (only,) = listed(world, "cronjobs")
    return only


def image_of(found: Manifest) -> str:
    return str(found["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"])


def connected(world: World, *workflows: Manifest, **spec: Any) -> None:
    world.make_pool()
    world.apply(world.connection("acme", workflows=list(workflows), **spec))
    world.until_ready("acme")


def start_run(world: World) -> None:
    """A run, as the CronJob's own controller makes it; its pod stays Pending, for there is no node."""
    found = cron(world)
    template, meta = found["spec"]["jobTemplate"], found["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": meta["name"], "uid": meta["uid"], "controller": True}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": template["metadata"] | {"name": f"{meta['name']}-1", "ownerReferences": [owner]},
        "spec": template["spec"],
    }
    world.kubectl("create", "-n", world.namespace, f"--as={CONTROLLER}", "-f", "-", input=json.dumps(job))
    world.until(lambda: listed(world, "pods"))


def test_a_cron_job_follows_the_spec_and_the_token_stays(world: World) -> None:
    connected(world, workflow())
    token = world.secret("acme-makini")["token"]
    found = cron(world)
    assert found["metadata"]["ownerReferences"][0]["uid"] == world.get("acme")["metadata"]["uid"]
    assert (found["spec"]["suspend"], found["spec"]["concurrencyPolicy"]) == (False, "Forbid")
    pod = found["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["volumes"][-1]["secret"]["secretName"] == "acme-makini"

    world.patch("acme", {"workflows": [workflow(template=work("reorder:2")), workflow("second", timeZone="Etc/UTC")]})
    world.until(lambda: sorted(map(image_of, listed(world, "cronjobs"))) == ["reorder:1", "reorder:2"])
    world.patch("acme", {"suspend": True})
    world.until(lambda: all(c["spec"]["suspend"] for c in listed(world, "cronjobs")))
    world.until(lambda: "suspended" in condition(world.get("acme"), "Ready")["message"])
    world.patch("acme", {"suspend": False, "workflows": [workflow("second", suspend=True)]})
    world.until(lambda: [c["spec"]["suspend"] for c in listed(world, "cronjobs")] == [True])
    world.patch("acme", {"workflows": None})
    world.until(lambda: listed(world, "cronjobs") == [])
    assert world.secret("acme-makini")["token"] == token


def test_what_is_edited_or_deleted_is_restored_and_a_restart_writes_nothing(world: World) -> None:
    connected(world, workflow())
    name = cron(world)["metadata"]["name"]
    # as the last resort, whom the policies let pass
    world.kubectl("patch", "cronjob", name, "-n", world.namespace, "--type=merge", "-p", '{"spec":{"suspend":true}}')
    world.until(lambda: cron(world)["spec"]["suspend"] is False)
    world.kubectl("delete", "cronjob", name, "-n", world.namespace)
    world.until(lambda: listed(world, "cronjobs"))
    version = cron(world)["metadata"]["resourceVersion"]
    world.rig.operator.kill()
    world.rig.start_operator("--account-relist", "3")
    before = world.sandbox.requests().get("GET /api/system/connections", 0)
    world.until(lambda: world.sandbox.requests().get("GET /api/system/connections", 0) >= before + 3)
    assert cron(world)["metadata"]["resourceVersion"] == version


def test_a_template_that_kubernetes_would_not_take_costs_nothing_and_can_be_mended(world: World) -> None:
    world.make_pool()
    bad = {
        "typo": (workflow(template=work(restartPolcy="Never")), "restartPolcy"),
        "policy": (workflow(template=work(restartPolicy="Always")), "restartPolicy"),
        "zone": (workflow(timeZone="Mars/Olympus"), "unknown time zone"),
        "missing": (workflow(template={"spec": {"template": {"spec": POD_WITHOUT_POLICY}}}), "restartPolicy"),
        "image": (workflow(template=work(image="")), "image: Required value"),
        "reserved": (workflow(template=work(volumes=[{"name": "makini-token", "emptyDir": {}}])), "leave it out"),
        "posing": (workflow(template=posing()), "spec.template.metadata.labels has makini.io/sync"),
    }
    world.apply(*(world.connection(name, workflows=[found]) for name, (found, _) in bad.items()))
    for name, (_, words) in bad.items():
        refused = world.until_reason(name, "WorkflowRefused")
        assert condition(refused, "Stalled")["status"] == "True"
        assert words in condition(refused, "Ready")["message"]
        assert "credits" not in refused["status"]
    assert world.sandbox.all_connections() == []
    world.patch("zone", {"workflows": [workflow(timeZone="Europe/Berlin")]})
    world.until_ready("zone")


def test_a_template_that_is_broken_later_changes_nothing_about_connection_and_cron_job(world: World) -> None:
    connected(world, workflow())
    token = world.secret("acme-makini")["token"]
    world.patch("acme", {"workflows": [workflow(template=work("reorder:2", restartPolicy="Always"))]})
    broken = world.until_reason("acme", "WorkflowRefused")
    assert (broken["status"]["phase"], broken["status"]["credits"]["amount"]) == ("Active", 1)
    assert image_of(cron(world)) == "reorder:1"
    assert world.sandbox.accepts(token)


def test_a_workflow_does_not_become_a_sync_by_its_labels_and_the_connection_still_ends(world: World) -> None:
    connected(world, workflow())
    world.patch("acme", {"workflows": [workflow(template=posing())]})
    broken = world.until_reason("acme", "WorkflowRefused")
    assert "has makini.io/sync" in condition(broken, "Ready")["message"]
    start_run(world)
    (pod,) = listed(world, "pods")
    assert "makini.io/sync" not in pod["metadata"]["labels"]
    world.patch("acme", {"connected": False})
    world.until_reason("acme", "Disconnected")
    assert listed(world, "cronjobs,jobs,pods") == []


def test_a_foreign_cron_job_of_the_same_name_is_left_alone(world: World) -> None:
    connected(world, workflow())
    name = cron(world)["metadata"]["name"]
    world.patch("acme", {"workflows": None})
    world.until(lambda: listed(world, "cronjobs") == [])
    foreign = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name, "namespace": world.namespace}}
    world.apply(foreign | {"spec": {"schedule": "@daily", "jobTemplate": work("theirs:1")}})
    world.patch("acme", {"workflows": [workflow()]})
    refused = world.until_reason("acme", "WorkflowRefused")
    assert "belongs to somebody else" in condition(refused, "Ready")["message"]
    assert image_of(world.rig.get("cronjob", name, "-n", world.namespace)) == "theirs:1"


def test_the_disconnect_ends_everything_also_while_makini_is_down(world: World) -> None:
    connected(world, workflow())
    bystander = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "other", "namespace": world.namespace}}
    world.apply(bystander | {"spec": work("theirs:1")["spec"] | {"suspend": True}})
    start_run(world)
    world.sandbox.stop()
    world.patch("acme", {"connected": False})
    world.until(lambda: listed(world, "cronjobs,jobs,pods") == [])
    world.until(lambda: "acme-makini" not in world.secret_names())
    assert world.get("acme")["status"]["credits"]["amount"] == 1, "Makini has not confirmed anything"
    assert world.rig.get("job", "other", "-n", world.namespace)["metadata"]["uid"]
    world.sandbox.start()
    world.until_reason("acme", "Disconnected", seconds=60)
    world.patch("acme", {"connected": True})
    world.until_ready("acme")
    world.until(lambda: listed(world, "cronjobs"))
    start_run(world)
    world.delete("acme")
    world.until(lambda: listed(world, "cronjobs,jobs,pods") == [])


def test_a_disconnect_in_the_dashboard_ends_them_too(world: World) -> None:
    connected(world, workflow())
    start_run(world)
    opened = world.get("acme")["status"]["connectionID"]
    assert world.sandbox.call("DELETE", f"/api/system/connections/{opened}")[0] == 200
    world.until_reason("acme", "DisconnectedRemotely", seconds=60)
    assert listed(world, "cronjobs,jobs,pods") == []


# --- what is made ---------------------------------------------------------------------------------------------------


def test_every_container_has_the_token_and_says_whose_run_it_is(world: World) -> None:
    connected(world, workflow(template=work(initContainers=[{"name": "first", "image": "first:1"}])))
    found = cron(world)
    mine = {"makini.io/connection": "acme", "makini.io/workflow": "orders"}
    job = found["spec"]["jobTemplate"]
    pod = job["spec"]["template"]["spec"]
    assert found["metadata"]["labels"] == mine | {"makini.io/managed-by": "operator"}
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"] == mine
    assert len(pod["containers"]) == len(pod["initContainers"]) == 1
    for container in (*pod["containers"], *pod["initContainers"]):
        assert {"name": "MAKINI_ENDPOINT", "value": world.sandbox.url} in container["env"]
        (mount,) = container["volumeMounts"]
        assert (mount["name"], mount["mountPath"]) == ("makini-token", "/var/run/secrets/makini.io")
        assert mount["readOnly"] is True


def test_who_waits_for_credits_has_no_cron_job_yet(world: World) -> None:
    world.make_pool(1)
    world.apply(world.connection("first"))
    world.until_ready("first")
    world.apply(world.connection("acme", workflows=[workflow()]))
    world.until_reason("acme", "WaitingForCredits")
    assert listed(world, "cronjobs") == []
    world.delete("first")
    world.until_ready("acme")
    assert cron(world)


def test_a_label_that_somebody_takes_off_comes_back(world: World) -> None:
    """Without it the CronJob is in no watch, and its name is not free."""
    connected(world, workflow())
    before = cron(world)
    name = before["metadata"]["name"]
    world.kubectl("label", "cronjob", name, "-n", world.namespace, "makini.io/managed-by-")
    world.until(lambda: cron(world)["metadata"]["labels"] == before["metadata"]["labels"])
    assert cron(world)["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_restored_cron_job_keeps_labels_and_annotations_that_other_tools_added(world: World) -> None:
    connected(world, workflow())
    name = cron(world)["metadata"]["name"]
    theirs = {"labels": {"team": "erp"}, "annotations": {"example.com/note": "seen"}}
    edit = json.dumps({"metadata": theirs, "spec": {"suspend": True}})
    world.kubectl("patch", "cronjob", name, "-n", world.namespace, "--type=merge", "-p", edit)
    world.until(lambda: cron(world)["spec"]["suspend"] is False)
    meta = cron(world)["metadata"]
    assert (meta["labels"]["team"], meta["annotations"]["example.com/note"]) == ("erp", "seen")


def test_a_restart_and_the_time_after_it_write_nothing(world: World) -> None:
    connected(world, workflow(), workflow("second", timeZone="Etc/UTC"))
    world.until(lambda: len(listed(world, "cronjobs")) == 2)
    world.until(lambda: world.get_pool()["status"]["account"]["owned"] == 1)
    epoch = world.get_pool()["status"]["ledger"]["epoch"]
    start = world.rig.cluster.audit_position()
    world.rig.operator.kill()
    world.rig.start_operator("--account-relist", "3")
    world.until(lambda: world.get_pool()["status"]["ledger"]["epoch"] > epoch)
    before = world.sandbox.requests().get("GET /api/system/connections", 0)
    world.until(lambda: world.sandbox.requests()["GET /api/system/connections"] >= before + 3, 60)
    assert set(writes(world, start)) <= {"patch creditpools/status"}


def writes(world: World, since: int) -> list[str]:
    """What the operator has written, tried out included."""
    refs = [(entry["verb"], entry["objectRef"]) for entry in world.rig.cluster.writes(since, user=OPERATOR_USER)]
    return [f"{verb} {ref['resource']}{'/' + ref['subresource'] if 'subresource' in ref else ''}" for verb, ref in refs]


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workflows", "words"),
    [
        ([workflow(f"w{n}") for n in range(17)], "must have at most 16 items"),
        ([workflow(), workflow()], "Duplicate value"),
        ([workflow("A_b")], "must be lower-case letters"),
        ([workflow("n" * 41)], "may not be more than 40"),
        ([workflow(schedule="61 * * * *")], "must be a cron schedule"),
        ([workflow(schedule="CRON_TZ=UTC 0 * * * *")], "belongs in timeZone"),
        ([workflow(timeZone="Local")], "must be the name of a time zone"),
        ([workflow() | {"jobTemplate": None}], "jobTemplate"),
    ],
    ids=["17", "duplicate", "name", "long name", "schedule", "zone in schedule", "zone", "no template"],
)
def test_the_api_server_refuses(installed: Rig, workflows: list[Manifest], words: str) -> None:
    spec = {
        "poolRef": {"name": "production"},
        "system": {"name": "fiix", "deployment": "Cloud"},
        "environment": "Production",
        "customer": {"name": "Acme"},
        "authorization": {"credentials": {"secretRef": {"name": "acme-login"}}},
        "workflows": workflows,
    }
    body = {"apiVersion": "makini.io/v1beta1", "kind": "MakiniConnection", "metadata": {"name": "acme"}, "spec": spec}
    path = "/apis/makini.io/v1beta1/namespaces/default/makiniconnections?dryRun=All&fieldValidation=Strict"
    status, text = installed.cluster.request("POST", path, body)
    assert (status, words in text) == (422, True), text
    allowed = body | {"spec": spec | {"workflows": [workflow(f"w{n}") for n in range(16)]}}
    assert installed.cluster.request("POST", path, allowed)[0] == 201


def test_a_foreign_cron_job_costs_no_credits_and_once_it_is_gone_the_connection_opens(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("acme", connected=False, workflows=[workflow()]))
    name = workflow_name(MakiniConnection.parse(world.until_reason("acme", "Disconnected")), "orders")
    meta = {"name": name, "namespace": world.namespace}
    spec = {"schedule": "@daily", "jobTemplate": work("theirs:1")}
    world.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": spec})
    foreign = world.rig.get("cronjob", name, "-n", world.namespace)

    world.patch("acme", {"connected": True})
    refused = world.until_reason("acme", "WorkflowRefused")
    assert "credits" not in refused["status"]
    assert world.sandbox.all_connections() == []
    assert world.rig.get("cronjob", name, "-n", world.namespace) == foreign

    world.patch("acme", {"connected": False})
    world.until_reason("acme", "Disconnected")
    assert world.rig.get("cronjob", name, "-n", world.namespace) == foreign
    world.patch("acme", {"connected": True})
    world.until_reason("acme", "WorkflowRefused")
    world.kubectl("delete", "cronjob", name, "-n", world.namespace)
    world.until_ready("acme", seconds=45)
    assert image_of(cron(world)) == "reorder:1"


def test_while_a_workflow_is_refused_its_token_is_repaired_and_mending_it_updates_the_cron_job(world: World) -> None:
    connected(world, workflow())
    token = world.secret("acme-makini")["token"]
    world.patch("acme", {"workflows": [workflow(template=work("reorder:2", restartPolicy="Always"))]})
    world.until_reason("acme", "WorkflowRefused")
    world.kubectl("delete", "secret", "acme-makini", "-n", world.namespace)
    world.until(lambda: "acme-makini" in world.secret_names())
    assert world.secret("acme-makini")["token"] != token
    assert world.sandbox.accepts(world.secret("acme-makini")["token"])
    world.until_reason("acme", "WorkflowRefused")
    world.patch("acme", {"workflows": [workflow(template=work("reorder:3"))]})
    world.until_ready("acme")
    world.until(lambda: image_of(cron(world)) == "reorder:3")


# --- how it ends ----------------------------------------------------------------------------------------------------

ON_A_NODE = work(nodeName="nowhere", terminationGracePeriodSeconds=3600)
"""Its pod is somebody's to end: without a node, Kubernetes removes pods at once."""


def create(world: World, user: str, kind: str, name: str, **fields: Any) -> None:
    version = "v1" if kind == "Pod" else "batch/v1"
    meta = {"name": name, "namespace": world.namespace} | fields.pop("metadata", {})
    body = json.dumps({"apiVersion": version, "kind": kind, "metadata": meta} | fields)
    world.kubectl("create", "-n", world.namespace, f"--as={user}", "-f", "-", input=body)


def test_runs_of_others_stay_whatever_their_labels_say(world: World) -> None:
    connected(world, workflow())
    world.apply(world.connection("other", workflows=[workflow()]))
    world.until_ready("other")
    start_run(world)
    posing = {"makini.io/connection": "acme", "makini.io/workflow": "orders"}
    paused = work("theirs:1")["spec"] | {"suspend": True}
    (theirs,) = listed(world, "cronjobs", "other")
    reference = {"apiVersion": "batch/v1", "kind": "CronJob", "controller": True}
    of_other = reference | {k: theirs["metadata"][k] for k in ("name", "uid")}
    create(world, CONTROLLER, "Job", "posing-alone", metadata={"labels": posing}, spec=paused)
    create(world, CONTROLLER, "Job", "posing", metadata={"labels": posing, "ownerReferences": [of_other]}, spec=paused)
    pod = {"containers": [{"name": "main", "image": "theirs:1"}]}
    create(world, JOB_CONTROLLER, "Pod", "posing", metadata={"labels": posing}, spec=pod)

    world.patch("acme", {"connected": False})

    world.until_reason("acme", "Disconnected")
    left = {obj["metadata"]["name"] for obj in listed(world, "cronjobs,jobs,pods")}
    assert left == {"posing-alone", "posing"}
    assert len(listed(world, "jobs")) == 2
    assert len(listed(world, "pods")) == 1
    assert listed(world, "cronjobs", "other") == [theirs]


def test_a_run_that_kubernetes_own_controllers_have_started_ends_and_does_not_come_back(world: World) -> None:
    connected(world, workflow(schedule="* * * * *"))
    name = cron(world)["metadata"]["name"]
    world.until(lambda: world.get_pool()["status"]["account"]["owned"] == 1)  # the pool has said all it has to say
    start = world.rig.cluster.audit_position()
    # A schedule that was missed is made up for at once, so nobody has to wait for the next minute.
    missed = (datetime.now(UTC) - timedelta(seconds=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = json.dumps({"status": {"lastScheduleTime": missed}})
    world.kubectl("patch", "cronjob", name, "-n", world.namespace, "--subresource=status", "--type=merge", "-p", patch)
    world.until(lambda: listed(world, "pods"))
    assert writes(world, start) == [], "that it runs is no change"
    world.delete("acme")
    world.until(lambda: world.held() == 0)
    assert world.rig.get("cronjobs,jobs,pods", "-n", world.namespace)["items"] == []


def graces(world: World) -> set[int | None]:
    """How long the pods of runs may still take to end; None: nobody has ended them."""
    pods = world.rig.get("pods", "-n", world.namespace)["items"]
    return {pod["metadata"].get("deletionGracePeriodSeconds") for pod in pods}


def forget_pods(world: World) -> None:
    """As their node would at last."""
    world.kubectl("delete", "pods", "--all", "-n", world.namespace, "--grace-period=0", "--force")


@pytest.mark.parametrize("ending", ["connected: false", "deletion", "Makini down"])
def test_a_pod_gets_a_second_to_end_whatever_it_asks_for(world: World, ending: str) -> None:
    connected(world, workflow(template=ON_A_NODE))
    start_run(world)
    if ending == "Makini down":
        world.sandbox.stop()
    if ending == "deletion":
        world.delete("acme", wait=False)
    else:
        world.patch("acme", {"connected": False})
    world.until(lambda: graces(world) <= {1})
    if ending == "Makini down":
        world.sandbox.start()
    if ending == "deletion":
        world.until(lambda: world.all() == [])
    else:
        world.until_reason("acme", "Disconnected", seconds=60)
    assert graces(world) <= {1}
    forget_pods(world)


def test_a_pod_that_somebody_has_begun_to_end_slowly_is_told_to_hurry(world: World) -> None:
    connected(world, workflow(template=ON_A_NODE))
    start_run(world)
    world.kubectl("delete", "pods", "--all", "-n", world.namespace, "--wait=false")
    world.until(lambda: 3600 in graces(world))
    world.patch("acme", {"connected": False})
    world.until_reason("acme", "Disconnected")
    assert graces(world) <= {1}
    forget_pods(world)


def test_a_run_of_a_workflow_that_was_removed_before_ends_with_the_connection_too(world: World) -> None:
    connected(world, workflow(template=ON_A_NODE))
    start_run(world)
    world.patch("acme", {"workflows": None})
    world.until(lambda: listed(world, "cronjobs,jobs") == [])
    world.patch("acme", {"connected": False})
    world.until_reason("acme", "Disconnected")
    try:
        assert graces(world) <= {1}
    finally:
        forget_pods(world)


# --- kill -9 --------------------------------------------------------------------------------------------------------


def kill_after(world: World, count: int, since: int) -> None:
    """Kill the operator once it has written so often, and start it again."""
    world.until(lambda: len(writes(world, since)) >= count)
    world.rig.operator.kill()
    world.rig.start_operator("--account-relist", "3")


@pytest.mark.parametrize("count", [1, 3, 5, 7])
def test_killed_on_the_way_up_it_ends_with_one_connection_and_one_cron_job(world: World, count: int) -> None:
    world.make_pool()
    world.until(lambda: condition(world.get_pool(), "Ready")["status"] == "True")
    start = world.rig.cluster.audit_position()
    world.apply(world.connection("acme", workflows=[workflow()]))
    kill_after(world, count, start)
    world.until_ready("acme", seconds=60)
    assert cron(world)["spec"]["suspend"] is False
    assert len(world.sandbox.connections()) == 1
    assert world.sandbox.accepts(world.secret("acme-makini")["token"])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_killed_on_the_way_down_it_leaves_nothing(world: World, count: int) -> None:
    connected(world, workflow())
    start_run(world)
    start = world.rig.cluster.audit_position()
    world.patch("acme", {"connected": False})
    kill_after(world, count, start)
    off = world.until_reason("acme", "Disconnected", seconds=60)
    assert "credits" not in off["status"]
    assert world.rig.get("cronjobs,jobs,pods", "-n", world.namespace)["items"] == []
    assert "acme-makini" not in world.secret_names()
    assert world.sandbox.connections() == []
    world.until(lambda: world.held() == 0)
