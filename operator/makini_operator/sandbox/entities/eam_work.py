"""Maintenance: work orders, service requests, preventive maintenance."""

from typing import Any

from makini_operator.sandbox.entities.model import EAM, Entity, State, States, Writes, shape
from makini_operator.sandbox.entities.shared import TIMES

WORK_STATES = States(
    family="work-orders",
    prefix="work",
    states=(
        State(code="open", follows=("scheduled", "cancelled")),
        State(code="scheduled", fills=("userApprovedKey", "approvedAt", "scheduledAt"),
              follows=("in-progress", "cancelled")),
        State(code="in-progress", fills=("userApprovedKey", "approvedAt", "scheduledAt"), received="part",
              follows=("completed",)),
        State(code="completed", received="all", locked=True,
              fills=("userApprovedKey", "approvedAt", "scheduledAt", "completionRemarks", "actualTime",
                     "completedAt")),
        State(code="cancelled", locked=True),
    ),
    cycle=("open", "scheduled", "in-progress", "completed", "completed"),
)  # fmt: skip
REQUEST_STATES = States(
    family="service-requests",
    prefix="request",
    states=(
        State(code="new", follows=("accepted", "rejected")),
        State(code="accepted", fills=("userApprovedKey", "workOrderKey", "approvedAt"), locked=True),
        State(code="rejected", locked=True),
    ),
    cycle=("new", "accepted", "accepted", "rejected"),
)


def _custom_fields(index: int) -> dict[str, Any] | None:
    return {"permitRequired": index % 6 == 1, "costCenter": f"CC-{200 + index}"} if index % 3 == 1 else None


WORK_ORDERS = Entity(
    name="work-orders", apis=(EAM,), prefix="wo", count=15, states=WORK_STATES, custom=_custom_fields,
    shape=shape(
        "WorkOrder",
        "key parentKey>work-orders? locationKey>locations siteKey>sites assetKey>assets accountKey>accounts title"
        " serviceRequestKey>service-requests? code pmKey>pm? teamKey>teams laborAssignedKey>labors"
        " userApprovedKey>users assetDowntimeKey>assets-downtime? organizationKey>organizations instructions status"
        " statusKey severity estimatedTime:num roleName categoryName storeroomKey>storerooms notes approvedAt:time"
        " dueAt:time scheduledAt:time actualTime:num completedAt:time completionRemarks tasks:Task[]"
        " documents=documents[] resources:Work[] materialCount" + TIMES,
        title=("Replace bearing", "Check relay", "Change oil", "Inspect belt"), instructions="See the manual.",
        severity=("high", "medium", "low"), estimatedTime=("2", "4", "1"), actualTime=("3", "4"),
        roleName=("Mechanic", "Electrician"), categoryName=("corrective", "preventive"), materialCount="1",
        completionRemarks="Done, machine runs.",
    ),
    writes=Writes(
        body=shape(
            "WorkOrderBody",
            "title statusKey scheduledAt:time siteKey>sites locationKey>locations storeroomKey>storerooms"
            " assetKey>assets assetDowntimeKey>assets-downtime serviceRequestKey>service-requests pmKey>pm"
            " teamKey>teams laborAssignedKey>labors accountKey>accounts userApprovedKey>users code instructions"
            " severity estimatedTime:int actualTime:int roleName categoryName documents:list tasks:list notes"
            " approvedAt:time dueAt:time completedAt:time completionRemarks" + TIMES,
        ),
        required=("title",), create=(EAM,), update=(EAM,), status="statusKey",
    ),
)  # fmt: skip
MATERIAL_USE = Writes(  # POST and PUT below a work order
    body=shape(
        "WorkMaterialBody",
        "materialKey>materials storeroomKey>storerooms requiredQuantity:num usedQuantity:num",
    ),
    required=("materialKey", "storeroomKey", "requiredQuantity", "usedQuantity"),
)
CUSTOM_FIELDS = Entity(
    name="work-orders/custom-fields", apis=(EAM,), prefix="custom", count=2, sized=False, has_one=False,
    shape=shape("CustomField", "name", name=("permitRequired", "costCenter")),
)  # fmt: skip
SERVICE_REQUESTS = Entity(
    name="service-requests", apis=(EAM,), prefix="sr", count=8, states=REQUEST_STATES,
    shape=shape(
        "ServiceRequest",
        "key siteKey>sites locationKey>locations storeroomKey>storerooms assetKey>assets workOrderKey>work-orders"
        " teamKey>teams userRequestedKey>users userApprovedKey>users laborAssignedKey>labors? documents=documents[]"
        " title description statusKey severity estimatedTime:num roleName categoryName notes approvedAt:time dueAt:time"
        + TIMES,
        title=("Noise at press", "Light flickers", "Oil on floor"), severity=("medium", "low", "high"),
        estimatedTime=("1", "2"), roleName=("Mechanic", "Electrician"), categoryName="corrective",
    ),
    writes=Writes(
        body=shape("ServiceRequestBody", "userRequestedKey>users title assetKey>assets description"),
        required=("title",), create=(EAM,),
    ),
)  # fmt: skip
PM = Entity(
    name="pm", apis=(EAM,), prefix="pm", count=5,
    shape=shape(
        "PreventiveMaintenance",
        "key assetKeys*>assets teamKey>teams siteKey>sites accountKey>accounts title description status severity"
        " laborAssignedKey>labors estimatedTime:num roleName categoryName documents:list"
        " assetTemplateKeys~>asset-templates statusKey notes dueAt:time categoryCode requiresMaterials:flag"
        " triggers:WorkTrigger[] tasks:Task[] resources:Work[]" + TIMES,
        title=("Quarterly inspection", "Oil change", "Belt check", "Safety check", "Filter change"), status="active",
        severity="medium", estimatedTime=("2", "1"), roleName=("Mechanic", "Electrician"), categoryName="preventive",
        statusKey=None, categoryCode="PM", documents=None,
    ),
)  # fmt: skip
WORK = (WORK_ORDERS, CUSTOM_FIELDS, SERVICE_REQUESTS, PM)
