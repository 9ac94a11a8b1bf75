"""How `makini-operator abandon` is called; what it does is tested on a real API server."""

import pytest
from click.testing import CliRunner

from makini_operator.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name one connection as NAMESPACE/NAME, or say --all"),
        (["acme"], "expected NAMESPACE/NAME, found 'acme'"),
        (["a/b/c"], "expected NAMESPACE/NAME, found 'a/b/c'"),
        (["a/b", "--all"], "name one connection as NAMESPACE/NAME, or say --all"),
        (["a/b", "--check"], "name one connection as NAMESPACE/NAME, or say --all"),
        (["a/b", "--pool", "x"], "--pool goes with --all"),
        (["--all", "--with-pools"], "--with-pools goes with --check"),
        (["--every"], "No such option"),
    ],
    ids=" ".join,
)
def test_a_wrong_call_says_what_is_expected(arguments: list[str], words: str) -> None:
    said = CliRunner().invoke(main, ["abandon", *arguments])
    assert said.exit_code == 2
    assert words in said.stderr


def test_the_command_is_listed_with_what_it_does() -> None:
    assert "Let connections go that the operator can no longer close." in CliRunner().invoke(main).output
