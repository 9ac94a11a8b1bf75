"""How the tests are shared out to workers, and that a run with workers still says loudly what it left out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests import groups, skipping
from tests.workers import MEMORY, NoNumber, number, workers

ROOT = Path(__file__).parents[2]
GIB = 2.0**30


@pytest.mark.parametrize(
    ("processors", "memory", "expected"),
    [
        (1, 64 * GIB, 1),
        (2, 16 * GIB, 2),
        (8, 2.1 * MEMORY, 2),
        (2, 1 * GIB, 1),
        (64, 512 * GIB, 8),
        (4, float("inf"), 4),
    ],
)
def test_there_is_a_worker_for_each_processor_as_far_as_memory_goes(
    processors: int, memory: float, expected: int
) -> None:
    assert workers(processors, memory) == expected


def test_test_workers_goes_before_what_the_machine_has_and_one_is_a_plain_run() -> None:
    assert number({"TEST_WORKERS": "3"}) == 3
    assert number({"TEST_WORKERS": "1"}) == 0


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5"])
def test_another_number_of_workers_is_refused_with_what_to_do(wrong: str) -> None:
    with pytest.raises(NoNumber, match="correct it or leave it out"):
        number({"TEST_WORKERS": wrong})


def test_a_file_is_one_group_and_the_tests_on_the_node_are_one_together() -> None:
    one, other = "tests/cluster/test_queue.py::test_a", "tests/cluster/test_many.py::test_a"
    assert groups.group_of(one) == groups.group_of(f"{one}[b/c.py::d]") == "tests/cluster/test_queue.py"
    assert groups.group_of(one) != groups.group_of(other)
    assert groups.group_of("tests/node/test_demo.py::test_a") == groups.group_of("tests/node/test_new.py::test_b[c]")


def test_longest_groups_come_first_each_in_one_piece_and_as_it_was() -> None:
    found = [
        "tests/unit/test_a.py::test_b",
        "tests/cluster/test_queue.py::test_b",
        "tests/node/test_b.py::test_a",
        "tests/cluster/test_many.py::test_a",
        "tests/cluster/test_queue.py::test_a",
        "tests/node/test_a.py::test_a",
    ]
    ordered = sorted(found, key=groups.order)
    assert ordered[:2] == ["tests/node/test_b.py::test_a", "tests/node/test_a.py::test_a"]
    assert [nodeid.rpartition("_")[2] for nodeid in ordered if "queue" in nodeid] == ["b", "a"]
    assert [groups.group_of(nodeid) for nodeid in ordered if "cluster" in nodeid] == [
        "tests/cluster/test_many.py",
        "tests/cluster/test_queue.py",
        "tests/cluster/test_queue.py",
    ]


def test_every_group_with_a_time_of_its_own_is_there() -> None:
    assert [group for group in groups.SECONDS if not (ROOT / group).exists()] == []


def test_with_workers_too_it_is_said_loudly_what_was_left_out() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "MAKINI_"))}
    environment |= {skipping.NODE: "1", skipping.CLUSTER: "1"}
    files = ["tests/node/test_image.py", "tests/cluster/test_first_light.py"]
    command = [sys.executable, "-m", "pytest", "-n", "1", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for words in (
        "NODE TESTS SKIPPED",
        f"{skipping.NODE}=1 is set",
        "CLUSTER TESTS SKIPPED",
        f"{skipping.CLUSTER}=1 is",
    ):
        assert words in done.stdout
    assert " passed" not in done.stdout
