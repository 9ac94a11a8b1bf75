"""Master data that both APIs show: who and where. Named keys are the ones that documentation and tests speak of."""

from makini_operator.sandbox.entities.model import BOTH, EAM, ERP, Entity, Writes, shape

TIMES = " createdAt:time updatedAt:time deletedAt:time"

ORGANIZATIONS = Entity(
    name="organizations", apis=BOTH, prefix="org", count=2, keys=("org-1", "org-2"),
    shape=shape(
        "Organization",
        "key currencyKey>currencies name code description addresses:Address[] billingAddress:Address"
        " contacts:Contact[]" + TIMES,
        name=("Northwind Works", "Northwind Service"), code="ORG-{n}", currencyKey="EUR",
    ),
)  # fmt: skip
SITES = Entity(
    name="sites", apis=BOTH, prefix="site", count=2, keys=("site-1", "site-2"), sized=False,
    shape=shape(
        "Site",
        "key organizationKey>organizations name code description contact:Contact customerKey>customers? lat lng"
        " address:Address billingAddress:Address properties notes" + TIMES,
        name=("Stuttgart plant", "Hamburg plant"), code="S{n:02d}", lat=("48.7758", "53.5511"),
        lng=("9.1829", "9.9937"),
    ),
)  # fmt: skip
LOCATIONS = Entity(
    name="locations", apis=BOTH, prefix="loc", count=6, keys=("loc-main", "loc-hall-2", "loc-dock"),
    shape=shape(
        "Location",
        "key siteKey>sites parentKey>locations? teamKey>teams organizationKey>organizations name"
        " userManagerKey>users description code type address:Address isActive:flag contact isDefault:flag" + TIMES,
        name=("Main hall", "Hall 2", "Dock", "Paint shop", "Yard", "Workshop"), code="L-{n:02d}", type="building",
        contact="Jo Keller", isDefault=(True, False, False, False, False, False),
    ),
)  # fmt: skip
STOREROOMS = Entity(
    name="storerooms", apis=BOTH, prefix="store", count=4, keys=("store-1", "store-2", "store-3", "store-4"),
    shape=shape(
        "Storeroom",
        "key parentKey>storerooms? siteKey>sites locationKey>locations userManagerKey>users code name type"
        " description priority" + TIMES,
        name=("Central stores", "Oil stores", "Tool crib", "Van stock"), code="ST-{n}", type="indoor", priority="{n}",
    ),
)  # fmt: skip
ACCOUNTS = Entity(
    name="accounts", apis=BOTH, prefix="acct", count=4, keys=("acct-6000", "acct-6100", "acct-6200", "acct-7000"),
    shape=shape(
        "Account", "key code name description activatedAt:time expiresAt:time" + TIMES,
        code=("6000", "6100", "6200", "7000"), name=("Spare parts", "Lubricants", "Tools", "Services"), expiresAt=None,
    ),
)  # fmt: skip
TEAMS = Entity(
    name="teams", apis=BOTH, prefix="team", count=3,
    shape=shape(
        "Team", "key accountKey>accounts code name description" + TIMES + " organizationKey>organizations",
        name=("Mechanics", "Electricians", "Stores"), code="T{n}",
    ),
)  # fmt: skip
LABORS = Entity(
    name="labors", apis=BOTH, prefix="labor", count=8,
    shape=shape(
        "Labor",
        "key organizationKeys~>organizations siteKeys*>sites locationKeys*>locations accountKey>accounts"
        " vendorKey>vendors? userKey>users code teamKey>teams name firstName middleName lastName roleName description"
        " notes isActive:flag costUomKey>uom currencyKey>currencies" + TIMES,
        firstName=("Ada", "Ben", "Cleo", "Dan"), lastName=("Novak", "Osei", "Petit", "Quist"), middleName=None,
        name=("Ada Novak", "Ben Osei", "Cleo Petit", "Dan Quist"), roleName=("Mechanic", "Electrician"),
        costUomKey="H", code="LAB-{n:03d}",
    ),
)  # fmt: skip
USERS = Entity(
    name="users", apis=BOTH, prefix="user", count=6, keys=("user-planner", "user-manager", "user-buyer"),
    shape=shape(
        "User",
        "key organizationKey>organizations siteKeys*>sites locationKeys*>locations name roleName description notes"
        " isActive" + TIMES,
        name=("Pat Planner", "Max Manager", "Bea Buyer", "Sol Stores", "Tia Tech", "Uma User"),
        roleName=("planner", "manager", "buyer", "storekeeper", "technician", "viewer"), isActive="true",
    ),
)  # fmt: skip
UOM = Entity(
    name="uom", apis=BOTH, prefix="uom", count=6, keys=("EA", "L", "M", "H", "KG", "KM"),
    shape=shape(
        "UnitOfMeasure", "key name code rateBaseKey rate isActive:flag",
        name=("Each", "Litre", "Metre", "Hour", "Kilogram", "Kilometre"), code=("EA", "L", "M", "H", "KG", "KM"),
        rateBaseKey=(None, None, None, None, None, "M"), rate=("1", "1", "1", "1", "1", "1000"),
    ),
)  # fmt: skip
COMPANIES = Entity(
    name="companies", apis=BOTH, prefix="company", count=6,
    shape=shape(
        "Company",
        "key parentKey>companies? organizationKey>organizations name code addresses:Address[] billingAddress:Address"
        " currencyKey>currencies notes" + TIMES,
        name=("Kugel AG", "Druck & Co", "Volt GmbH", "Werk & Zeug", "Contoso", "Fabrikam"), currencyKey="EUR",
    ),
)  # fmt: skip
VENDORS = Entity(
    name="vendors", apis=BOTH, prefix="vendor", count=8,
    keys=("vendor-bearings", "vendor-hydraulics", "vendor-electrics", "vendor-tools"),
    shape=shape(
        "Vendor", "key name code companyKey>companies organizationKey>organizations" + TIMES,
        name=("Kugel Bearings", "Druck Hydraulics", "Volt Electrics", "Werkzeug Tools", "Alpha Oils", "Beta Belts",
              "Gamma Gears", "Delta Drives"),
        code="V-{n:04d}",
    ),
)  # fmt: skip
CUSTOMERS = Entity(
    name="customers", apis=BOTH, prefix="customer", count=6,
    shape=shape(
        "Customer",
        "key name code organizationKey>organizations addresses billingAddress companyKey>companies" + TIMES,
        name=("Contoso", "Fabrikam", "Tailspin", "Adatum", "Litware", "Proseware"), code="C-{n:04d}",
        addresses="Harbour Road 12, 20095 Hamburg", billingAddress="Harbour Road 12, 20095 Hamburg",
    ),
    writes=Writes(
        body=shape("CustomerBody", "name code companyKey>companies"), required=("name",), create=BOTH, update=(ERP,),
    ),
)  # fmt: skip
DOCUMENTS = Entity(
    name="documents", apis=(EAM,), prefix="doc", count=10,
    shape=shape(
        "Document", "key entityKeys:list name url type contentType description notes createdAt:time updatedAt:time",
        entityKeys=(["asset-001"], ["asset-002"], ["wo-001"]), name=("Manual.pdf", "Drawing.pdf", "Photo.jpg"),
        url="https://files.northwind.example/doc-{n:03d}", type=("manual", "drawing", "photo"),
        contentType=("application/pdf", "application/pdf", "image/jpeg"),
    ),
    writes=Writes(body=shape("DocumentBody", "file name"), required=("file", "name"), create=(EAM,), is_upload=True),
)  # fmt: skip

SHARED = (
    ORGANIZATIONS, SITES, LOCATIONS, STOREROOMS, ACCOUNTS, TEAMS, LABORS, USERS, UOM, COMPANIES, VENDORS, CUSTOMERS,
    DOCUMENTS,
)  # fmt: skip
