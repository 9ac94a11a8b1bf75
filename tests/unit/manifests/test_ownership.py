"""Names of children: short enough, and never the same for two connections."""

from tests.unit.lifecycle.builders import connection

from makini_operator.manifests.ownership import NAME_LIMIT, child_name, controller_of, digest, owner_reference
from makini_operator.resources.connection import MakiniConnection


def of(uid: str, name: str = "acme") -> MakiniConnection:
    base = connection()
    return base.model_copy(update={"metadata": base.metadata.model_copy(update={"uid": uid, "name": name})})


def test_a_name_says_whose_it_is_and_fits() -> None:
    assert child_name(of("u1"), "CronJob", "orders").startswith("acme-orders-")
    long = child_name(of("u1", "a" * 52), "CronJob", "b" * 40)
    assert len(long) == NAME_LIMIT
    assert child_name(of("u1", "a" * 40 + "." + "b" * 11), "CronJob", "x")[:41].count(".") == 0


def test_uid_kind_and_name_each_make_another_name() -> None:
    names = {
        child_name(of(uid, "a" * 52), kind, name) for uid in "12" for kind in ("CronJob", "Role") for name in ("x", "y")
    }
    assert len(names) == 8


def test_the_owner_is_the_controller() -> None:
    reference = owner_reference(of("u1"))
    assert controller_of({"metadata": {"ownerReferences": [{"kind": "Other"}, reference]}}) == reference
    assert controller_of({"metadata": {}}) == {}


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"b": [1, 2]}) != digest({"b": [2, 1]})
