"""docs/security.md names tests, policies and rights that exist, and all policies."""

import re
from pathlib import Path

import pytest
import yaml
from tests.cluster.test_attacks import ATTACKS
from tests.harness.rig import policies

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "security.md"
TEXT = PAGE.read_text(encoding="utf-8")
KINDS = {kind: [p for p in policies() if p["kind"] == f"ValidatingAdmissionPolicy{kind}"] for kind in ("", "Binding")}


def rows(header: str) -> list[list[str]]:
    """The rows of the table whose header begins so, as cells."""
    _, _, after = TEXT.partition(f"\n| {header} |")
    lines = after.split("\n\n", maxsplit=1)[0].splitlines()[2:]
    assert lines, header
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


THREATS = rows("who")
SHOWN_BY = [cells[-1].strip("` ") for cells in THREATS]


def test_each_threat_has_a_test() -> None:
    assert len(THREATS) >= 20
    assert all(re.fullmatch(r"test_\w+\.py::[\w-]+", name) for name in SHOWN_BY), SHOWN_BY


@pytest.mark.parametrize("name", SHOWN_BY)
def test_the_test_exists(name: str) -> None:
    file, _, test = name.partition("::")
    source = (ROOT / "tests" / "cluster" / file).read_text(encoding="utf-8")
    attacks = {f"{attack.who}-{attack.id}" for attack in ATTACKS} if file == "test_attacks.py" else set()
    assert test in attacks or f"def {test}(" in source


def test_each_policy_is_explained_with_its_failure_policy() -> None:
    explained = {cells[0].strip("` "): cells[2] for cells in rows("policy")}
    assert explained == {policy["metadata"]["name"]: policy["spec"]["failurePolicy"] for policy in KINDS[""]}


def test_each_policy_is_bound_and_all_but_one_deny() -> None:
    actions = {bound["spec"]["policyName"]: bound["spec"]["validationActions"] for bound in KINDS["Binding"]}
    warning = {"token-mounts.makini.io": ["Warn", "Audit"]}
    assert actions == {policy["metadata"]["name"]: ["Deny"] for policy in KINDS[""]} | warning


def test_policies_that_are_named_exist() -> None:
    known = {policy["metadata"]["name"].removesuffix(".makini.io") for policy in KINDS[""]}
    named = {name for cells in THREATS for name in re.findall(r"`([a-z-]+)`", cells[2]) if "polic" in cells[2]}
    assert named - known <= {"get", "create", "patch"}


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL), ids=lambda block: block[:40])
def test_the_yaml_can_be_applied(block: str) -> None:
    for obj in yaml.safe_load_all(block):
        assert {"apiVersion", "kind", "metadata"} <= obj.keys()


def test_attacks_have_names_of_their_own() -> None:
    names = [f"{attack.who}-{attack.id}" for attack in ATTACKS]
    assert len(set(names)) == len(names) >= 20
