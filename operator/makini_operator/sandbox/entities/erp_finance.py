"""Money: currencies, rates, taxes, invoices, receipts, projects."""

from makini_operator.sandbox.entities.erp_purchasing import RECEIVING_STATES
from makini_operator.sandbox.entities.model import ERP, Entity, Field, Kind, State, States, Writes, shape
from makini_operator.sandbox.entities.shared import TIMES

_TOTALS = " totalNetValue:num totalTaxValue:num totalGrossValue:num"
INVOICE_STATES = States(
    family="invoices",
    prefix="invoice",
    states=(
        State(code="open", follows=("approved", "disputed")),
        State(code="approved", fills=("receivedDate",), received="part", follows=("paid", "disputed")),
        State(code="paid", fills=("receivedDate",), received="all", locked=True),
        State(code="disputed", follows=("open",)),
    ),
    cycle=("open", "approved", "paid", "disputed", "paid"),
)
PROJECT_STATES = States(
    family="projects",
    prefix="project-status",
    states=(State(code="planned", follows=("running",)), State(code="running", follows=("closed",)),
            State(code="closed", locked=True)),
    cycle=("planned", "running", "closed"),
)  # fmt: skip
CURRENCIES = Entity(
    name="currencies", apis=(ERP,), prefix="cur", count=3, keys=("EUR", "USD", "GBP"),
    shape=shape(
        "Currency", "key name code isBase isActive" + TIMES, name=("Euro", "US dollar", "Pound sterling"),
        code=("EUR", "USD", "GBP"), isBase=("true", "false", "false"), isActive="true",
    ),
)  # fmt: skip
RATES = Entity(
    name="exchange-rates", apis=(ERP,), prefix="rate", count=4,
    shape=shape(
        "ExchangeRate", "key currencyKey>currencies baseCurrencyKey>currencies rate createdAt:time",
        currencyKey=("USD", "GBP"), baseCurrencyKey="EUR", rate=("1.0842", "0.8571", "1.0790", "0.8604"),
    ),
)  # fmt: skip
TAXES = Entity(
    name="taxes", apis=(ERP,), prefix="tax", count=3, keys=("tax-standard", "tax-reduced", "tax-none"),
    shape=shape(
        "Tax", "key organizationKey>organizations name type taxPercentage isActive:flag" + TIMES,
        name=("Standard", "Reduced", "Exempt"), type="sales", taxPercentage=("20", "7", "0"),
    ),
)  # fmt: skip
INVOICES = Entity(
    name="invoices", apis=(ERP,), prefix="inv-doc", count=12, states=INVOICE_STATES,
    shape=shape(
        "Invoice",
        "key title customerKey>customers? locationKey>locations invoiceNumber vendorKey>vendors"
        " poKey>purchase-orders statusKey lineItems:InvoiceLineItem[] invoiceDate:time dueDate:time receivedDate:time"
        " currencyKey>currencies" + _TOTALS + " salesOrderKey>sales-orders?" + TIMES,
        title="Invoice {n}", invoiceNumber="RE-{n:05d}", customerKey=None, salesOrderKey=None,
    ),
    writes=Writes(
        body=shape(
            "InvoiceBody",
            "invoiceNumber vendorKey>vendors poKey>purchase-orders statusKey lineItem:list invoiceDate:time"
            " dueDate:time receivedDate:time currencyKey>currencies customerKey>customers" + _TOTALS,
        ),
        required=("invoiceNumber", "vendorKey"), create=(ERP,), update=(ERP,), status="status",
        update_lacks=("customerKey", "totalNetValue", "totalTaxValue", "totalGrossValue"),
        update_adds=tuple(Field(name=name, kind=Kind.TIME) for name in ("createdAt", "updatedAt", "deletedAt")),
    ),
)  # fmt: skip
RECEIPTS = Entity(
    name="receipts", apis=(ERP,), prefix="receipt", count=10, states=RECEIVING_STATES,
    shape=shape(
        "Receipt",
        "key siteKey>sites vendorKey>vendors poKey>purchase-orders code orderNo orderDate:time title description"
        " completedAt:time shippingMethod notes currencyKey>currencies" + _TOTALS
        + " lineItems:POLineItem[] createdAt:time updatedAt:time",
        orderNo="GR-{n:04d}", title="Goods receipt {n}", shippingMethod="truck",
    ),
)  # fmt: skip
PROJECTS = Entity(
    name="projects", apis=(ERP,), prefix="project", count=4, states=PROJECT_STATES,
    shape=shape(
        "Project", "key siteKey>sites name accountKey>accounts statusKey budget" + TIMES,
        name=("Line 3 overhaul", "New paint shop", "Energy savings", "Crane renewal"), budget=("50000.00", "120000.00"),
    ),
)  # fmt: skip
FINANCE = (CURRENCIES, RATES, TAXES, INVOICES, RECEIPTS, PROJECTS)
