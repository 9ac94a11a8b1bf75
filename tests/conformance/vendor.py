"""The vendor's OpenAPI files as they are, and as they are after the reviewed patch.

The files are the vendor's and not in this repository: `MAKINI_OPENAPI_DIR` says where they are; without it they are
looked for in `../shared/makini-api-v3`, seen from the repository. The patch (`patch.jsonl`) is one rule a line, each
with its reason; a rule that has nothing to do any more is an error, so that the patch cannot rot.
"""

import copy
import json
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NAMES = ("erp", "eam", "system")
ABSENT = (
    "\n*** The vendor's OpenAPI files are not there, so NOTHING is known about conformance. Expected oas3_erp.json, "
    "oas3_eam.json and oas3_system.json in {}; set MAKINI_OPENAPI_DIR to their folder. ***"
)


def folder() -> Path:
    """Where the vendor's files are expected."""
    return Path(os.environ.get("MAKINI_OPENAPI_DIR") or HERE.parents[2] / "shared" / "makini-api-v3")


def files() -> dict[str, Any]:
    """The files as they are, by `erp`, `eam` and `system`; skips the test, loudly, when they are not there."""
    paths = {name: folder() / f"oas3_{name}.json" for name in NAMES}
    if not all(path.is_file() for path in paths.values()):
        print(ABSENT.format(folder()))  # noqa: T201 - a skip alone is easily overlooked
        pytest.skip(ABSENT.format(folder()).strip())
    return {name: json.loads(path.read_text()) for name, path in paths.items()}


def rules() -> list[dict[str, Any]]:
    """The patch, in order."""
    return [json.loads(line) for line in (HERE / "patch.jsonl").read_text().splitlines() if line.strip()]


def patched(documents: dict[str, Any]) -> dict[str, Any]:
    """The documents with every rule applied.

    Raises:
        AssertionError: a rule fits nowhere, or gives no reason.
    """
    documents = copy.deepcopy(documents)
    for rule in rules():
        assert len(rule.get("because", "")) > 20, f"a rule without a reason: {rule}"
        done = sum(_apply(rule, documents[name]) for name in rule.get("files", NAMES))
        assert done, f"a rule that fits nowhere in the vendor's files: {rule}"
    return documents


def _apply(rule: dict[str, Any], document: Any) -> int:
    places = [place for place in _places(document, ()) if _fits(rule, *place)]
    for path, parent, key in places:
        value = parent[key]
        if "replace" in rule:
            parent[key] = copy.deepcopy(rule["replace"])
        elif "close" in rule:
            value |= {"required": sorted(value["properties"]), "additionalProperties": False}
        else:
            value |= copy.deepcopy(rule["set"])
            for name in [name for name, new in rule["set"].items() if new is None]:
                del value[name]
        assert path
    return len(places)


def _places(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Every place below a value as (path, container, key), except in examples."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        if key != "example":
            yield (*path, str(key)), value, key
            yield from _places(inner, (*path, str(key)))


def _fits(rule: dict[str, Any], path: tuple[str, ...], parent: Any, key: Any) -> bool:
    at, value = rule["at"], parent[key]
    if at != ["**"]:
        if len(at) != len(path) or not all(fnmatchcase(one, glob) for one, glob in zip(path, at, strict=True)):
            return False
        if any(kept in path for kept in rule.get("keep", ())):
            return False
    if "is" in rule:
        return bool(value == rule["is"])
    if "replace" in rule:
        return True
    if not isinstance(value, dict) or ("has" in rule and not isinstance(value.get(rule["has"]), dict)):
        return False
    if any(value.get(name) != wanted or name not in value for name, wanted in rule.get("match", {}).items()):
        return False
    return "lacks" not in rule or rule["lacks"] not in value


def as_json_schema(value: Any) -> Any:
    """OpenAPI's `nullable` in the words of JSON Schema."""
    if isinstance(value, list):
        return [as_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: as_json_schema(item) for key, item in value.items() if key not in ("nullable", "example")}
    if value.get("nullable") is True and isinstance(value.get("type"), str):
        found["type"] = [value["type"], "null"]
    return found
