"""The whole table: every entity by name, the lists of states that follow from them, and the lists below records."""

from collections.abc import Iterable

from makini_operator.sandbox.entities.eam_assets import ASSET_ENTITIES
from makini_operator.sandbox.entities.eam_work import REQUEST_STATES, WORK, WORK_STATES
from makini_operator.sandbox.entities.erp_finance import FINANCE, INVOICE_STATES, PROJECT_STATES
from makini_operator.sandbox.entities.erp_purchasing import (
    ORDER_STATES,
    PURCHASING,
    RECEIVING_STATES,
    REQUISITION_STATES,
    RETURN_STATES,
    RFQ_STATES,
)
from makini_operator.sandbox.entities.erp_sales import FULFILLMENT_STATES, PRODUCTION_STATES, SALES, SALES_STATES
from makini_operator.sandbox.entities.materials import STOCK
from makini_operator.sandbox.entities.model import BOTH, EAM, ERP, REFERRING, Entity, Kind, Shape, States, shape
from makini_operator.sandbox.entities.parts import PARTS
from makini_operator.sandbox.entities.shared import SHARED, TIMES

_STATUS = "key organizationKey>organizations parentKey name code subCode scope isActive:flag" + TIMES


def _statuses(states: States, apis: tuple[str, ...]) -> Entity:
    codes = tuple(state.code for state in states.states)
    return Entity(
        name=f"statuses/{states.family}",
        apis=apis,
        prefix=states.prefix,
        count=len(codes),
        keys=tuple(states.key(code) for code in codes),
        sized=False,
        has_one=False,
        shape=shape(
            "Status",
            _STATUS,
            parentKey=None,
            code=codes,
            name=tuple(code.replace("-", " ").capitalize() for code in codes),
            subCode=None,
            scope=states.family,
        ),
    )


STATUSES = tuple(
    _statuses(states, apis)
    for states, apis in (
        (ORDER_STATES, BOTH),
        (REQUISITION_STATES, (ERP,)),
        (SALES_STATES, (ERP,)),
        (PROJECT_STATES, (ERP,)),
        (INVOICE_STATES, (ERP,)),
        (PRODUCTION_STATES, (ERP,)),
        (RFQ_STATES, (ERP,)),
        (RECEIVING_STATES, (ERP,)),
        (RETURN_STATES, BOTH),
        (FULFILLMENT_STATES, (ERP,)),
        (WORK_STATES, (EAM,)),
        (REQUEST_STATES, (EAM,)),
    )
)
ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (*SHARED, *STOCK, *PURCHASING, *FINANCE, *SALES, *ASSET_ENTITIES, *WORK, *STATUSES)
}


def served(api: str) -> Iterable[Entity]:
    """Return the entities that an API lists, in the order of the table."""
    return (entity for entity in ENTITIES.values() if api in entity.apis)


def targets(one: Shape) -> Iterable[tuple[str, str]]:
    """Return (field, entity) for every key that a shape has, its parts included: `lineItems.vendorKey`, `vendors`."""
    for field in one.fields:
        if field.kind in REFERRING:
            yield field.name, field.target
        elif field.kind in (Kind.PART, Kind.PARTS):
            yield from ((f"{field.name}.{name}", target) for name, target in targets(PARTS[field.target]))
