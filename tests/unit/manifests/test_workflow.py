"""A workflow's CronJob: the tenant's template with the token, known again after Kubernetes has filled it in."""

import copy
from typing import Any

import pytest
from tests.unit.lifecycle.builders import connection

from makini_operator.lifecycle.marker import InstallationKey
from makini_operator.manifests import cron_job, workflow
from makini_operator.manifests.ownership import Manifest, onto, owner_reference
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
    final = cron_job.sealed(wanted, filled, KEY)
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
        ({"containers": [{"env": [{"name": "MAKINI_TOKEN_FILE"}]}]}, "env has MAKINI_TOKEN_FILE"),
        ({"initContainers": [{"env": [{"name": "MAKINI_ENDPOINT"}]}]}, "env has MAKINI_ENDPOINT"),
        ({"initContainers": [None]}, "each of initContainers must be an object"),
        ({"containers": {"main": {}}}, "containers must be a list"),
        ({"containers": [{"volumeMounts": "text"}]}, "volumeMounts must be a list"),
        ({"volumes": {"scratch": {}}}, "volumes must be a list"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_in_words(pod: object, words: str) -> None:
    with pytest.raises(cron_job.TemplateError, match=words):
        made(owner(pod))


def test_what_kubernetes_has_filled_in_is_as_wanted() -> None:
    assert cron_job.is_as_wanted(cron_job.record(stored(owner())), made(owner()), KEY)


def test_an_edit_of_the_cron_job_is_noticed() -> None:
    edited = stored(owner())
    edited["spec"]["suspend"] = True
    assert not cron_job.is_as_wanted(cron_job.record(edited), made(owner()), KEY)
    stripped = stored(owner())
    del stripped["metadata"]["labels"]["makini.io/connection"]
    assert not cron_job.is_as_wanted(cron_job.record(stripped), made(owner()), KEY)


def test_another_spec_another_key_and_no_seal_are_noticed() -> None:
    found = cron_job.record(stored(owner()))
    assert not cron_job.is_as_wanted(found, made(owner(schedule="0 7 * * *")), KEY)
    assert not cron_job.is_as_wanted(found, made(owner()), InstallationKey(b"x" * 32))
    bare = stored(owner())
    bare["metadata"]["annotations"] = {}
    assert not cron_job.is_as_wanted(cron_job.record(bare), made(owner()), KEY)


def test_what_other_tools_have_added_stays() -> None:
    actual = stored(owner())
    actual["metadata"]["annotations"]["backup"] = "yes"
    final = onto(actual, cron_job.sealed(made(owner()), actual, KEY))
    assert final["metadata"]["annotations"]["backup"] == "yes"
    assert (final["metadata"]["uid"], final["metadata"]["resourceVersion"]) == ("cron-uid", "7")


def run(kind: str, name: str, **labels: str) -> Manifest:
    reference = {"kind": kind, "name": name, "uid": "u", "controller": True}
    mine = {"makini.io/connection": "acme", "makini.io/workflow": "orders"} | labels
    return {"metadata": {"name": "run", "labels": mine, "ownerReferences": [reference]}}


def owned_by(*owners: Manifest) -> Manifest:
    return {"metadata": run("", "")["metadata"] | {"ownerReferences": list(owners)}}


def namesake() -> MakiniConnection:
    """The connection of the same name that was there before."""
    return owner().model_copy(update={"metadata": owner().metadata.model_copy(update={"uid": "old-uid"})})


CRON = workflow.workflow_name(owner(), "orders")


@pytest.mark.parametrize(
    ("found", "is_ours"),
    [
        (run("CronJob", CRON), True),
        (run("Job", f"{CRON}-29384756"), True),
        (run("Job", "somebody-elses-29384756"), False),
        (run("Job", CRON), False),
        (run("Job", f"x{CRON}-29384756"), False),
        (run("CronJob", f"{CRON}-29384756"), False),
        (run("CronJob", workflow.workflow_name(namesake(), "orders")), False),
        (run("Job", f"{workflow.workflow_name(namesake(), 'orders')}-29384756"), False),
        (run("CronJob", workflow.workflow_name(owner(), "weekly")), False),
        (owned_by(), False),
        (owned_by({"kind": "CronJob", "name": CRON, "uid": "u"}), False),
        (owned_by({"kind": "X", "name": "x", "uid": "x"}, {"kind": "CronJob", "name": CRON, "controller": True}), True),
        (run("CronJob", "acme-orders-0000000000"), False),
        (run("ReplicaSet", f"{CRON}-1"), False),
        (run("CronJob", CRON, **{"makini.io/connection": "other"}), False),
        (run("CronJob", CRON, **{"makini.io/workflow": "else"}), False),
        ({"metadata": {"name": "run", "labels": {"makini.io/connection": "acme"}}}, False),
    ],
)
def test_a_run_is_ours_by_label_and_by_its_controllers_name(found: Manifest, is_ours: bool) -> None:
    assert cron_job.started_by(found, owner()) == (CRON if is_ours else None)


def test_runs_are_looked_for_by_the_labels_that_they_carry() -> None:
    assert cron_job.runs_selector(owner()) == "makini.io/connection=acme"


# --- templates of all kinds ------------------------------------------------------------------------------------

MINE = {"makini.io/connection": "acme", "makini.io/workflow": "orders"}
RICH: Manifest = {
    "metadata": {"labels": {"team": "erp"}, "annotations": {"example.com/note": "job"}},
    "spec": {
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": 60,
        "template": {
            "metadata": {"labels": {"app": "export"}, "annotations": {"example.com/note": "pod"}},
            "spec": POD
            | {
                "terminationGracePeriodSeconds": 3600,
                "containers": [
                    {
                        "name": "export",
                        "image": "export:1",
                        "env": [{"name": "MODE", "value": "full"}],
                        "envFrom": [{"configMapRef": {"name": "settings"}}],
                        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                    },
                    {"name": "side", "image": "side:1"},
                ],
            },
        },
    },
}


def contains(whole: Any, part: Any) -> bool:
    """Whether everything in `part` is in `whole`, lists in their order and at their beginning."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and contains(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) >= len(part) and all(map(contains, whole, part))
    return bool(whole == part)


def with_template(template: Manifest) -> Manifest:
    return made(owner(jobTemplate=template))


def test_a_template_with_everything_in_it_keeps_everything() -> None:
    before = copy.deepcopy(RICH)
    assert contains(with_template(RICH)["spec"]["jobTemplate"], before)
    assert before == RICH


@pytest.mark.parametrize(
    "key",
    [
        "makini.io/sync",
        "makini.io/connection",
        "makini.io/workflow",
        "makini.io/managed-by",
        "makini.io/anything",
        "restarted.makini.io/x",
    ],
)
@pytest.mark.parametrize("place", ["metadata", "spec.template.metadata"])
def test_a_template_cannot_say_that_its_runs_are_something_else(place: str, key: str) -> None:
    labels = {"labels": {"team": "erp", key: "x"}}
    template = {
        "metadata": labels if place == "metadata" else {},
        "spec": {"template": {"metadata": {} if place == "metadata" else labels, "spec": POD}},
    }
    with pytest.raises(cron_job.TemplateError) as error:
        with_template(template)
    assert str(error.value) == (
        f"{place}.labels has {key}: labels of makini.io are set by the operator alone; leave it out"
    )


@pytest.mark.parametrize("key", ["sync", "notmakini.io/sync", "makini.io.example.com/sync", "example.com/makini.io"])
def test_labels_that_only_look_like_ours_stay(key: str) -> None:
    pod = {"metadata": {"labels": {key: "x"}}, "spec": POD}
    jobs = with_template({"metadata": {"labels": {key: "x"}}, "spec": {"template": pod}})["spec"]["jobTemplate"]
    assert jobs["metadata"]["labels"] == jobs["spec"]["template"]["metadata"]["labels"] == MINE | {key: "x"}


def test_parts_that_are_null_are_absent() -> None:
    container = {"name": "main", "env": None, "volumeMounts": None}
    spec = POD | {"volumes": None, "initContainers": None, "containers": [container]}
    cron = with_template({"metadata": None, "spec": {"template": {"metadata": {"labels": None}, "spec": spec}}})
    (equipped,) = pod_of(cron)["spec"]["containers"]
    assert [each["name"] for each in equipped["env"]] == ["MAKINI_ENDPOINT", "MAKINI_TOKEN_FILE"]
    assert [each["name"] for each in pod_of(cron)["spec"]["volumes"]] == ["makini-token"]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"metadata": [], "spec": {}}, "metadata must be an object"),
        ({"metadata": {"labels": "text"}, "spec": {}}, "labels must be an object"),
        ({"spec": "text"}, "spec must be an object"),
        ({"spec": {"template": ["pod"]}}, "template must be an object"),
        ({"spec": {"template": {"metadata": {"labels": ["x"]}}}}, "labels must be an object"),
    ],
)
def test_a_template_that_has_not_the_form_of_one_is_refused_in_words(template: Manifest, words: str) -> None:
    with pytest.raises(cron_job.TemplateError) as error:
        with_template(template)
    assert str(error.value) == words


@pytest.mark.parametrize("pod", [{}, {"containers": []}, {"containers": [{"env": ["MODE", {"name": 5}]}]}])
def test_what_only_kubernetes_can_judge_is_left_to_it(pod: Manifest) -> None:
    assert made(owner(pod))["kind"] == "CronJob"


# --- edits of all kinds ----------------------------------------------------------------------------------------


def changed(path: str, value: Any) -> Manifest:
    """The stored CronJob with one field changed; None takes it away."""
    found = stored(owner())
    *parents, last = path.split(" ")
    place = found
    for parent in parents:
        place = place[parent]
    place[last] = value
    if value is None:
        del place[last]
    return found


def is_as_wanted(found: Manifest, wanted: Manifest | None = None) -> bool:
    return cron_job.is_as_wanted(cron_job.record(found), wanted or made(owner()), KEY)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec schedule", "* * * * *"),
        ("spec concurrencyPolicy", "Allow"),
        ("spec startingDeadlineSeconds", None),
        ("spec timeZone", "Etc/UTC"),
        ("spec jobTemplate spec backoffLimit", 0),
        ("spec jobTemplate metadata labels makini.io/workflow", None),
        ("spec jobTemplate spec template spec containers", []),
        ("spec jobTemplate spec template spec dnsPolicy", "Default"),
        ("metadata labels", None),
        ("metadata labels makini.io/managed-by", None),
        ("metadata labels makini.io/connection", "other"),
        ("metadata labels makini.io/workflow", None),
        ("metadata annotations", None),
        ("metadata annotations makini.io/checksum", "0" * 64),
        ("metadata annotations makini.io/checksum", "\u00fc"),
        ("metadata ownerReferences", []),
        ("metadata ownerReferences", None),
    ],
)
def test_whatever_somebody_has_changed_is_noticed(path: str, value: Any) -> None:
    assert not is_as_wanted(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata labels team", "erp"),
        ("metadata annotations example.com/note", "seen"),
        ("metadata resourceVersion", "8"),
        ("status", {"lastScheduleTime": "2025-03-01T06:00:00Z"}),
    ],
)
def test_what_other_tools_add_is_no_change(path: str, value: Any) -> None:
    assert is_as_wanted(changed(path, value))


@pytest.mark.parametrize(
    "of",
    [
        owner(schedule="0 7 * * *"),
        owner(suspend=True),
        owner(timeZone="Etc/UTC"),
        owner(POD | {"restartPolicy": "OnFailure"}),
        connection(workflows=owner().spec.dump()["workflows"], token={"secretName": "other"}),
    ],
)
def test_whatever_is_wanted_otherwise_is_noticed_and_once_written_it_is_as_wanted(of: MakiniConnection) -> None:
    assert not is_as_wanted(stored(owner()), made(of))
    assert is_as_wanted(stored(of), made(of))


def test_another_endpoint_is_noticed() -> None:
    (only,) = owner().spec.workflows or []
    assert not is_as_wanted(stored(owner()), workflow.cron_job(owner(), only, endpoint="https://eu.makini.io"))


def test_a_seal_that_was_copied_from_another_connection_s_cron_job_proves_nothing() -> None:
    assert not is_as_wanted(changed("metadata annotations", stored(namesake())["metadata"]["annotations"]))


@pytest.mark.parametrize(
    ("owners", "whose", "is_ours"),
    [
        ([owner_reference(owner())], "MakiniConnection acme", True),
        ([owner_reference(namesake())], "MakiniConnection acme", False),
        ([{"kind": "Deployment", "name": "shop", "uid": "x", "controller": True}], "Deployment shop", False),
        ([{"kind": "MakiniConnection", "name": "acme", "uid": "acme-uid"}], "somebody else", False),
        ([], "somebody else", False),
    ],
)
def test_whose_a_cron_job_is_is_decided_by_its_controller_s_uid(
    owners: list[Manifest], whose: str, is_ours: bool
) -> None:
    found = cron_job.record(changed("metadata ownerReferences", owners))
    assert (found.owner, cron_job.is_ours(found, owner())) == (whose, is_ours)


def test_what_is_restored_is_as_wanted_and_keeps_labels_that_others_added() -> None:
    actual = changed("spec schedule", "* * * * *")
    actual["metadata"]["labels"] |= {"team": "erp", "makini.io/workflow": "edited"}
    restored = onto(actual, cron_job.sealed(made(owner()), stored(owner()), KEY))
    assert restored["metadata"]["labels"] == made(owner())["metadata"]["labels"] | {"team": "erp"}
    assert is_as_wanted(restored | {"spec": stored(owner())["spec"]})


def test_what_is_restored_keeps_finalizers_and_owners_that_others_added() -> None:
    actual = changed("metadata finalizers", ["example.com/keep"])
    theirs = {"kind": "ConfigMap", "name": "settings", "uid": "x"}
    actual["metadata"]["ownerReferences"].append(theirs)
    restored = onto(actual, cron_job.sealed(made(owner()), stored(owner()), KEY))
    assert restored["metadata"]["finalizers"] == ["example.com/keep"]
    assert theirs in restored["metadata"]["ownerReferences"]
