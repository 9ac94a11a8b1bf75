"""The helm of the tests: version 4, built from its Go module once and cached beside the control plane."""

from pathlib import Path

from tests.localkube.build import Program


def program() -> Program:
    """helm, as `Program.ensure` builds it."""
    return Program("helm", "helm v4.3.1", Path(__file__).parent, ".", minutes=4, packages=1100)
