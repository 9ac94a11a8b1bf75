"""The mistakes that an integration should be tried with: what to send, and what comes back.

Shown on the page for people and in docs/sandbox.md; a test sends every one of them.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ErrorCase:
    """One wrong request.

    Attributes:
        title: what is wrong, for people.
        method, path: where it goes.
        body: sent as JSON; None sends none.
        status, code: what comes back.
        with_token: whether it is sent with a connection's token.
    """

    title: str
    method: str
    path: str
    body: dict[str, Any] | None
    status: int
    code: str
    with_token: bool = True

    def curl(self, url: str) -> str:
        """Return the command line; `as` and `$token` are explained beside it."""
        words = ['as "$token"' if self.with_token else "curl -sS"]
        words += [f"-X {self.method}"] if self.method != "GET" and not (self.method == "POST" and self.body) else []
        if self.body is not None:
            words += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(self.body)}'"]
        return " ".join([*words, f"'{url}{self.path}'" if "[" in self.path else url + self.path])


_ORDERS = "/api/erp/purchase-orders"
_USE = {"materialKey": "mat-gear-m2", "storeroomKey": "store-1", "requiredQuantity": 1, "usedQuantity": 0}

ERROR_CASES = (
    ErrorCase(
        title="No token, or one that was revoked",
        method="GET", path=_ORDERS, body=None, status=401, code="AUTHENTICATION_FAILED", with_token=False,
    ),
    ErrorCase(
        title="A required field is missing",
        method="POST", path=_ORDERS, body={"title": "Bearings"}, status=400, code="VALIDATION_FAILED",
    ),
    ErrorCase(
        title="The vendor does not exist",
        method="POST", path=_ORDERS, body={"vendorKey": "nobody"}, status=400, code="VENDOR_UNKNOWN",
    ),
    ErrorCase(
        title="The item is out of stock",
        method="POST", path=_ORDERS, status=400, code="OUT_OF_STOCK",
        body={"vendorKey": "vendor-tools", "lineItems": [{"materialKey": "mat-gear-m2", "quantity": 1}]},
    ),
    ErrorCase(
        title="The order is approved, so it is locked",
        method="PUT", path=f"{_ORDERS}/po-002", body={"title": "Too late"}, status=400, code="PURCHASE_ORDER_LOCKED",
    ),
    ErrorCase(
        title="The status does not exist",
        method="PUT", path=f"{_ORDERS}/po-001/status", body={"status": "lost"}, status=400, code="STATUS_UNKNOWN",
    ),
    ErrorCase(
        title="A completed order cannot be a draft again",
        method="PUT", path=f"{_ORDERS}/po-003/status", body={"status": "draft"}, status=400, code="STATUS_NOT_ALLOWED",
    ),
    ErrorCase(
        title="A work order needs a part that is not there",
        method="POST", path="/api/eam/work-orders/wo-001/materials", body=_USE, status=400, code="OUT_OF_STOCK",
    ),
    ErrorCase(
        title="The record does not exist",
        method="GET", path=f"{_ORDERS}/po-999", body=None, status=404, code="PURCHASE_ORDER_NOT_FOUND",
    ),
    ErrorCase(
        title="The filter names a field that does not exist",
        method="GET", path=f"{_ORDERS}?filter[colour]=red", body=None, status=400, code="INVALID_PARAMETER",
    ),
)  # fmt: skip
