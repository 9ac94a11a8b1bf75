"""The systems the sandbox can be connected to: exactly these names are accepted as `provider`.

Names and tiers of the vendor's catalogue are not published; these cover the systems that the operator's own catalogue
knows.
"""

PLATFORMS: dict[str, str] = {
    "sap-s4hana": "SAP S/4HANA",
    "sap-ecc": "SAP ECC",
    "oracle-fusion": "Oracle Fusion Cloud ERP",
    "microsoft-dynamics-365": "Microsoft Dynamics 365",
    "infor-cloudsuite": "Infor CloudSuite",
    "netsuite": "NetSuite",
    "maximo": "IBM Maximo",
    "fiix": "Fiix",
    "upkeep": "UpKeep",
    "emaint": "eMaint",
    "limble": "Limble",
    "maintainx": "MaintainX",
}
