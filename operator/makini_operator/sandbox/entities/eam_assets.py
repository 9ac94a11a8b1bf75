"""Machines: assets, their templates, downtimes, meters and readings."""

from makini_operator.sandbox.entities.model import EAM, Entity, Writes, shape
from makini_operator.sandbox.entities.shared import TIMES

ASSETS = Entity(
    name="assets", apis=(EAM,), prefix="asset", count=12,
    shape=shape(
        "Asset",
        "key siteKey>sites parentKey>assets? vendorKey>vendors teamKey>teams documents=documents[]"
        " locationKey>locations customerKey>customers? accountKeys~>accounts name description makeCompanyKey>companies"
        " assetTemplateKey>asset-templates isPhysical:flag notes categoryName criticality isActive:flag makeName"
        " modelName serialNumber activatedAt:time deactivatedAt:time" + TIMES,
        name=("Press 1", "Press 2", "Conveyor A", "Conveyor B", "Compressor 1", "Crane 5t", "Robot cell 1",
              "Paint line", "Chiller", "Boiler", "Forklift 3", "Lathe"),
        categoryName=("press", "press", "conveyor", "conveyor"), criticality=("A", "B", "C"),
        makeName=("Kugel", "Druck"), modelName=("P-400", "C-12"), serialNumber="SN-{n:06d}",
        isActive=(True, True, True, True, True, False), deactivatedAt=None,
    ),
    writes=Writes(
        body=shape(
            "AssetBody",
            "siteKey>sites parentKey>assets vendorKey>vendors modelKey>asset-templates"
            " assetTemplateKey>asset-templates teamKey>teams locationKey>locations accountKey>accounts name description"
            " notes categoryName criticality isActive:flag manufacturerName modelName serialNumber activatedAt:time"
            " deactivatedAt:time",
        ),
        required=("name",), create=(EAM,), update=(EAM,), update_lacks=("assetTemplateKey",),
    ),
)  # fmt: skip
DOWNTIMES = Entity(
    name="assets-downtime", apis=(EAM,), prefix="down", count=6,
    shape=shape(
        "AssetDowntime",
        "key assetKey>assets description startedAt:time endedAt:time categoryName severity notes createdAt:time"
        " updatedAt:time",
        description=("Bearing seized", "Power failure", "Leak"), categoryName=("mechanical", "electrical", "hydraulic"),
        severity=("high", "medium", "low"),
    ),
)  # fmt: skip
TEMPLATES = Entity(
    name="asset-templates", apis=(EAM,), prefix="template", count=4,
    shape=shape(
        "Model", "key siteKey>sites documents=documents[] name manufacturerName" + TIMES,
        name=("P-400", "C-12", "K-7", "R-2000"), manufacturerName=("Kugel", "Druck", "Volt"),
    ),
)  # fmt: skip
METERS = Entity(
    name="meters", apis=(EAM,), prefix="meter", count=8,
    shape=shape(
        "Counter",
        "key siteKey>sites assetKeys~>assets uomName uomKey>uom lastReading:num lastReadingAt:time" + TIMES,
        uomName=("Hour", "Kilometre"), uomKey=("H", "KM"), lastReading=("1250.5", "88012", "310", "4711"),
    ),
)  # fmt: skip
READINGS = Entity(
    name="meter-readings", apis=(EAM,), prefix="reading", count=24,
    shape=shape(
        "CounterReading", "key assetKey>assets meterKey>meters reading createdAt:time",
        reading=("1190.0", "87655", "305", "4650", "1250.5", "88012", "310", "4711"),
    ),
)  # fmt: skip
ASSET_ENTITIES = (ASSETS, DOWNTIMES, TEMPLATES, METERS, READINGS)
