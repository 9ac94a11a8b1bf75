"""A workflow's CronJob: the tenant's template with the token, known again after Kubernetes has filled it in."""

import copy
from typing import Any

import pytest
from tests.unit.lifecycle.builders import connection

from makini_operator.lifecycle.marker import InstallationKey
from makini_operator.manifests import workflow
from makini_operator.manifests.ownership import Manifest, owner_reference
from makini_operator.resources.connection import MakiniConnection

KEY = InstallationKey(b"k" * 32)
URL = "https://api.makini.io"
POD: Manifest = {
    "restartPolicy": "Never",
    "volumes": [{"name": "scratch", "emptyDir": {}}],
    "initContainers": [{"name": "wait", "image": "wait:1"}],
    "containers": [{"name": "main", "image": "reorder:1", "env": [{"name": "MODE", "value": "fast"}]}],
}


def owner(pod: object = POD, suspend: bool = False, **more: Any) -> MakiniConnection:
    template = {"metadata": {"labels": {"team": "a"}}, "spec": {"backoffLimit": 1, "template": {"spec": pod}}}
    one = {"name": "orders", "schedule": "0 6 * * *", "jobTemplate": template} | more
    return connection(workflows=[one], suspend=suspend)


def made(of: MakiniConnection) -> Manifest:
    (only,) = of.spec.workflows or []
    return workflow.cron_job(of, only, endpoint=URL)


def pod_of(cron: Manifest) -> Manifest:
    found: Manifest = cron["spec"]["jobTemplate"]["spec"]["template"]
    return found


