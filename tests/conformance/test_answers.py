"""Every answer that the vendor's files describe, validated against them: each list, each record, each kind of write.

Against the patched files (`patch.jsonl` says what and why), which are stricter than the originals: every field has to
be there and no other.
"""

from collections.abc import Iterator
from typing import Any

import aiohttp
import jsonschema_rs
import pytest
from tests.conformance.vendor import as_json_schema, files, patched
from tests.unit.sandbox.box import NEW, Box, running

from makini_operator.sandbox.entities.catalogue import ENTITIES

METHODS = ("get", "post", "put")
USE = {"materialKey": "mat-6204", "storeroomKey": "store-1", "requiredQuantity": 1, "usedQuantity": 0}
BODIES: dict[str, dict[str, Any]] = {
    "customers": {"name": "New"},
    "products": {"name": "New", "taxKeys": ["tax-none"]},
    "stocks": {"quantity": 3, "materialKey": "mat-6204"},
    "sales-orders": {"customerKey": "customer-001", "lines": [{"productKey": "product-pump", "quantity": 1}]},
    "invoices": {"invoiceNumber": "1", "vendorKey": "vendor-tools", "lineItem": [{"quantity": "2"}]},
    "purchase-orders": {"vendorKey": "vendor-tools", "lineItems": [{"materialKey": "mat-6204"}]},
    "receiving": {"poKey": "po-001"},
    "rfq": {"siteKey": "site-1", "documentKeys": ["doc-001"], "lineItems": [{"materialKey": "mat-6204"}]},
    "materials": {"name": "New", "siteKeys": ["site-1"], "vendorKeys": "vendor-tools"},
    "inventories": {"quantity": 3},
    "stock-transfers": {"fromLocationKey": "loc-main", "toLocationKey": "loc-dock"},
    "return-orders": {"vendorKey": "vendor-tools", "lineItems": [{"quantity": 1}]},
    "fulfillments": {"salesOrderKey": "so-001", "lineItems": [{"productKey": "product-pump"}]},
    "assets": {"name": "New", "siteKey": "site-1"},
    "work-orders": {"title": "New", "estimatedTime": 3, "documents": {}, "tasks": {}},
    "service-requests": {"title": "New"},
}
STATUS: dict[str, tuple[str, dict[str, Any]]] = {
    "purchase-orders": ("po-001", {"status": "approved"}),
    "invoices": ("inv-doc-001", {"status": "approved"}),
    "fulfillments": ("ful-001", {"status": "shipped"}),
    "work-orders": ("wo-001", {"statusKey": "work-scheduled"}),
}


class Contract:
    """The patched files, as validators."""

    def __init__(self) -> None:
        self.documents = {name: as_json_schema(document) for name, document in patched(files()).items()}
        self._validators: dict[tuple[str, str, str], Any] = {}

    def operations(self, name: str) -> Iterator[tuple[str, str]]:
        for path, methods in self.documents[name]["paths"].items():
            yield from ((method, path) for method in METHODS if method in methods)

    def check(self, name: str, method: str, path: str, answer: Any) -> None:
        asked = (name, method, path)
        if asked not in self._validators:
            responses = self.documents[name]["paths"][path][method]["responses"]
            schema = responses["200"]["content"]["application/json"]["schema"]
            whole = schema | {"components": self.documents[name]["components"]}
            self._validators[asked] = jsonschema_rs.Draft4Validator(whole)
        problems = [f"{error.instance_path}: {error.message}" for error in self._validators[asked].iter_errors(answer)]
        assert not problems, f"{method} {path}: {problems[:5]}"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract()


@pytest.mark.parametrize("api", ["erp", "eam"])
async def test_every_list_and_every_record_conforms(contract: Contract, api: str) -> None:
    async with running() as box:
        token = await box.connect()
        for entity in ENTITIES.values():
            if api not in entity.apis:
                continue
            path = f"/api/{api}/{entity.name}"
            for page in ("?per_page=100", "?page=2", "?page=99"):
                contract.check(api, "get", path, (await box.call("GET", path + page, token=token)).body)
            for key in await keys(box, path, token) if entity.has_one else ():
                one = (await box.call("GET", f"{path}/{key}", token=token)).body
                contract.check(api, "get", path + "/{key}", one)


@pytest.mark.parametrize("api", ["erp", "eam"])
async def test_lists_below_a_record_conform(contract: Contract, api: str) -> None:
    below = [path for method, path in contract.operations(api) if method == "get" and "{key}/" in path]
    assert len(below) == {"erp": 2, "eam": 5}[api]
    async with running() as box:
        token = await box.connect()
        for path in below:
            for key in await keys(box, path.partition("/{key}")[0], token):
                answer = await box.call("GET", path.replace("{key}", key), token=token)
                contract.check(api, "get", path, answer.body)


@pytest.mark.parametrize("api", ["erp", "eam"])
async def test_every_write_conforms(contract: Contract, api: str) -> None:
    writes = [(method, path) for method, path in contract.operations(api) if method != "get"]
    async with running() as box:
        token = await box.connect()
        for method, path in writes:
            name = path.split("/")[3]
            key = (await keys(box, f"/api/{api}/{name}", token))[-1]
            body: Any = {"json": BODIES.get(name, {})}
            if path.endswith("/status"):
                key, status = STATUS[name]
                body = {"json": status}
            elif "/materials" in path and name == "work-orders":
                body = {"json": USE}
            elif name == "documents":
                body = {"data": uploaded()}
            where = path.replace("{key}", key).replace("{materialKey}", "mat-6204")
            answer = await box.call(method.upper(), where, token=token, **body)
            assert answer.status == 200, (method, where, answer.body)
            contract.check(api, method, path, answer.body)


async def test_the_account_s_answers_conform(contract: Contract) -> None:
    async with running() as box:
        token = await box.connect()
        key = (await box.ids())[0]
        calls: list[tuple[str, str, str | None, Any]] = [
            ("get", "/api/system/platforms", None, None),
            ("get", "/api/system/client", None, None),
            ("get", "/api/system/connections", None, None),
            ("post", "/api/system/connections", None, NEW),
            ("post", "/api/system/connections/{id}/metadata", None, [{"key": "a", "value": "b"}]),
            ("get", "/api/system/connections/{id}/metadata", None, None),
            ("post", "/api/system/connections/{id}/token", None, {}),
            ("get", "/api/integrations/current", token, None),
            ("get", "/api/raw/tables", token, None),
            ("get", "/api/raw/tables/{table}/data", token, None),
            ("post", "/api/passthrough", token, {"method": "get", "path": "x"}),
        ]
        assert {(method, path) for method, path, _, _ in calls} == set(contract.operations("system"))
        for method, path, bearer, body in calls:
            where = path.replace("{id}", key).replace("{table}", "assets")
            answer = await box.call(method.upper(), where, token=bearer, **({} if body is None else {"json": body}))
            assert answer.status == 200, (path, answer.body)
            contract.check("system", method, path, answer.body)


def uploaded() -> aiohttp.FormData:
    form = aiohttp.FormData({"name": "Plan.pdf"})
    form.add_field("file", b"%PDF", filename="plan.pdf", content_type="application/pdf")
    return form


async def keys(box: Box, path: str, token: str) -> list[str]:
    return [row["key"] for row in (await box.call("GET", path + "?per_page=100", token=token)).body["data"]]
