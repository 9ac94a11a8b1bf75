"""What concerns all tests: fixtures of any folder, how tests are shared out to workers, and what a run leaves out.

Fixtures that need a control plane live in tests/cluster. With workers only this file is loaded in the process that
reports, so whatever is to be said at the end of a run is said here.
"""

import hypothesis
import pytest
from tests import skipping, workers
from tests.groups import Groups, order

pytest_plugins = ["tests.cluster.fixtures_operator"]

hypothesis.settings.register_profile(
    "untimed", deadline=None
)  # how long an example takes says nothing on a busy machine
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    try:
        return workers.number()
    except workers.NoNumber as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups:
    return Groups(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: order(item.nodeid))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "node" in report.keywords]
    if skipped:
        terminalreporter.section("NODE TESTS SKIPPED", red=True, bold=True)
        reason = skipping.without_node() or "see the reasons above"
        terminalreporter.line(f"{len(skipped)} skipped ({reason}): this run says little or nothing about pods.")
    if skipping.is_without_cluster():
        terminalreporter.section("CLUSTER TESTS SKIPPED", red=True, bold=True)
        terminalreporter.line(f"{skipping.CLUSTER}=1 is set: this run says nothing about behaviour on Kubernetes.")
