"""The command line: ``python -m tests.images build`` writes archives, ``rootfs FOLDER`` what they hold."""

import argparse
import shutil
import sys
from pathlib import Path

from tests import images
from tests.images import contents, tree

_MEGABYTE = 1_000_000


def main() -> int:
    """Runs one command and says how large what it made is."""
    parser = argparse.ArgumentParser(prog="python -m tests.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="the operator's and the sandbox's image, as `docker load` takes them")
    build.add_argument("--output", type=Path, help="copy the archive to this file")
    rootfs = commands.add_parser("rootfs", help="the files of the operator's image, for the Dockerfile's last stage")
    rootfs.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    if chosen.command == "rootfs":
        files = contents.system() | contents.operator()
        tree.unpack(files, chosen.folder)
        return 0
    made = images.operator()
    if chosen.output:
        shutil.copyfile(made, chosen.output)
    sys.stdout.write(
        f"{chosen.output or made}: {images.OPERATOR}, {images.SANDBOX}, {made.stat().st_size / _MEGABYTE:.0f} MB\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
