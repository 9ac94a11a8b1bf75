"""Installs Debian packages that tests need, one installer at a time: apt refuses a second one instead of waiting."""

import os
import subprocess

from tests.localkube import build
from tests.localkube.errors import LocalKubeError


def install(*packages: str) -> None:
    """Brings the packages; needs root.

    Raises:
        LocalKubeError: apt-get failed; the text is one line, the last that it said.
    """
    with build.locked(build.cache_home() / "apt.lock"):
        for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *packages]):
            done = subprocess.run(
                ["apt-get", *command],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                last = (done.stderr.strip() or "no message").splitlines()[-1]
                raise LocalKubeError(f"apt-get {' '.join(command)} failed ({last})")
