"""What goes with a dataset in files, and what must not go: a folder or prefix that only happens to have its name.

The folder `<dataset>/` is the dataset's: all that is in it goes. Of `<dataset>_staging/` only dlt's copies of the
dataset's tables go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from makini_operator.sync.destinations.base import STAGING, Doomed, foreign, is_data
from makini_operator.sync.destinations.objects import Objects

STARTED = "init"  # the file by which dlt knows a folder as its own
_OWNER = "_dataset.json"  # the state that every run begins with


def is_there(objects: Objects, dataset: str) -> bool:
    """Say whether there is such a dataset.

    Raises:
        BadSettings: there is something of that name, and no state of ours beside it.
    """
    if objects.get(f"{dataset}.state/{_OWNER}"):
        return True
    for folder in (f"{dataset}/", f"{dataset}.state/"):
        if objects.holds(folder):
            raise foreign(folder)
    return False


def doomed(objects: Objects, dataset: str, rows: Callable[[], Mapping[str, int]]) -> Doomed:
    """Return what goes; `rows` counts those of the tables."""
    if not is_there(objects, dataset):
        return Doomed(rows={}, others=[], kept=[])
    counts = rows()
    entries = _entries(objects, f"{dataset}/")
    staged, kept = _staged(objects, dataset, entries)
    others = [f"{dataset}/{entry} ({_files(count)})" for entry, count in entries.items() if entry not in counts]
    others += [f"{dataset}.state/ ({_files(len(objects.names(f'{dataset}.state/')))})"]
    return Doomed(rows=counts, others=others + [f"{dataset}{STAGING}/{entry}" for entry in staged], kept=kept)


def purge(objects: Objects, dataset: str) -> None:
    """Delete it; the cursors first, so that after a crash in between a sync begins anew."""
    if not is_there(objects, dataset):
        return
    staged, _ = _staged(objects, dataset, _entries(objects, f"{dataset}/"))
    objects.delete_all(f"{dataset}.state/")
    objects.delete_all(f"{dataset}/")
    for entry in staged:
        _delete(objects, f"{dataset}{STAGING}/{entry}")
    if not objects.holds(f"{dataset}{STAGING}/"):
        objects.delete_all(f"{dataset}{STAGING}/")


def _staged(objects: Objects, dataset: str, entries: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Return what of the staging folder is ours, and a text for each entry that is not."""
    folder = f"{dataset}{STAGING}/"
    found = list(_entries(objects, folder))
    if STARTED not in found:
        return [], [folder + entry for entry in found]
    ours = [entry for entry in found if entry == STARTED or entry in entries or not is_data(entry.rstrip("/"))]
    others = [entry for entry in found if entry not in ours]
    if others:  # then dlt's own files may be those of another's pipeline
        ours = [entry for entry in ours if is_data(entry.rstrip("/")) and entry != STARTED]
    return ours, [folder + entry for entry in found if entry not in ours]


def _entries(objects: Objects, folder: str) -> dict[str, int]:
    """Return what is directly in a folder, with the number of files; the name of a folder ends with `/`."""
    names = (name.removeprefix(folder).partition("/") for name in objects.names(folder))
    return dict(Counter(first + slash for first, slash, _ in names))


def _delete(objects: Objects, name: str) -> None:
    if name.endswith("/"):
        objects.delete_all(name)
    else:
        objects.delete(name)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
