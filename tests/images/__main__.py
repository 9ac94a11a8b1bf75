"""The command line: ``build`` writes archives, ``rootfs FOLDER`` an image's files, ``needs`` sync's requirements."""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests import images
from tests.images import contents, tree
from tests.images.recipes import RECIPES, needs_of_sync

_MEGABYTE = 1_000_000
_ARCHIVES: dict[str, tuple[Callable[[], Path], str]] = {
    "operator": (images.operator, f"{images.OPERATOR}, {images.SANDBOX}"),
    "sync": (images.sync, images.SYNC),
}


def main() -> int:
    """Runs one command and says how large what it made is."""
    parser = argparse.ArgumentParser(prog="python -m tests.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="the images, as `docker load` takes them")
    build.add_argument("--only", choices=_ARCHIVES, help="operator (with the sandbox) or sync; else both")
    build.add_argument("--output", type=Path, help="copy the archives to this folder, as makini-NAME.tar")
    rootfs = commands.add_parser("rootfs", help="the files of an image, for the Dockerfile")
    rootfs.add_argument("folder", type=Path)
    rootfs.add_argument("--image", choices=RECIPES, default="operator")
    commands.add_parser("needs", help="print what requirements-sync.lock is made from")
    chosen = parser.parse_args()
    match chosen.command:
        case "build":
            for name in [chosen.only] if chosen.only else _ARCHIVES:
                _build(name, chosen.output)
        case "rootfs":
            recipe = RECIPES[chosen.image]
            tree.unpack(contents.system(recipe) | contents.program(recipe), chosen.folder)
        case _:
            sys.stdout.write(needs_of_sync())
    return 0


def _build(name: str, output: Path | None) -> None:
    make, named = _ARCHIVES[name]
    made = make()
    if output:
        output.mkdir(parents=True, exist_ok=True)
        made = Path(shutil.copyfile(made, output / f"makini-{name}.tar"))
    sys.stdout.write(f"{made}: {named}, {made.stat().st_size / _MEGABYTE:.0f} MB\n")


if __name__ == "__main__":
    sys.exit(main())
