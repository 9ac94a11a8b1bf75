"""Buying: requisition, request for quotation, purchase order, receiving, return.

Purchase orders are in both APIs. An approved or completed one is locked: only its status can change. The body of a
purchase order has no lines in the vendor's files; `lineItems` is accepted and checked here all the same, because
ordering an item that is out of stock is one of the error cases the vendor names.
"""

from typing import Any

from makini_operator.sandbox.entities.model import BOTH, EAM, ERP, Entity, State, States, Writes, shape
from makini_operator.sandbox.entities.shared import TIMES

_TOTALS = " totalNetValue:num totalTaxValue:num totalGrossValue:num"

ORDER_STATES = States(
    family="purchase-orders",
    prefix="status",
    states=(
        State(code="draft", follows=("approved", "cancelled")),
        State(code="approved", fills=("userApprovedKey", "approvedAt"), received="part",
              follows=("completed", "cancelled"), locked=True),
        State(code="completed", fills=("userApprovedKey", "approvedAt", "shipmentDate", "completedAt"),
              received="all", locked=True),
        State(code="cancelled", locked=True),
    ),
    cycle=("draft", "approved", "completed", "approved", "completed"),
)  # fmt: skip
_BUYING = (
    State(code="open", follows=("approved", "closed")),
    State(code="approved", fills=("userApprovedKey",), follows=("closed",)),
    State(code="closed", fills=("userApprovedKey",), received="all", locked=True),
)
REQUISITION_STATES = States(
    family="purchase-requisitions", prefix="requisition", states=_BUYING, cycle=("open", "approved", "closed")
)
RFQ_STATES = States(family="rfq", prefix="rfq-status", states=_BUYING, cycle=("open", "closed"))
RETURN_STATES = States(
    family="return-orders",
    prefix="return",
    states=(
        State(code="open", follows=("approved", "closed")),
        State(code="approved", fills=("approvedAt",), follows=("closed",)),
        State(code="closed", fills=("approvedAt", "completedAt"), received="all", locked=True),
    ),
    cycle=("open", "approved", "closed"),
)
RECEIVING_STATES = States(
    family="receiving", prefix="receiving-status",
    states=(
        State(code="announced", follows=("received",)),
        State(code="received", fills=("completedAt",), received="all", locked=True),
    ),
    cycle=("announced", "received"),
)  # fmt: skip


def _custom_fields(index: int) -> dict[str, Any] | None:
    # In step with no state, so that orders of every state have some.
    return {"costCenter": f"CC-{100 + index}", "urgent": index % 8 == 1} if index % 4 == 1 else None


