"""Every version of every pool and connection that the API server ever showed, and whether each kept the promise."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.harness.process import Process
from tests.localkube import LocalKube
from tests.localkube.waiting import wait_until

_API = "/apis/makini.io/v1beta1"
KINDS = ("creditpools", "makiniconnections")


@dataclass
class _Books:
    """One pool as it stood at one moment. `claims` by the connections' uids."""

    held: int = 0
    claims: dict[str, int] = field(default_factory=dict)


class History:
    """Two watches, for the `with` statement; each event is kept, none is missed between two looks."""

    def __init__(self, cluster: LocalKube, directory: Path) -> None:
        self._cluster = cluster
        command = [str(cluster.binary), "kubectl", "get", "--raw"]
        self._watches = {
            kind: Process(
                [*command, f"{_API}/{kind}?watch=true&allowWatchBookmarks=false"],
                log=directory / f"{kind}.history",
                environment=cluster.environment(),
            )
            for kind in KINDS
        }

    def __enter__(self) -> Self:
        for watch in self._watches.values():
            watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self._watches.values():
            watch.kill()

    def violations(self, pools: set[str]) -> list[str]:
        """All moments at which one of these pools held more than it may, or less than was claimed of it."""
        self._catch_up()
        return replay(self._events(), pools)

    def versions(self) -> int:
        """How many versions of objects were looked at."""
        return len(self._events())

    def _events(self) -> list[dict[str, Any]]:
        lines = [line for watch in self._watches.values() for line in watch.text().splitlines(keepends=True)]
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        errors = [event for event in events if event["type"] == "ERROR"]
        assert not errors, f"a watch broke: {errors[0]}"
        return events

    def _catch_up(self) -> None:
        """Wait until each watch has shown what stands there now."""
        for kind, watch in self._watches.items():
            status, text = self._cluster.request("GET", f"{_API}/{kind}")
            assert status == 200, text
            newest = max((int(o["metadata"]["resourceVersion"]) for o in json.loads(text)["items"]), default=0)
            shown = f'"resourceVersion":"{newest}"'
            wait_until(lambda watch=watch, shown=shown, newest=newest: newest == 0 or shown in watch.text(), 10, shown)
            assert watch.is_running, f"the watch of {kind} has ended: {watch.text()[-300:]}"


def replay(events: list[dict[str, Any]], pools: set[str]) -> list[str]:
    """What is wrong in a history; the versions of both kinds are numbers of one sequence, the API server's."""
    books = {name: _Books() for name in pools}
    found: list[str] = []
    for event in sorted(events, key=_version):
        obj = event["object"]
        name = obj["metadata"]["name"]
        if obj["kind"] != "CreditPool":
            _take_connection(books, event)
        elif name in books:
            found += _take_pool(books[name], event)
        found += [
            f"at version {_version(event)}: pool {pool} holds {of.held}, but {sum(of.claims.values())} are claimed"
            for pool, of in books.items()
            if sum(of.claims.values()) > of.held
        ]
    return found


def _version(event: dict[str, Any]) -> int:
    return int(event["object"]["metadata"]["resourceVersion"])


def _take_pool(books: _Books, event: dict[str, Any]) -> list[str]:
    obj = event["object"]
    before, books.held = books.held, (obj.get("status") or {}).get("credits", {}).get("held", 0)
    limit = obj["spec"]["credits"] + obj["spec"].get("overage", {}).get("limit", 0)
    if event["type"] == "DELETED":
        books.held = 0
    if before < books.held and books.held > limit:
        return [f"at version {_version(event)}: pool {obj['metadata']['name']} grants {books.held} of {limit}"]
    return []


def _take_connection(books: dict[str, _Books], event: dict[str, Any]) -> None:
    obj = event["object"]
    claim = (obj.get("status") or {}).get("credits") if event["type"] != "DELETED" else None
    for name, of in books.items():
        of.claims.pop(obj["metadata"]["uid"], None)
        if claim and claim["pool"] == name:
            of.claims[obj["metadata"]["uid"]] = claim["amount"]
