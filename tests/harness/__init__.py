"""The operator and the sandbox as processes on a real control plane, for tests and the demo.

The operator runs as the ServiceAccount that the chart gives it, with exactly the chart's
rules, never as admin.
"""

from tests.harness.rig import OPERATOR_NAMESPACE, Rig
from tests.harness.sandbox import Sandbox

__all__ = ["OPERATOR_NAMESPACE", "Rig", "Sandbox"]
