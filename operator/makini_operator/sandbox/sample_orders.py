"""Twenty-five purchase orders that hang together: totals are the sums of their lines, and dates follow the state.

Made by rule from a small catalogue, the same at every start, so that a test can expect them: drafts have no approval,
approved orders have lines received in part or not at all, completed ones have everything received. Every fifth order
has custom fields. Field names: sync-facts, section 1 (`customFields` is assumed; the vendor's files do not show any).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

_START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
_TAX = Decimal("1.20")
_CENT = Decimal("0.01")
_STATES = ("draft", "approved", "completed", "approved", "completed")
_VENDORS = ("vendor-bearings", "vendor-hydraulics", "vendor-electrics", "vendor-tools")
_COUNT = 25


@dataclass(frozen=True, kw_only=True)
class _Material:
    key: str
    name: str
    price: Decimal
    unit: str


_MATERIALS = (
    _Material(key="mat-6204", name="Ball bearing 6204", price=Decimal("4.10"), unit="EA"),
    _Material(key="mat-seal-40", name="Shaft seal 40 mm", price=Decimal("7.85"), unit="EA"),
    _Material(key="mat-hlp-46", name="Hydraulic oil HLP 46", price=Decimal("3.20"), unit="L"),
    _Material(key="mat-relay-24", name="Relay 24 V", price=Decimal("12.40"), unit="EA"),
    _Material(key="mat-belt-b50", name="V-belt B50", price=Decimal("9.95"), unit="EA"),
    _Material(key="mat-cable-3g", name="Cable 3G2.5", price=Decimal("1.15"), unit="M"),
)


def _order(index: int) -> dict[str, Any]:
    state = _STATES[index % len(_STATES)]
    ordered = _START + timedelta(days=3 * index)
    approved = ordered + timedelta(days=1) if state != "draft" else None
    completed = ordered + timedelta(days=9) if state == "completed" else None
    changed = completed or approved or ordered
    key = f"po-{index + 1:03d}"
    lines = [
        _line(key, index, number, state=state, ordered=ordered, changed=changed) for number in range(1 + index % 3)
    ]
    net = sum((Decimal(line["lineTotalValue"]) for line in lines), Decimal(0))
    order: dict[str, Any] = {
        "key": key,
        "siteKey": f"site-{1 + index % 2}",
        "organizationKey": "org-1",
        "orderDate": _time(ordered),
        "vendorKey": _VENDORS[index % len(_VENDORS)],
        "userRequestedKey": "user-planner",
        "userApprovedKey": "user-manager" if approved else None,
        "orderNo": f"PO-2026-{index + 1:04d}",
        "statusKey": f"status-{state}",
        "title": f"Spare parts {index + 1}",
        "description": "Regular replenishment" if index % 2 else None,
        "dueAt": _time(ordered + timedelta(days=14)),
        "approvedAt": _time(approved),
        "completedAt": _time(completed),
        "shippingMethod": "truck",
        "shipmentDate": _time(completed),
        "shipmentAddress": None,
        "billingAddress": "Works 1, Gate 2",
        "terms": "net 30",
        "notes": None,
        "deliveryAddress": "Works 1, Gate 5",
        "currencyKey": "EUR",
        "locationKey": "loc-main",
        "totalNetValue": str(net),
        "totalGrossValue": str((net * _TAX).quantize(_CENT)),
        "updatedAt": _time(changed),
        "lineItems": lines,
    }
    if index % 4 == 1:  # in step with no state, so that every state has some
        order["customFields"] = {"costCenter": f"CC-{100 + index}", "urgent": index % 8 == 1}
    return order


def _line(order: str, index: int, number: int, *, state: str, ordered: datetime, changed: datetime) -> dict[str, Any]:
    material = _MATERIALS[(index + number) % len(_MATERIALS)]
    quantity = 4 + 2 * ((index + number) % 5)
    # An approved order's first line has come by half: that is what makes a sync of changes interesting.
    received = {"completed": quantity, "approved": 0 if number else quantity // 2}.get(state, 0)
    total = material.price * quantity
    return {
        "key": f"{order}-{number + 1}",
        "locationKey": "loc-main",
        "accountKey": "acct-6000",
        "vendorKey": _VENDORS[index % len(_VENDORS)],
        "assetKey": None,
        "materialKey": material.key,
        "productKey": None,
        "statusKey": f"status-{state}",
        "storeroomKey": "store-1",
        "lineNo": str(number + 1),
        "code": material.key.upper(),
        "type": "material",
        "name": material.name,
        "description": None,
        "lineRef": None,
        "quantity": str(quantity),
        "receivedQuantity": str(received),
        "uomKey": material.unit,
        "currencyKey": "EUR",
        "price": str(material.price),
        "discount": "0.00",
        "lineTaxValue": str((total * (_TAX - 1)).quantize(_CENT)),
        "lineTotalValue": str(total),
        "notes": None,
        "deliveryAt": _time(ordered + timedelta(days=9)),
        "dueAt": _time(ordered + timedelta(days=14)),
        "createdAt": _time(ordered),
        "updatedAt": _time(changed),
        "deletedAt": None,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


ORDERS: tuple[dict[str, Any], ...] = tuple(
    sorted(
        (_order(index) for index in range(_COUNT)), key=lambda order: (order["updatedAt"], order["key"]), reverse=True
    )
)
