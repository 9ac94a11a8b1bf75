"""The ledger's protocol holds in every state that the model can reach, and each rule is needed."""

import pytest
from tests.model.mutants import MUTANTS, Mutant
from tests.model.rules import Scenario
from tests.model.scenarios import COMPLETE, DEEP, LIMITS
from tests.model.search import Checker

BOUND = 1_500
"""States of each deep scenario here; `make explore` goes on from there."""


@pytest.mark.parametrize("scenario", COMPLETE.values(), ids=COMPLETE.keys())
def test_no_reachable_state_breaks_a_promise(scenario: Scenario) -> None:
    result = Checker(scenario).run()
    assert not result.violation, "\n".join(result.trace)
    assert result.is_complete


@pytest.mark.parametrize("scenario", DEEP.values(), ids=DEEP.keys())
def test_no_near_state_breaks_a_promise(scenario: Scenario) -> None:
    result = Checker(scenario).run(most_states=BOUND)
    assert not result.violation, "\n".join(result.trace)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"rule {m.rule}: {m.omission}")
def test_each_rule_is_needed(mutant: Mutant) -> None:
    result = Checker(mutant.scenario, mutant.rules).run(most_states=20_000)
    assert result.violation
    assert result.trace


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"rule {m.rule}: {m.omission}")
def test_with_all_rules_the_same_situation_holds(mutant: Mutant) -> None:
    result = Checker(mutant.scenario).run(most_states=300)
    assert not result.violation, "\n".join(result.trace)


def test_no_rule_is_without_a_mutant() -> None:
    assert {mutant.rule for mutant in MUTANTS} == set(range(1, 13))


@pytest.mark.parametrize("name", LIMITS)
def test_what_is_not_promised_is_known(name: str) -> None:
    """When one of these is found no more, docs/credits.md can promise more."""
    scenario, expected = LIMITS[name]
    result = Checker(scenario).run(most_states=20_000)
    assert expected in result.violation


def test_at_makini_a_take_over_adds_at_most_one_duplicate_for_each_pending_create() -> None:
    pending = Scenario(prologue=((0, "will post"), (1, "lists account")))
    assert Checker(pending).run(most_states=5_000).most_duplicates == 1
