"""Materials and what is in stock of them, shared by both APIs.

`mat-gear-m2` has nothing in stock and cannot be ordered, taken or sold: the error case that integrations should try.
"""

from makini_operator.sandbox.entities.model import BOTH, EAM, ERP, Entity, Sublist, Writes, shape
from makini_operator.sandbox.entities.shared import TIMES

# Of each material in turn: price in cents, unit, and how many are in stock.
PRICES = (410, 785, 320, 1240, 995, 115, 8900, 2400)
UNITS = ("EA", "EA", "L", "EA", "EA", "M", "EA", "EA")
IN_STOCK = (120, 64, 400, 35, 18, 900, 0, 12)
OUT_OF_STOCK = "mat-gear-m2"

_NAMES = (
    "Ball bearing 6204", "Shaft seal 40 mm", "Hydraulic oil HLP 46", "Relay 24 V", "V-belt B50", "Cable 3G2.5",
    "Gear M2 (out of stock)", "Proximity switch",
)  # fmt: skip
_CODES = ("BRG-6204", "SEAL-40", "HLP-46", "REL-24", "BLT-B50", "CBL-3G", "GEAR-M2", "PRX-12")
_BODY = shape(
    "MaterialBody",
    "siteKeys*>sites parentKeys*>materials assetKeys*>assets vendorKeys~>vendors documents:list accountKey>accounts"
    " code isAssembly:flag partNumber name description notes criticality isActive:flag manufacturerName"
    " minimumQuantity cost:num currency",
)
INVENTORY_BODY = shape("InventoryBody", "code name quantity:int unitCost:int locationKey>locations")

MATERIALS = Entity(
    name="materials", apis=BOTH, prefix="mat", count=len(PRICES), sized=False,
    keys=("mat-6204", "mat-seal-40", "mat-hlp-46", "mat-relay-24", "mat-belt-b50", "mat-cable-3g", OUT_OF_STOCK,
          "mat-switch-12"),
    shape=shape(
        "Part",
        "key siteKeys*>sites parentKeys*>materials? assetKeys*>assets vendorKeys~>vendors organizationKey>organizations"
        " documents=documents[] accountKey>accounts categoryName code isAssembly:flag partNumber name description notes"
        " criticality isActive:flag manufacturerName minimumQuantity uomKey>uom cost:num currency"
        " supplyOptions:SupplyOption[] priceLevels:PriceLevel[]" + TIMES + " inventory=inventories"
        " drawings:Drawing[] dimensions:list",
        name=_NAMES, code=_CODES, partNumber="PN-{n:05d}", categoryName=("mechanical", "fluid", "electrical"),
        criticality=("A", "B", "C"), manufacturerName=("Kugel", "Druck", "Volt"), minimumQuantity="10",
        cost=tuple(f"{cents // 100}.{cents % 100:02d}" for cents in PRICES), currency="EUR", uomKey=UNITS,
        isAssembly=(False, False, False, False, False, False, True, False), dimensions=None,
    ),
    writes=Writes(body=_BODY, required=("name",), create=BOTH, update=BOTH),
)  # fmt: skip
# What `PUT /materials/{key}/inventory` answers: the same material in another shape (so the vendor's files).
MATERIAL = shape(
    "Material",
    "key organizationKey>organizations parentKeys*>materials? assetKeys*>assets code isAssembly:flag partNumber name"
    " description notes criticality isActive:flag manufacturerName uomKey>uom supplyOptions:SupplyOption[]"
    " priceLevels:PriceLevel[]" + TIMES + " inventories=inventories[] dimensions:list",
)
INVENTORIES = Entity(
    name="inventories", apis=BOTH, prefix="inv", count=len(PRICES),
    shape=shape(
        "Inventory",
        "key code name quantity:int unitCost:int locationKey>locations updatedAt:time createdAt:time",
        code=_CODES, name=_NAMES, quantity=IN_STOCK, unitCost=tuple(round(cents / 100) for cents in PRICES),
    ),
    writes=Writes(body=INVENTORY_BODY, update=BOTH),
)  # fmt: skip
STOCKS = Entity(
    name="stocks", apis=BOTH, prefix="stock", count=len(PRICES),
    shape=shape(
        "Stock",
        "key productKey>products? materialKey>materials locationKey>locations storeroomKey>storerooms assetKey>assets?"
        " position uomKey>uom quantity:num reorderPoint expiresAt:time reorderQuantity:num minLevel:num maxLevel:num"
        " reorderLevel" + TIMES,
        materialKey=MATERIALS.keys, uomKey=UNITS, quantity=tuple(map(str, IN_STOCK)), productKey=None, assetKey=None,
        position="A-{n:02d}", reorderPoint="10", expiresAt=None, reorderQuantity="50", minLevel="5", maxLevel="1000",
        reorderLevel="10",
    ),
    writes=Writes(
        body=shape(
            "StockBody",
            "productKey>products materialKey>materials locationKey>locations storeroomKey>storerooms assetKey>assets"
            " position uomKey>uom quantity:num expiresAt:time",
        ),
        required=("quantity",), create=BOTH, update=BOTH,
    ),
)  # fmt: skip
MATERIAL_ITEMS = Entity(
    name="material-items", apis=(), prefix="item", count=48, has_one=False,
    shape=shape(
        "MaterialItem",
        "key materialKey>materials assemblyKey>materials assetKey>assets assetTemplateKey>asset-templates"
        " workOrderKey>work-orders pmKey>pm productionOrderKey>production-orders partNumber drawingNumber"
        " positionNumber documentKey>documents? name uomKey>uom quantity:num requiredQuantity:num" + TIMES,
        materialKey=MATERIALS.keys, name=_NAMES, uomKey=UNITS, partNumber="PN-{n:05d}",
        drawingNumber="DRW-{n:04d}", positionNumber="{n}", quantity=("1", "2", "4"), requiredQuantity=("1", "2", "4"),
    ),
)  # fmt: skip

SUBLISTS = (
    Sublist(apis=(ERP,), parent="production-orders", name="materials", entity="material-items",
            owner="productionOrderKey"),
    Sublist(apis=BOTH, parent="materials", name="children", entity="material-items", owner="assemblyKey"),
    Sublist(apis=(EAM,), parent="assets", name="materials", entity="material-items", owner="assetKey"),
    Sublist(apis=(EAM,), parent="asset-templates", name="materials", entity="material-items",
            owner="assetTemplateKey"),
    Sublist(apis=(EAM,), parent="pm", name="materials", entity="material-items", owner="pmKey"),
    Sublist(apis=(EAM,), parent="work-orders", name="materials", entity="material-items", owner="workOrderKey"),
)  # fmt: skip
STOCK = (MATERIALS, INVENTORIES, STOCKS, MATERIAL_ITEMS)
