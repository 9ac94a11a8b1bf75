"""A source of our own for the sync program: it sorts, filters and pages as the vendor's files say, and fails on demand.

Not the sandbox: that one stands in for a Makini that works. This one changes its records between two pages, kills its
token, cuts answers off, repeats pages, and counts who asked for what with which token.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Record = dict[str, Any]
START = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
TOKEN = "token-of-the-connection-4711"  # noqa: S105 - of a test


@dataclass
class Hit:
    """One request and the answer that would be given. A fault may change it, or return another."""

    number: int
    entity: str
    page: int
    query: dict[str, str]
    token: str
    envelope: dict[str, Any]


Answer = tuple[int, dict[str, str], bytes]
Fault = Callable[[Hit], Answer | None]


@dataclass
class FakeMakini:
    """`records` by entity and key. `fault` sees every request before it is answered."""

    records: dict[str, dict[str, Record]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    fault: Fault | None = None
    newest_first: bool = True  # False: what `sort` asks for is ignored, and the oldest come first
    links_to: str = ""  # the origin that links name; empty: this one
    hits: list[Hit] = field(default_factory=list)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, entity: str, *records: Record) -> None:
        for record in records:
            self.records.setdefault(entity, {})[record["key"]] = record

    def answer(self, path: str, query: dict[str, str], token: str) -> Answer:
        entity, page = path.removeprefix("/api/"), int(query.get("page", "1"))
        per_page = int(query.get("per_page", "100"))
        with self._lock:
            hit = Hit(len(self.hits) + 1, entity, page, query, token, {})
            self.hits.append(hit)
            if token not in self.tokens:
                return 401, {}, b'{"code": "AUTHENTICATION_FAILED", "message": "token expired"}'
            rows = self._listed(entity, query)
            hit.envelope = envelope(self.links_to or self.url, path, rows, page, per_page)
        # Without the lock: a fault may hold one run's answer for as long as it likes, and another run goes on.
        answer = self.fault(hit) if self.fault else None
        return answer or (200, {}, json.dumps(hit.envelope).encode())

    def _listed(self, entity: str, query: dict[str, str]) -> list[Record]:
        rows = list(self.records.get(entity, {}).values())
        since = query.get("filter[updatedAt:gteq]")
        if since:
            rows = [row for row in rows if row["updatedAt"] >= since]
        if rows and "updatedAt" in rows[0]:
            is_reversed = self.newest_first and query.get("sort[updatedAt]") == "1"
            rows.sort(key=lambda row: (row["updatedAt"], row["key"]), reverse=is_reversed)
        return rows


def envelope(url: str, path: str, rows: list[Record], page: int, per_page: int) -> dict[str, Any]:
    shown = rows[(page - 1) * per_page : page * per_page]
    last = max(1, -(-len(rows) // per_page))
    link = f"{url}{path}?per_page={per_page}&page="
    return {
        "data": shown,
        "links": {
            "first": f"{link}1",
            "last": f"{link}{last}",
            "prev": f"{link}{page - 1}" if page > 1 else None,
            "next": f"{link}{page + 1}" if page < last else None,
        },
        "meta": {
            "current_page": page,
            "from": (page - 1) * per_page + 1 if shown else None,
            "last_page": last,
            "path": f"{url}{path}",
            "per_page": per_page,
            "to": (page - 1) * per_page + len(shown) if shown else None,
            "total": len(rows),
        },
    }


def order(number: int, *, lines: int = 3, changed: int | None = None, **fields: Any) -> Record:
    """A purchase order. `changed` is in seconds after the start; by default the order's number."""
    moment = stamp(number if changed is None else changed)
    return {
        "key": f"po-{number}",
        "siteKey": "site-1",
        "orderNo": f"PO-{number}",
        "orderDate": "2026-11-01T08:00:00Z",
        "vendorKey": f"vendor-{number % 7}",
        "statusKey": "approved",
        "title": f'Bearings, "large" — Größe {number}\n',
        "description": "",
        "notes": None,
        "currencyKey": "EUR",
        "totalNetValue": "120.50",
        "totalGrossValue": "144.60",
        "updatedAt": moment,
        "lineItems": [
            {
                "key": f"po-{number}-{line}",
                "lineNo": str(line),
                "materialKey": f"mat-{line}",
                "quantity": 5,
                "price": 24.10,
                "notes": "",
                "updatedAt": moment,
                "deletedAt": None,
            }
            for line in range(1, lines + 1)
        ],
        **fields,
    }


def stamp(seconds: int) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def serving(fake: FakeMakini) -> Iterator[FakeMakini]:
    """Serve it on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, headers, body = fake.answer(parts.path, dict(parse_qsl(parts.query)), token)
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            if "Content-Length" in headers:
                self.close_connection = True  # a length that is not true: the rest never comes

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
