"""Fixtures that tests in any folder may use; those that need a control plane live in tests/cluster."""

pytest_plugins = ["tests.cluster.fixtures_operator"]
