"""docs/credits.md names functions and tests that exist, all twelve rules, and all omissions that are tried."""

import re
from pathlib import Path

import pytest
from tests.model.mutants import MUTANTS as IN_THE_MODEL
from tests.unit.exploration.mutants import MUTANTS as IN_THE_CODE

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "credits.md").read_text(encoding="utf-8")
FUNCTIONS = sorted(set(re.findall(r"`([a-z_/]+\.py)::(\w+)`", TEXT)))
FILES = sorted(set(re.findall(r"`(test_\w+\.py)`", TEXT)))
LINE = re.compile(r"^\| (\d+) \| (.+?) \| (found|-) \| (found|-) \|$", re.MULTILINE)


def _sources(file: str) -> list[str]:
    folder = ROOT / ("tests" if file.startswith("test_") else "operator/makini_operator")
    return [
        path.read_text(encoding="utf-8") for path in folder.rglob(Path(file).name) if path.as_posix().endswith(file)
    ]


@pytest.mark.parametrize(("file", "name"), FUNCTIONS)
def test_the_function_exists(file: str, name: str) -> None:
    assert any(f"def {name}(" in source for source in _sources(file))


@pytest.mark.parametrize("file", FILES)
def test_the_file_exists(file: str) -> None:
    assert _sources(file)


def test_each_rule_is_explained() -> None:
    _, _, after = TEXT.partition("| rule | what |")
    assert re.findall(r"^\| (\d+) \|", after.split("\n\n")[0], re.MULTILINE) == [str(n) for n in range(1, 13)]


def test_the_table_of_omissions_is_that_of_the_tests() -> None:
    told = {(int(rule), what): (model, code) for rule, what, model, code in LINE.findall(TEXT)}
    tried = [{(m.rule, m.omission) for m in mutants} for mutants in (IN_THE_MODEL, IN_THE_CODE)]
    expected = {key: tuple("found" if key in kind else "-" for kind in tried) for key in tried[0] | tried[1]}
    assert told == expected
