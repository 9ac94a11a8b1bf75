"""How the tests are shared out to several workers: what stays together, and what begins first.

A group runs in one worker, in its usual order, because what is in it would disturb each other side by side: the
tests of one file share fixtures and a control plane, and those in a folder of `TOGETHER` share more. Different groups
share nothing that one of them changes: each worker has a control plane of its own, every port is a free one, every
folder a temporary one, and what is in the user's cache is built under a lock and never changed afterwards. A test
that cannot be so joins its folder's or another file's group here.

The longest groups begin first, or the last worker would be alone with one of them. `SECONDS` needs to be right only
roughly: `make test PYTEST_ARGS=--durations=0` shows what each took.
"""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/node", "tests/chart", "tests/unit", "tests/model")
"""Folders of which each is one group: on one node, on one control plane, or because all of it takes a minute."""

SECONDS = {
    "tests/node": 500,
    "tests/chart": 180,
    "tests/model": 30,
    "tests/unit": 100,
    "tests/cluster/test_workflows.py": 160,
    "tests/cluster/test_edge_faults.py": 220,
    "tests/cluster/test_tokens_stores.py": 200,
    "tests/cluster/test_policies.py": 100,
    "tests/cluster/test_tokens_rotation.py": 160,
    "tests/cluster/test_attacks.py": 60,
    "tests/cluster/test_faults.py": 150,
    "tests/cluster/test_disturbed.py": 140,
    "tests/cluster/test_rbac.py": 120,
    "tests/cluster/test_leading.py": 120,
    "tests/cluster/test_readme.py": 120,
    "tests/cluster/test_tokens_readers.py": 110,
    "tests/cluster/test_kill_every_write.py": 100,
    "tests/cluster/test_abandon.py": 100,
    "tests/cluster/test_tokens_every_write.py": 80,
    "tests/cluster/test_tokens_revoke.py": 70,
    "tests/cluster/test_syncs.py": 90,
    "tests/cluster/test_demo.py": 65,
    "tests/sync/test_killed.py": 130,
    "tests/sync/test_sync.py": 115,
}
"""How long a group takes about, where that is not what its folder's others do."""

OTHERS = {"tests/cluster": 40, "tests/sync": 30, "tests/conformance": 20}


def group_of(nodeid: str) -> str:
    """The group of a test, by the id that pytest gives it."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)


def seconds(group: str) -> int:
    """How long a group takes about; a new file is taken for one like most in its folder."""
    return SECONDS.get(group, OTHERS.get(group.rpartition("/")[0], 10))


def order(nodeid: str) -> tuple[int, str]:
    """A sort key: longest groups first, each in one piece, and its tests as they were."""
    group = group_of(nodeid)
    return -seconds(group), group


class Groups(LoadScopeScheduling):
    """Gives every worker one group after the other, in the order of collection."""

    def __init__(self, config: object, log: object = None) -> None:
        super().__init__(config, log)
        self.config.option.loadscopereorder = False  # it would begin with the groups of the most tests

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
