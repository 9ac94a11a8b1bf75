"""What one writes with dlt's own REST source, run as a process: url, DuckDB file, and how to page.

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


def main(url: str, file: str, paging: str, dataset: str = "plain") -> None:
    orders = {
        "name": "orders",
        "primary_key": "key",
        "write_disposition": "merge",
        "endpoint": {
            "path": "erp/purchase-orders",
            "data_selector": "data",
            "params": {
                "per_page": 10,
                "sort[updatedAt]": "0",
                "filter[updatedAt:gteq]": "{incremental.start_value}",
            },
            "incremental": {"cursor_path": "updatedAt", "initial_value": "2026-01-01T00:00:00Z"},
        },
    }
    client = {"base_url": f"{url}/api/", "auth": {"type": "bearer", "token": TOKEN}, "paginator": PAGING[paging]}
    source = rest_api_source({"client": client, "resources": [orders]})  # type: ignore[typeddict-item]
    pipeline = dlt.pipeline(pipeline_name="plain", destination=dlt.destinations.duckdb(file), dataset_name=dataset)
    pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()
    with pipeline.sql_client() as database:
        rows = database.execute_sql("SELECT key, title FROM orders")
    print(json.dumps(dict(rows)))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main(*sys.argv[1:])
