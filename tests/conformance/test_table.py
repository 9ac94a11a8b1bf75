"""The sandbox's table says what the vendor's files say: the same paths, fields in the same order, the same bodies."""

from typing import Any

import pytest
from tests.conformance.vendor import files, patched

from makini_operator.sandbox import SandboxSettings, create_app
from makini_operator.sandbox.entities.catalogue import ENTITIES, targets
from makini_operator.sandbox.entities.eam_work import MATERIAL_USE
from makini_operator.sandbox.entities.materials import INVENTORY_BODY, MATERIAL
from makini_operator.sandbox.entities.model import Entity
from makini_operator.sandbox.entities.parts import PARTS
from makini_operator.sandbox.validation import put_fields

SERVED = [(api, entity) for entity in ENTITIES.values() for api in entity.apis]


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    return files()


def test_every_operation_of_the_files_is_served(documents: dict[str, Any]) -> None:
    app = create_app(SandboxSettings(client_id="c", client_secret="s"))  # noqa: S106 - of nobody
    served = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    wanted = {
        (method.upper(), path)
        for document in documents.values()
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert len(wanted) == 206
    assert wanted <= served
    extra = {path for _, path in served - wanted}
    assert extra <= {
        "/",
        "/link/token",
        "/api/integrations/sync",
        "/api/integrations/sync/status",
        "/log",
        "/browse/{api}/{entity}",
    }


@pytest.mark.parametrize(("api", "entity"), SERVED, ids=[f"{api}-{entity.name}" for api, entity in SERVED])
def test_an_entity_has_the_fields_and_writes_of_the_files(documents: dict[str, Any], api: str, entity: Entity) -> None:
    paths, path = documents[api]["paths"], f"/api/{api}/{entity.name}"
    listing = paths[path]["get"]
    items = listing["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["data"]["items"]
    assert items == {"$ref": f"#/components/schemas/{entity.shape.name}"}
    fields = documents[api]["components"]["schemas"][entity.shape.name]["properties"]
    assert [field.name for field in entity.shape.fields] == list(fields)
    assert entity.sized == ("per_page" in {parameter["name"] for parameter in listing["parameters"]})
    one = paths.get(path + "/{key}", {})
    assert entity.has_one == ("get" in one)
    writes = entity.writes
    assert ("post" in paths[path]) == (writes is not None and api in writes.create)
    assert ("put" in one) == (writes is not None and api in writes.update)
    assert (path + "/{key}/status" in paths) == (writes is not None and bool(writes.status))
    if writes is not None:
        if "post" in paths[path]:
            assert body_of(paths[path]["post"]) == {field.name for field in writes.body.fields}
        if "put" in one and body_of(one["put"]):  # two have a body without fields
            assert body_of(one["put"]) == {field.name for field in put_fields(writes)}
        if writes.status:
            assert body_of(paths[path + "/{key}/status"]["put"]) == {writes.status}


def test_parts_have_the_fields_of_the_files(documents: dict[str, Any]) -> None:
    for name, part in (*PARTS.items(), ("Material", MATERIAL)):
        document = documents["erp" if name in documents["erp"]["components"]["schemas"] else "eam"]
        fields = document["components"]["schemas"][name]["properties"]
        assert [field.name for field in part.fields] == list(fields), name
    eam = documents["eam"]["paths"]
    assert body_of(eam["/api/eam/work-orders/{key}/materials"]["post"]) == {
        one.name for one in MATERIAL_USE.body.fields
    }
    assert body_of(eam["/api/eam/materials/{key}/inventory"]["put"]) == {one.name for one in INVENTORY_BODY.fields}
    assert {target for entity in ENTITIES.values() for _, target in targets(entity.shape)} <= set(ENTITIES)


def test_both_apis_mean_the_same_by_what_they_share(documents: dict[str, Any]) -> None:
    erp, eam = (documents[api]["components"]["schemas"] for api in ("erp", "eam"))
    for name in set(erp) & set(eam):
        assert list(without_lists(erp[name])) == list(without_lists(eam[name])), name


def test_every_rule_of_the_patch_has_a_reason_and_something_to_do(documents: dict[str, Any]) -> None:
    assert patched(documents) != documents


def body_of(operation: dict[str, Any]) -> set[str]:
    content = next(iter(operation["requestBody"]["content"].values()))
    return set(without_lists(content["schema"].get("properties", {})))


def without_lists(properties: Any) -> dict[str, Any]:
    return properties.get("properties", properties) if isinstance(properties, dict) else {}
