"""Making and selling: products, sales orders, fulfillments, transfers between stores, production, bills of material."""

from makini_operator.sandbox.entities.model import ERP, Entity, State, States, Writes, shape
from makini_operator.sandbox.entities.shared import TIMES

SALES_STATES = States(
    family="sales-orders",
    prefix="sales",
    states=(
        State(code="open", follows=("confirmed",)),
        State(code="confirmed", follows=("shipped",)),
        State(code="shipped", fills=("shipmentDate",), received="all", locked=True),
    ),
    cycle=("open", "confirmed", "shipped"),
)
PRODUCTION_STATES = States(
    family="production-orders",
    prefix="production",
    states=(State(code="planned", follows=("started",)), State(code="started", received="part", follows=("finished",)),
            State(code="finished", received="all", locked=True)),
    cycle=("planned", "started", "finished"),
)  # fmt: skip
FULFILLMENT_STATES = States(
    family="fulfillments",
    prefix="fulfillment",
    states=(State(code="picking", follows=("shipped",)),
            State(code="shipped", fills=("completedAt",), received="all", locked=True)),
    cycle=("picking", "shipped"),
)  # fmt: skip
TRANSFER_STATES = States(
    family="",  # the vendor has no list of these
    prefix="transfer",
    states=(State(code="planned", follows=("done",)), State(code="done", locked=True)),
    cycle=("planned", "done"),
)
_PRODUCT = "uomKey>uom code name description type isTaxable:flag taxKeys*>taxes status price:num currencyKey>currencies"
_CODES = " sku upc ean isbn partNumber"

PRODUCTS = Entity(
    name="products", apis=(ERP,), prefix="product", count=6,
    keys=("product-pump", "product-valve", "product-filter", "product-motor", "product-gearbox", "product-kit"),
    shape=shape(
        "Product",
        f"key groupKey organizationKey>organizations {_PRODUCT} quantity:num{_CODES} dimensions:list"
        " supplyOptions:SupplyOption[] priceLevels:PriceLevel[]" + TIMES,
        name=("Pump P40", "Valve V2", "Filter F10", "Motor M5", "Gearbox G2 (out of stock)", "Service kit"),
        code="PRD-{n:03d}", type="finished", uomKey="EA", status="active", groupKey=None, taxKeys=["tax-standard"],
        price=("890.00", "120.00", "35.00", "640.00", "1480.00", "75.00"), currencyKey="EUR",
        quantity=("14", "60", "220", "9", "0", "40"), sku="SKU-{n:04d}", upc="03600029145{n}", ean="400638133393{n}",
        isbn=None, partNumber="P-{n:04d}", dimensions=None,
    ),
    writes=Writes(
        body=shape("ProductBody", f"groupKey {_PRODUCT} quantity:num{_CODES} reorderLevel:num"), required=("name",),
        create=(ERP,), update=(ERP,),
    ),
)  # fmt: skip
SALES_ORDERS = Entity(
    name="sales-orders", apis=(ERP,), prefix="so", count=9, states=SALES_STATES,
    shape=shape(
        "SalesOrder",
        "key organizationKey>organizations customerKey>customers userKey>users code orderNumber date:time statusKey"
        " shipmentDate:time contactPerson lines:SalesLineItem[] currencyKey>currencies currencyRate shipmentOrderKey"
        " shipmentAddress:Address billingAddress:Address" + TIMES,
        orderNumber="SO-{n:05d}", contactPerson="Jo Keller", currencyKey="EUR", currencyRate="1", shipmentOrderKey=None,
    ),
    writes=Writes(
        body=shape(
            "SalesOrderBody",
            "organizationKey>organizations customerKey>customers userKey>users code orderNumber date:time statusKey"
            " shipmentDate:time contactPerson lines:list currencyKey>currencies currencyRate shipmentOrderKey"
            " shipmentAddress:list billingAddress:list" + TIMES,
        ),
        required=("customerKey",), create=(ERP,), update=(ERP,),
    ),
)  # fmt: skip
_SHIPPED = (
    "siteKey>sites vendorKey>vendors customerKey>customers salesOrderKey>sales-orders"
    " stockTransferKey>stock-transfers{} statusKey code orderNo orderDate:time title description completedAt:time"
)
FULFILLMENTS = Entity(
    name="fulfillments", apis=(ERP,), prefix="ful", count=6, states=FULFILLMENT_STATES,
    shape=shape(
        "Fulfillment",
        f"key organizationKey>organizations {_SHIPPED.format('?')} notes shipmentAddress:Address lineItems"
        " createdAt:time updatedAt:time",
        orderNo="FUL-{n:04d}", title="Shipment {n}", lineItems=("1 x Pump P40", "4 x Filter F10"),
    ),
    writes=Writes(
        body=shape("FulfillmentBody", f"{_SHIPPED.format('')} notes lineItems:list"), required=("salesOrderKey",),
        create=(ERP,), update=(ERP,), status="status",
    ),
)  # fmt: skip
_MOVED = (
    "fromLocationKey>locations toLocationKey>locations fromStoreroomKey>storerooms toStoreroomKey>storerooms"
    " statusKey code date:time"
)
TRANSFERS = Entity(
    name="stock-transfers", apis=(ERP,), prefix="trf", count=6, states=TRANSFER_STATES,
    shape=shape(
        "StockTransfer",
        f"key organizationKey>organizations shipmentOrderKey {_MOVED} lineItems:StockLineItem[] orderNumber"
        " shipmentNumber shipmentAddress:Address shipmentRequired shippingMethod" + TIMES,
        orderNumber="TRF-{n:04d}", shipmentNumber="SHP-{n:04d}", shipmentRequired="true", shippingMethod="van",
        shipmentOrderKey=None,
    ),
    writes=Writes(
        body=shape("TransferBody", f"{_MOVED} orderNumber"), required=("fromLocationKey", "toLocationKey"),
        create=(ERP,), update=(ERP,),
    ),
)  # fmt: skip
PRODUCTION = Entity(
    name="production-orders", apis=(ERP,), prefix="prod", count=6, states=PRODUCTION_STATES,
    shape=shape(
        "ProductionOrder",
        "key siteKey>sites statusKey locationKey>locations orderNo orderDate:time totalNetValue:num totalTaxValue:num"
        " totalGrossValue:num note lineItems:POLineItem[]" + TIMES,
        orderNo="MO-{n:04d}", note="Batch {n}",
    ),
)  # fmt: skip
BOM = Entity(
    name="bom", apis=(ERP,), prefix="bom", count=4,
    shape=shape(
        "BillOfMaterial", "key siteKey>sites name projectKey>projects? type lineItems:BOMLineItem[] createdAt:time"
        " updatedAt:time",
        name=("Pump P40", "Valve V2", "Motor M5", "Service kit"), type="engineering",
    ),
)  # fmt: skip
SALES = (PRODUCTS, SALES_ORDERS, FULFILLMENTS, TRANSFERS, PRODUCTION, BOM)
