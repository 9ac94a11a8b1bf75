"""What is at the destinations of a tenant's syncs, and what Makini serves: for comparing the two."""

import json
from dataclasses import dataclass

from tests import images
from tests.harness.sandbox import Sandbox
from tests.node.pods import CONFINED, Pods
from tests.sync.reading import LINES, ORDERS, Postgres, Row

_READ = """
import duckdb, json, sys
dataset, *tables = sys.argv[1:]
with duckdb.connect(f"/history/{dataset}-history.duckdb", read_only=True) as database:
    for table in tables:
        found = database.execute(f'SELECT * FROM "{dataset}"."{table}"')
        names = [column[0] for column in found.description]
        print(json.dumps([dict(zip(names, row)) for row in found.fetchall()], default=str))
"""


@dataclass(frozen=True)
class Snapshot:
    """All rows of a destination at one moment, by table."""

    tables: dict[str, list[Row]]

    def rows(self, table: str) -> list[Row]:
        return self.tables[table]


def snapshot(tables: dict[str, list[Row]]) -> Snapshot:
    """Equal to another one if the rows are."""
    return Snapshot({name: sorted(rows, key=lambda row: row["_makini_key"]) for name, rows in tables.items()})


def in_postgres(dsn: str, dataset: str) -> Snapshot:
    database = Postgres(dsn, dataset)
    return snapshot({table: database.rows(table) for table in (ORDERS, LINES)})


def start_reader(pods: Pods, claim: str) -> None:
    """A pod `reader` of the namespace that sees the volume, as somebody would who works with the rows."""
    pods.run(
        "reader",
        image=images.SYNC,
        container={
            "command": ["/usr/local/bin/python3", "-c", "import signal; signal.pause()"],
            "securityContext": CONFINED | {"runAsUser": 65532, "runAsGroup": 65532},
            "volumeMounts": [{"name": "history", "mountPath": "/history"}],
        },
        securityContext={"fsGroup": 65532},
        volumes=[{"name": "history", "persistentVolumeClaim": {"claimName": claim}}],
    )
    pods.until_ready("reader")


def in_duckdb(pods: Pods, dataset: str) -> Snapshot:
    """Read by the pod `reader`; fails while a run is at work."""
    said = pods.python("reader", _READ, dataset, ORDERS, LINES)
    orders, lines = (json.loads(line) for line in said.splitlines())
    return snapshot({ORDERS: orders, LINES: lines})


def served(sandbox: Sandbox, token: str) -> dict[str, Row]:
    """Every purchase order that Makini serves now, by key."""
    found: dict[str, Row] = {}
    page, last = 1, 1
    while page <= last:
        status, answer = sandbox.call("GET", f"/api/erp/purchase-orders?per_page=100&page={page}", token=token)
        assert status == 200, answer
        found |= {record["key"]: record for record in answer["data"]}
        page, last = page + 1, answer["meta"]["last_page"]
    return found
