"""`makini-operator crds`: print, write or compare the generated CustomResourceDefinitions."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import yaml

from makini_operator.resources.crd import KINDS, Kind, definition

_HEADER = "# Generated from the models by `makini-operator crds --output crds`; do not edit.\n"


class _PlainDumper(yaml.SafeDumper):
    """YAML without anchors: a reviewer reads every field where it stands."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def render(kind: Kind) -> str:
    """One kind's CRD as YAML."""
    text = yaml.dump(definition(kind), Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True)
    return _HEADER + text


def file_name(kind: Kind) -> str:
    """Name of the file that holds this kind's CRD."""
    return f"{kind.plural}.yaml"


@click.command()
@click.option("--output", type=click.Path(path_type=Path), help="Write one file for each kind into this folder.")
@click.option("--check", is_flag=True, help="Exit with 1 if the files in crds/ differ from what would be written.")
def crds(output: Path | None, *, check: bool) -> None:
    """Print, write or compare the CustomResourceDefinitions."""
    if check:
        _check(output or Path("crds"))
    elif output:
        output.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            (output / file_name(kind)).write_text(render(kind), encoding="utf-8")
    else:
        click.echo("---\n".join(render(kind) for kind in KINDS), nl=False)


def _check(folder: Path) -> None:
    stale = [str(folder / file_name(kind)) for kind in KINDS if _read(folder / file_name(kind)) != render(kind)]
    if stale:
        click.echo(f"out of date: {', '.join(stale)}; run `makini-operator crds --output {folder}`", err=True)
        sys.exit(1)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
