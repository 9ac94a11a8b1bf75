"""The generated CRDs: structural, bounded and described everywhere, and up to date."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from makini_operator.cli.crds import file_name, render
from makini_operator.resources.crd import KINDS, Kind, definition

FOLDER = Path(__file__).parents[3] / "crds"
NOT_STRUCTURAL = {"$ref", "$defs", "anyOf", "allOf", "oneOf", "not", "const", "title", "definitions"}
Schema = dict[str, Any]
Node = tuple[str, Schema]

EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def version(kind: Kind) -> Schema:
    (only,) = definition(kind)["spec"]["versions"]
    return only


def root(kind: Kind) -> Schema:
    return version(kind)["schema"]["openAPIV3Schema"]


def nodes(schema: Schema, path: str = "") -> Iterator[Node]:
    """Every schema in this one, with the path of its field; `[]` is an item of a list, `{}` a value of a map."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def ours(kind: Kind) -> list[Node]:
    """Everything below spec and status."""
    return [(path, node) for path, node in nodes(root(kind)) if path.startswith((".spec", ".status"))]


def wrong(found: list[Node], is_right: Any) -> list[str]:
    assert len(found) > 20
    return [path for path, node in found if not is_right(node)]


@EACH_KIND
def test_the_committed_files_are_what_the_models_say(kind: Kind) -> None:
    assert (FOLDER / file_name(kind)).read_text(encoding="utf-8") == render(kind)


def test_no_file_is_left_of_a_kind_that_is_gone() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {file_name(kind) for kind in KINDS}


@EACH_KIND
def test_yaml_reads_back_as_what_was_defined(kind: Kind) -> None:
    assert yaml.safe_load(render(kind)) == definition(kind)


@EACH_KIND
def test_the_schema_is_structural(kind: Kind) -> None:
    assert wrong(ours(kind), lambda node: not NOT_STRUCTURAL & set(node)) == []
    assert wrong(ours(kind), lambda node: node.get("type") in {"object", "array", "string", "integer", "boolean"}) == []


@EACH_KIND
def test_every_list_map_and_string_is_bounded(kind: Kind) -> None:
    def is_bounded(node: Schema) -> bool:
        match node["type"]:
            case "array":
                return "maxItems" in node
            case "string":
                return "maxLength" in node or "enum" in node
            case "object" if node.get("x-kubernetes-preserve-unknown-fields"):
                return True  # Kubernetes' own schema, checked by a dry run; the size of the whole object is its bound
            case "object":
                return "properties" in node or {"maxProperties", "additionalProperties"} <= set(node)
        return True

    assert wrong(ours(kind), is_bounded) == []


@EACH_KIND
def test_integers_have_a_size(kind: Kind) -> None:
    assert wrong(ours(kind), lambda node: node["type"] != "integer" or node.get("format") in {"int32", "int64"}) == []


@EACH_KIND
def test_every_field_is_described(kind: Kind) -> None:
    fields = [(path, node) for path, node in ours(kind) if not path.endswith(("[]", "{}"))]
    assert wrong(fields, lambda node: len(node.get("description", "")) >= 5) == []
    assert root(kind)["description"]


@EACH_KIND
def test_lists_of_named_things_are_merged_by_name(kind: Kind) -> None:
    """So that two managers of one list do not overwrite each other; history is written by one alone."""
    lists = [(path, node) for path, node in ours(kind) if node["type"] == "array"]
    assert lists
    for path, node in lists:
        keys = node.get("x-kubernetes-list-map-keys", [])
        if node["x-kubernetes-list-type"] == "map":
            assert set(keys) <= set(node["items"]["required"]), path
        assert node["x-kubernetes-list-type"] in {"map", "set", "atomic"}, path
    conditions = root(kind)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


@EACH_KIND
def test_every_rule_says_what_to_do(kind: Kind) -> None:
    rules = [rule for _, node in nodes(root(kind)) for rule in node.get("x-kubernetes-validations", [])]
    assert rules
    assert all(len(rule["message"]) > 10 and rule["rule"] for rule in rules)


@EACH_KIND
def test_defaults_stand_only_at_the_top(kind: Kind) -> None:
    """In a list or an optional object they would show as drift in GitOps tools for ever."""
    defaulted = {path for path, node in nodes(root(kind)) if "default" in node}
    assert all(path.count(".") <= 2 for path in defaulted)
    assert root(kind)["properties"]["status"]["default"] == {"observedGeneration": -1}


@EACH_KIND
def test_status_is_a_subresource_and_never_required(kind: Kind) -> None:
    assert version(kind)["subresources"] == {"status": {}}
    assert root(kind)["required"] == ["spec"]
    assert "required" not in root(kind)["properties"]["status"]


@EACH_KIND
def test_columns_and_selectable_fields_point_at_fields_that_exist(kind: Kind) -> None:
    paths = {path for path, _ in nodes(root(kind))}
    columns = [column["jsonPath"] for column in version(kind)["additionalPrinterColumns"]]
    selectable = [field["jsonPath"] for field in version(kind).get("selectableFields", [])]
    for path in [*columns, *selectable]:
        assert path.startswith((".metadata.", ".status.conditions[?(@.type==")) or path in paths, path
    assert [c["name"] for c in version(kind)["additionalPrinterColumns"] if "priority" not in c][-2:] == [
        "Ready",
        "Age",
    ]


def test_a_secret_s_value_has_no_place_in_a_resource() -> None:
    names = {path.rsplit(".", 1)[-1].lower() for kind in KINDS for path, _ in ours(kind)}
    assert not names & {"password", "clientsecret", "apikey", "accesstoken", "refreshtoken", "value"}
