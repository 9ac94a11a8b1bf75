"""Parts that are embedded in records: addresses, contacts, and the lines of documents.

Lines add up: quantity, price, tax and total of a line are one computation (`records.money`), and the totals of a
document are the sums of its lines.
"""

from makini_operator.sandbox.entities.model import Shape, shape

_LINE = {
    "lineNo": "{line}",
    "code": ("BRG-6204", "SEAL-40", "HLP-46", "REL-24", "BLT-B50", "CBL-3G"),
    "name": (
        "Ball bearing 6204",
        "Shaft seal 40 mm",
        "Hydraulic oil HLP 46",
        "Relay 24 V",
        "V-belt B50",
        "Cable 3G2.5",
    ),
    "type": "material",
    "description": None,
    "lineRef": None,
    "notes": None,
    "productKey": None,
    "assetKey": None,
}

PARTS: dict[str, Shape] = {
    part.name: part
    for part in (
        shape(
            "Address",
            "country addressLines addressee state city postCode phone email notes isActive:flag"
            " createdAt:time updatedAt:time",
            country="DE",
            addressLines=("Works 1, Gate 2", "Works 1, Gate 5", "Harbour Road 12"),
            addressee=("Goods In", "Accounts Payable"),
            state=("BW", "HH"),
            city=("Stuttgart", "Hamburg"),
            postCode=("70173", "20095"),
            phone="+49 711 5550100",
            email="works@northwind.example",
            notes=None,
            createdAt="2024-01-15T08:00:00Z",
            updatedAt="2024-01-15T08:00:00Z",
        ),
        shape(
            "Contact",
            "name position phones emails isActive:flag isDefault:flag",
            name=("Jo Keller", "Sam Ortiz"),
            position=("Buyer", "Plant manager"),
            phones="+49 711 5550101",
            emails="buyer@northwind.example",
        ),
        shape(
            "POLineItem",
            "key locationKey>locations accountKey>accounts vendorKey>vendors assetKey>assets? materialKey>materials"
            " productKey>products? statusKey storeroomKey>storerooms lineNo code type name description lineRef"
            " quantity:num receivedQuantity:num uomKey>uom currencyKey>currencies price:num discount:num"
            " lineTaxValue:num lineTotalValue:num notes deliveryAt:time dueAt:time createdAt:time updatedAt:time"
            " deletedAt:time",
            **_LINE,
        ),
        shape(
            "SalesLineItem",
            "productKey>products locationKey>locations storeroomKey>storerooms quantity:num quantityRequired:num"
            " price:num discount:num lineTaxValue:num lineTotalValue:num taxKey>taxes",
        ),
        shape(
            "InvoiceLineItem",
            "key locationKey>locations vendorKey>vendors productKey>products? statusKey storeroomKey>storerooms"
            " currencyKey>currencies lineNo code lineRef quantity:num receivedQuantity:num uomKey>uom price:num"
            " discount:num lineTaxValue:num lineTotalValue:num notes deliveryAt:time createdAt:time updatedAt:time"
            " deletedAt:time",
            **_LINE,
        ),
        shape(
            "BOMLineItem",
            "locationKey>locations materialKey>materials productKey>products? currencyKey>currencies description"
            " quantity:num uomKey>uom notes price:num createdAt:time updatedAt:time",
            productKey=None,
        ),
        shape(
            "StockLineItem",
            "productKey>products materialKey>materials quantity:num locationKey>locations storeroomKey>storerooms",
        ),
        shape(
            "SupplyOption",
            "vendorKey>vendors partNumber:list price:list uomKey*>uom currencyKey>currencies uomQuantity"
            " makePartNumber reorderPoint createdAt:time updatedAt:time",
            partNumber=(["NB-1001"], ["HY-2002"], ["EL-3003"]),
            price=(["4.10"], ["3.20"], ["12.40"]),
            uomQuantity="1",
            makePartNumber=None,
            reorderPoint="10",
        ),
        shape(
            "PriceLevel",
            "name price uomKey>uom uomQuantity currencyKey>currencies taxKey>taxes minQuantity maxQuantity"
            " updatedAt:time deletedAt:time",
            name="List price",
            price=("4.50", "3.60", "13.00"),
            uomQuantity="1",
            minQuantity="1",
            maxQuantity=None,
        ),
        shape(
            "Drawing",
            "drawingNo drawingPos referenceNo referencePos documents=documents[]",
            drawingNo="DRW-{n:04d}",
            drawingPos="1",
            referenceNo=None,
            referencePos=None,
        ),
        shape(
            "Task",
            "key parentKey code title description priority checkList:list",
            key="task-{n}-{line}",
            parentKey=None,
            code="T-{line}",
            title=("Lock out and tag out", "Replace the part", "Test run"),
            description=None,
            priority=("high", "normal"),
            checkList=(["isolated", "tagged"], ["torque checked"], []),
        ),
        shape(
            "Work",
            "laborKey>labors vendorKey>vendors? assetKey>assets teamKey>teams poKey>purchase-orders?"
            " poLineItemKey>purchase-orders.line-items? accountKey>accounts name description estimatedTime:num"
            " registeredTime:num rate:num cost:num startedAt:time finishedAt:time createdAt:time updatedAt:time"
            " deletedAt:time",
            name="Mechanic",
            description=None,
            vendorKey=None,
            poKey=None,
            poLineItemKey=None,
            estimatedTime=("2.0", "4.0", "1.5"),
            registeredTime=("2.5", "3.5", "1.5"),
            rate="60.00",
            cost=("150.00", "210.00", "90.00"),
        ),
        shape(
            "WorkTrigger",
            "uomKey>uom type interval recurring condition",
            type=("time", "meter"),
            interval=("90", "500"),
            recurring="true",
            condition=None,
        ),
    )
}