PURCHASE_ORDERS = Entity(
    name="purchase-orders", apis=BOTH, prefix="po", count=25, states=ORDER_STATES, custom=_custom_fields,
    shape=shape(
        "PurchaseOrder",
        "key siteKey>sites organizationKey>organizations orderDate:time vendorKey>vendors userRequestedKey>users"
        " userApprovedKey>users orderNo statusKey title description dueAt:time approvedAt:time completedAt:time"
        " shippingMethod shipmentDate:time shipmentAddress:Address billingAddress:Address terms notes"
        " deliveryAddress:Address currencyKey>currencies locationKey>locations totalNetValue:num totalGrossValue:num"
        " updatedAt:time lineItems:POLineItem[]",
        organizationKey="org-1", userRequestedKey="user-planner", userApprovedKey="user-manager",
        orderNo="PO-2026-{n:04d}", title="Spare parts {n}", description=(None, "Regular replenishment"),
        shippingMethod="truck", terms="net 30", locationKey="loc-main",
        vendorKey=("vendor-bearings", "vendor-hydraulics", "vendor-electrics", "vendor-tools"),
    ),
    writes=Writes(
        body=shape(
            "PurchaseOrderBody",
            "siteKey>sites vendorKey>vendors code orderNo orderDate:time statusKey title description dueAt:time"
            " approvedAt:time completedAt:time shippingMethod terms notes currencyKey>currencies" + _TOTALS
            + " createdAt:time updatedAt:time",
        ),
        required=("vendorKey",), put_required=("code",), create=BOTH, update=BOTH, status="status",
    ),
)  # fmt: skip
LINE_ITEMS = Entity(
    name="purchase-orders.line-items", apis=BOTH, prefix="po", count=49,
    shape=shape(
        "LineItem",
        "key locationKey>locations assetKey>assets? statusKey materialKey>materials storeroomKey>storerooms"
        " vendorKey>vendors productKey>products? price:num discount:num deliveryAt:time lineNo code name description"
        " lineRef quantity:num receivedQuantity:num type uomKey>uom cost:num currencyKey>currencies"
        " lineTotalValue:num lineTaxValue:num notes dueAt:time createdAt:time updatedAt:time",
    ),
)  # fmt: skip
_RECEIVED = (
    "siteKey>sites vendorKey>vendors poKey>purchase-orders code orderNo orderDate:time title description"
    " completedAt:time shippingMethod notes currencyKey>currencies" + _TOTALS
)
RECEIVING = Entity(
    name="receiving", apis=(ERP,), prefix="rcv", count=10, states=RECEIVING_STATES,
    shape=shape(
        "Receiving", f"key organizationKey>organizations {_RECEIVED} lineItems:POLineItem[] createdAt:time"
        " updatedAt:time",
        orderNo="RCV-{n:04d}", title="Delivery {n}", shippingMethod="truck",
    ),
    writes=Writes(body=shape("ReceivingBody", _RECEIVED), required=("poKey",), create=(ERP,), update=(ERP,)),
)  # fmt: skip
RFQ = Entity(
    name="rfq", apis=(ERP,), prefix="rfq", count=6, states=RFQ_STATES,
    shape=shape(
        "RequestForQuotation",
        "key siteKey>sites vendorKey>vendors organizationKey>organizations accountKey>accounts code statusKey"
        " shippingMethod shippingAddress:Address[] lineItems:POLineItem[] documentKeys~>documents" + _TOTALS + TIMES,
        shippingMethod="truck",
    ),
    writes=Writes(
        body=shape(
            "RfqBody",
            "organizationKey>organizations siteKey>sites userRequestedKey>users userApprovedKey>users statusKey code"
            " type shippingMethod shippingAddress:list lineItems:list documentKeys:list totalNetValue:num"
            " totalTaxValue:num createdAt:time updatedAt:time",
        ),
        required=("siteKey",), create=(ERP,), update=(ERP,),
    ),
)  # fmt: skip
REQUISITIONS = Entity(
    name="purchase-requisitions", apis=(ERP,), prefix="req", count=8, states=REQUISITION_STATES,
    shape=shape(
        "PurchaseRequisition",
        "key siteKey>sites requesterKey>users accountKey>accounts userRequestedKey>users userApprovedKey>users code"
        " statusKey shippingMethod shippingAddress:Address lineItems:POLineItem[] documentKeys~>documents" + _TOTALS
        + TIMES,
        shippingMethod="truck",
    ),
)  # fmt: skip
RETURNS = Entity(
    name="return-orders", apis=BOTH, prefix="ret", count=6, states=RETURN_STATES,
    shape=shape(
        "ReturnOrder",
        "key organizationKey>organizations siteKey>sites vendorKey>vendors statusKey code poKey>purchase-orders orderNo"
        " orderDate:time type title description dueAt:time approvedAt:time completedAt:time shippingMethod terms notes"
        " currencyKey>currencies" + _TOTALS + " lineItems:POLineItem[] createdAt:time updatedAt:time",
        orderNo="RET-{n:04d}", title="Wrong part {n}", type="return", shippingMethod="truck", terms="credit note",
    ),
    writes=Writes(
        body=shape(
            "ReturnBody",
            "organizationKey>organizations locationKey>locations vendorKey>vendors description lineItems:list",
        ),
        required=("vendorKey",), create=(ERP, EAM), update=(ERP, EAM),
    ),
)  # fmt: skip
PURCHASING = (PURCHASE_ORDERS, LINE_ITEMS, RECEIVING, RFQ, REQUISITIONS, RETURNS)
