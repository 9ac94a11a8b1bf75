"""docs/reasons.md and the vocabulary in the code are the same, in both directions."""

import re
from pathlib import Path

import pytest

from makini_operator.resources.reasons import ConditionType, Reason

PAGE = Path(__file__).parents[2] / "docs" / "reasons.md"
HEADER = "| reason | seen on | what it means | what to do |"
CONDITIONS_HEADER = "| type | on | `True` means |"


def rows(header: str) -> list[list[str]]:
    """The rows of all tables with this header, as cells."""
    found, is_inside = [], False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            is_inside = False
        elif line == header:
            is_inside = True
        elif is_inside and not line.startswith("| ---"):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def names(header: str) -> list[str]:
    return [cells[0].strip("`") for cells in rows(header)]


def test_every_reason_is_explained_exactly_once_and_no_other() -> None:
    assert sorted(names(HEADER)) == sorted(Reason)


def test_every_condition_type_is_explained_exactly_once_and_no_other() -> None:
    assert sorted(names(CONDITIONS_HEADER)) == sorted(ConditionType)


@pytest.mark.parametrize("cells", rows(HEADER), ids=names(HEADER))
def test_a_reason_says_where_it_is_seen_what_it_means_and_what_to_do(cells: list[str]) -> None:
    _, seen_on, meaning, remedy = cells
    places = [place.split(":") for place in seen_on.split(";")]
    assert {kind.strip() for kind, _ in places} <= {"connection", "pool"}
    types = {name.strip() for _, listed in places for name in listed.split(",")}
    assert types <= set(ConditionType)
    assert len(meaning) > 10
    assert remedy


@pytest.mark.parametrize("cells", rows(HEADER), ids=names(HEADER))
def test_who_is_stalled_is_told_to_do_something(cells: list[str]) -> None:
    _, seen_on, _, remedy = cells
    if "Stalled" in seen_on:
        assert remedy != "nothing"
        assert not remedy.startswith("wait")


def test_the_page_names_only_fields_that_exist() -> None:
    schemas = "".join(path.read_text(encoding="utf-8") for path in (PAGE.parents[1] / "crds").glob("*.yaml"))
    fields = {
        field for path in re.findall(r"`(?:spec|status)\.([A-Za-z.]+)", PAGE.read_text()) for field in path.split(".")
    }
    assert fields
    assert {field for field in fields if f"{field}:" not in schemas} == set()
