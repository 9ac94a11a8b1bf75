"""Workflows on the real API server: CronJobs that follow the spec, are tried out first, and end with the connection."""

import json
from typing import Any

from tests.cluster.fixtures_operator import Manifest, World, condition

CONTROLLER = "system:serviceaccount:kube-system:cronjob-controller"


def work(image: str = "reorder:1", **pod: Any) -> Manifest:
    container = {"name": "main", "image": image}
    return {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]} | pod}}}


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
        "reserved": (workflow(template=work(volumes=[{"name": "makini-token", "emptyDir": {}}])), "leave it out"),
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
