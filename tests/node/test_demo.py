"""`make demo` with pods, on the node of the tests: what it shows is so, and it leaves nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests import images
from tests.demo.pods import EXISTING
from tests.demo.stage import NAMESPACE, ROOT
from tests.harness import OPERATOR_NAMESPACE
from tests.localkube.waiting import wait_until
from tests.localnode import LocalNode
from tests.node.pods import Cluster
from tests.tools.helm import RELEASE, Helm

DEMO_SECONDS = 240
"""Alone it takes up to 100 s, a minute of them until the workflow is due."""
SCREEN_LINES = 24
STEPS = 9


def test_a_sync_and_a_workflow_run_until_the_disconnect_and_rows_stay(
    node: Cluster, helm: Helm, sync_image: str, tmp_path: Path
) -> None:
    assert sync_image == images.SYNC
    left = ("get", f"ns/{NAMESPACE}", f"ns/{OPERATOR_NAMESPACE}", f"clusterrole/{RELEASE}", "--ignore-not-found")
    wait_until(lambda: not node.kubectl(*left).stdout, 60, "what other tests installed to be gone")
    environment = node.environment() if isinstance(node, LocalNode) else dict(os.environ)
    environment |= {EXISTING: str(node.kubeconfig), "TMPDIR": str(tmp_path)}
    environment.pop("MAKINI_DEMO", None)
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    titles = re.findall(r"^== (\d)/(\d) ", done.stdout, flags=re.MULTILINE)
    assert titles == [(str(n), str(STEPS)) for n in range(1, STEPS + 1)]
    for screen in done.stdout.split("\n== ")[1:]:
        lines = [line for line in screen.strip().splitlines() if line.strip(".")]  # dots: it takes long
        assert len(lines) <= SCREEN_LINES, screen
    for words in (
        images.OPERATOR.partition(":")[0],
        "needs 1 credit",
        "connection-id token url",
        "the volume has every order that Makini serves",
        "200 PO-2026-0001",
        "the pod is gone within 5 s of the disconnect",
        "401",
        "8 credits came back",
        "the volume has every order as before",
    ):
        assert words in done.stdout
    assert "not taken away" not in done.stdout
    words = done.stdout.replace("erp_purchase_orders_line_items", "").replace("integrations_borealis_ecc", "")
    assert re.findall(r"[A-Za-z0-9_]{24,}", words) == [], "a token?"  # names of pods have hyphens
    assert list(tmp_path.iterdir()) == []
    assert node.kubectl(*left).stdout == ""
    assert helm("list", "--short") == ""
