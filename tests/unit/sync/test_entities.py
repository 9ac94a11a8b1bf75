"""The program's list of entities and the sandbox's own table say the same: each was made from the vendor's files."""

import pytest

from makini_operator.sandbox.entities.catalogue import served
from makini_operator.sandbox.entities.model import BOTH, Kind
from makini_operator.sandbox.entities.model import Entity as Served
from makini_operator.sync.entities import Entity, all_entities

READ = {entity.name: entity for entity in all_entities()}
SERVED = {f"{api}/{entity.name}": entity for api in BOTH for entity in served(api)}
WITHOUT_KEYS = {"eam/work-orders/custom-fields"}
"""Descriptions of fields, not records: there is nothing to load."""
IN_DOUBT = {"eam/work-orders/materials"}
"""The files describe work orders there, which cannot be meant: the sandbox serves materials, the program takes both."""


def test_the_same_lists_are_known() -> None:
    assert set(READ) == set(SERVED) - WITHOUT_KEYS | IN_DOUBT


@pytest.mark.parametrize("name", sorted(set(READ) - IN_DOUBT))
def test_an_entity_is_described_alike(name: str) -> None:
    assert _as_read(READ[name]) == _as_served(SERVED[name])


def _as_read(entity: Entity) -> tuple[object, ...]:
    return set(entity.fields), set(entity.lists), entity.sized, entity.cursor


def _as_served(entity: Served) -> tuple[object, ...]:
    lists = {field.name for field in entity.shape.fields if field.kind in (Kind.PARTS, Kind.RECORDS)}
    fields = {field.name for field in entity.shape.fields} - lists
    return fields, lists, entity.sized, "updatedAt" if "updatedAt" in fields else None