def stored(of: MakiniConnection) -> Manifest:
    """As the API server keeps it: defaults filled in, sealed by us."""
    wanted = made(of)
    filled = copy.deepcopy(wanted)
    filled["spec"]["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    final = workflow.sealed(wanted, filled, KEY)
    meta = final["metadata"] | {"uid": "cron-uid", "resourceVersion": "7"}
    return final | {"metadata": meta, "spec": filled["spec"]}


def test_every_container_gets_the_token_and_nothing_of_the_template_is_lost() -> None:
    cron = made(owner())
    pod = pod_of(cron)
    assert pod["spec"]["restartPolicy"] == "Never"
    assert [v["name"] for v in pod["spec"]["volumes"]] == ["scratch", "makini-token"]
    assert pod["spec"]["volumes"][1]["secret"] == {"secretName": "acme-makini", "defaultMode": 0o444}
    for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"]):
        mount = {"name": "makini-token", "mountPath": "/var/run/secrets/makini.io", "readOnly": True}
        assert container["volumeMounts"] == [mount]
        values = {each["name"]: each["value"] for each in container["env"]}
        assert values["MAKINI_ENDPOINT"] == URL
        assert values["MAKINI_TOKEN_FILE"] == "/var/run/secrets/makini.io/token"  # noqa: S105 - a path
    assert pod["spec"]["containers"][0]["env"][0] == {"name": "MODE", "value": "fast"}
    assert cron["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 1


def test_labels_say_whose_cron_job_job_and_pod_are() -> None:
    cron = made(owner())
    mine = {"makini.io/connection": "acme", "makini.io/workflow": "orders"}
    assert cron["metadata"]["labels"] == mine | {"makini.io/managed-by": "operator"}
    assert cron["spec"]["jobTemplate"]["metadata"]["labels"] == mine | {"team": "a"}
    assert pod_of(cron)["metadata"]["labels"] == mine
    assert cron["metadata"]["ownerReferences"] == [owner_reference(owner())]


def test_the_template_in_the_spec_stays_as_it_is() -> None:
    of = owner()
    before = copy.deepcopy(of.spec.dump())
    made(of)
    assert of.spec.dump() == before


def test_runs_do_not_overlap_and_nothing_piles_up() -> None:
    spec = made(owner())["spec"]
    assert (spec["concurrencyPolicy"], spec["startingDeadlineSeconds"]) == ("Forbid", 300)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 3)
    assert "timeZone" not in spec
    assert made(owner(timeZone="Europe/Berlin"))["spec"]["timeZone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("whole", "one", "is_suspended"), [(False, None, False), (True, None, True), (False, True, True)]
)
def test_it_is_suspended_with_the_connection_or_by_itself(whole: bool, one: bool | None, is_suspended: bool) -> None:
    of = owner(suspend=whole)
    (only,) = of.spec.workflows or []
    of = of.model_copy(
        update={"spec": of.spec.model_copy(update={"workflows": [only.model_copy(update={"suspend": one})]})}
    )
    assert made(of)["spec"]["suspend"] is is_suspended


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        ("text", "spec must be an object"),
        ({"containers": "text"}, "containers must be a list"),
        ({"containers": ["text"]}, "each of containers must be an object"),
        ({"containers": [{"env": "text"}]}, "env must be a list"),
        ({"volumes": [{"name": "makini-token"}]}, "volumes has makini-token, which the operator adds: leave it out"),
        ({"containers": [{"env": [{"name": "MAKINI_ENDPOINT"}]}]}, "env has MAKINI_ENDPOINT"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_in_words(pod: object, words: str) -> None:
    with pytest.raises(workflow.TemplateError, match=words):
        made(owner(pod))


def test_what_kubernetes_has_filled_in_is_as_wanted() -> None:
    assert workflow.is_as_wanted(workflow.record(stored(owner())), made(owner()), KEY)


def test_an_edit_of_the_cron_job_is_noticed() -> None:
    edited = stored(owner())
    edited["spec"]["suspend"] = True
    assert not workflow.is_as_wanted(workflow.record(edited), made(owner()), KEY)
    stripped = stored(owner())
    del stripped["metadata"]["labels"]["makini.io/connection"]
    assert not workflow.is_as_wanted(workflow.record(stripped), made(owner()), KEY)


def test_another_spec_another_key_and_no_seal_are_noticed() -> None:
    found = workflow.record(stored(owner()))
    assert not workflow.is_as_wanted(found, made(owner(schedule="0 7 * * *")), KEY)
    assert not workflow.is_as_wanted(found, made(owner()), InstallationKey(b"x" * 32))
    bare = stored(owner())
    bare["metadata"]["annotations"] = {}
    assert not workflow.is_as_wanted(workflow.record(bare), made(owner()), KEY)


def test_what_other_tools_have_added_stays() -> None:
    actual = stored(owner())
    actual["metadata"]["annotations"]["backup"] = "yes"
    final = workflow.onto(actual, workflow.sealed(made(owner()), actual, KEY))
    assert final["metadata"]["annotations"]["backup"] == "yes"
    assert (final["metadata"]["uid"], final["metadata"]["resourceVersion"]) == ("cron-uid", "7")


def run(kind: str, name: str, **labels: str) -> Manifest:
    reference = {"kind": kind, "name": name, "uid": "u", "controller": True}
    mine = {"makini.io/connection": "acme", "makini.io/workflow": "orders"} | labels
    return {"metadata": {"name": "run", "labels": mine, "ownerReferences": [reference]}}


CRON = workflow.workflow_name(owner(), "orders")


@pytest.mark.parametrize(
    ("found", "is_ours"),
    [
        (run("CronJob", CRON), True),
        (run("Job", f"{CRON}-29384756"), True),
        (run("Job", "somebody-elses-29384756"), False),
        (run("CronJob", "acme-orders-0000000000"), False),
        (run("ReplicaSet", f"{CRON}-1"), False),
        (run("CronJob", CRON, **{"makini.io/connection": "other"}), False),
        (run("CronJob", CRON, **{"makini.io/workflow": "else"}), False),
        ({"metadata": {"name": "run", "labels": {"makini.io/connection": "acme"}}}, False),
    ],
)
def test_a_run_is_ours_by_label_and_by_its_controllers_name(found: Manifest, is_ours: bool) -> None:
    assert workflow.is_run(found, owner()) is is_ours
