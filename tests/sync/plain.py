"""What one writes with dlt's own REST source, run as a process: url, where to (a DuckDB file, or a DSN), how to page.

Prints what it loaded. It is here to show which losses dlt reports as success, and so what the guard is for.
"""

import json
import sys
from typing import Any

import dlt
from dlt.sources.rest_api import rest_api_source
from tests.sync.fakemakini import TOKEN

PAGING: dict[str, dict[str, Any]] = {
    "numbers": {"type": "page_number", "base_page": 1, "total_path": "meta.last_page"},
    "numbers-on-empty": {
        "type": "page_number", "base_page": 1, "total_path": "meta.last_page", "stop_after_empty_page": False,
    },
    "links": {"type": "json_link", "next_url_path": "links.next"},
}  # fmt: skip


def main(url: str, place: str, paging: str, per_page: str = "10") -> None:
    orders = {
        "name": "orders",
        "primary_key": "key",
        "write_disposition": "merge",
        "endpoint": {
            "path": "erp/purchase-orders",
            "data_selector": "data",
            "params": {
                "per_page": per_page,
                "sort[updatedAt]": "0",
                "filter[updatedAt:gteq]": "{incremental.start_value}",
            },
            "incremental": {"cursor_path": "updatedAt", "initial_value": "2026-01-01T00:00:00Z"},
        },
    }
    client = {"base_url": f"{url}/api/", "auth": {"type": "bearer", "token": TOKEN}, "paginator": PAGING[paging]}
    source = rest_api_source({"client": client, "resources": [orders]})  # type: ignore[typeddict-item]
    is_postgres = place.startswith("postgresql:")
    destination = dlt.destinations.postgres(place) if is_postgres else dlt.destinations.duckdb(place)
    pipeline = dlt.pipeline(pipeline_name="plain", destination=destination, dataset_name="plain")
    pipeline.run(source, loader_file_format="insert_values" if is_postgres else "parquet").raise_on_failed_jobs()
    with pipeline.sql_client() as database:
        rows = database.execute_sql("SELECT key, title FROM orders")
    print(json.dumps(dict(rows)))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main(*sys.argv[1:])
