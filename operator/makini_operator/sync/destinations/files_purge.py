"""What goes with a dataset in files, and what must not go: a folder or prefix that only happens to have its name.

The folder `<dataset>/` is the dataset's: all that is in it goes. Of `<dataset>_staging/` only dlt's copies of the
dataset's tables go.

A purge is many steps, and may be killed between any two. A file says from the first to the last that one is at work: as
long as it is there a purge can be repeated, and no sync begins on what is left of the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from makini_operator.sync.destinations.base import STAGING, Doomed, foreign, is_data
from makini_operator.sync.destinations.objects import Objects
from makini_operator.sync.errors import BadSettings

STARTED = "init"  # the file by which dlt knows a folder as its own
_OWNER = "_dataset.json"  # the state that every run begins with
_PURGING = "purging"


def is_there(objects: Objects, dataset: str) -> bool:
    """Say whether there is such a dataset.

    Raises:
        BadSettings: there is something of that name, and no state of ours beside it.
    """
    if objects.get(f"{dataset}.state/{_OWNER}") or _is_half_purged(objects, dataset):
        return True
    for folder in (f"{dataset}/", f"{dataset}.state/"):
        if objects.holds(folder):
            raise foreign(folder)
    return False


def check_usable(objects: Objects, dataset: str) -> None:
    """Look whether a sync may load here.

    Raises:
        BadSettings: a purge was killed; or the folders hold what is not dlt's.
    """
    check_whole(objects, dataset)
    for folder in (f"{dataset}/", f"{dataset}{STAGING}/"):
        if not objects.get(folder + STARTED):
            if objects.holds(folder):
                raise BadSettings(f"{folder} holds files that are not a dataset of ours: choose another folder")
            # What dlt leaves when it is killed at its very first step, and then trips over.
            objects.delete_empty(folder)


def check_whole(objects: Objects, dataset: str) -> None:
    """Raise BadSettings when a purge was killed before it was done."""
    if _is_half_purged(objects, dataset):
        raise BadSettings(
            f"a purge of dataset {dataset!r} was interrupted: finish it with makini-operator history purge --confirm "
            f"{dataset}"
        )


def doomed(objects: Objects, dataset: str, rows: Callable[[], Mapping[str, int]]) -> Doomed:
    """Return what goes; `rows` counts those of the tables, unless they are half gone."""
    if not is_there(objects, dataset):
        return Doomed(rows={}, others=[], kept=[])
    counts = {} if _is_half_purged(objects, dataset) else rows()
    entries = _entries(objects, f"{dataset}/")
    staged, kept = _staged(objects, dataset, entries)
    others = [
        f"{dataset}/{entry} ({_files(count)})" for entry, count in entries.items() if entry.rstrip("/") not in counts
    ]
    others += [f"{dataset}.state/ ({_files(len(objects.names(f'{dataset}.state/')))})"]
    return Doomed(rows=counts, others=others + [f"{dataset}{STAGING}/{entry}" for entry in staged], kept=kept)


def purge(objects: Objects, dataset: str) -> None:
    """Delete it; after a crash in between it can be repeated.

    The cursors go first, what tells that the dataset is ours last; the copies before the tables that they are known by.
    """
    if not is_there(objects, dataset):
        return
    state, staging = f"{dataset}.state/", f"{dataset}{STAGING}/"
    objects.put(state + _PURGING, b"")
    for name in objects.names(state):
        if name not in {state + _OWNER, state + _PURGING}:
            objects.delete(name)
    entries = _entries(objects, f"{dataset}/")
    for entry in _started_last(_staged(objects, dataset, entries)[0]):
        _delete(objects, staging + entry)
    if not objects.holds(staging):
        objects.delete_empty(staging)
    for entry in _started_last(entries):
        _delete(objects, f"{dataset}/{entry}")
    objects.delete_all(f"{dataset}/")
    objects.delete(state + _OWNER)
    objects.delete_all(state)


def _is_half_purged(objects: Objects, dataset: str) -> bool:
    return objects.get(f"{dataset}.state/{_PURGING}") is not None


def _started_last(entries: Iterable[str]) -> list[str]:
    return sorted(entries, key=lambda entry: (entry == STARTED, entry))


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
