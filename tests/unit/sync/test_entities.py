"""The program's list of entities and the sandbox's own table say the same: each was made from the vendor's files."""

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import example, given
from hypothesis import strategies as st

from makini_operator.sandbox.entities.catalogue import served
from makini_operator.sandbox.entities.model import BOTH, Kind
from makini_operator.sandbox.entities.model import Entity as Served
from makini_operator.sync.entities import Entity, all_entities, column_name

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


@given(st.one_of(st.text(), st.text("_aB3-é٣ .", max_size=12)))
@example("3dModel")
@example("_3dModel")
@example("__")
@example("netValueEUR")
def test_dlt_names_a_column_as_we_do(name: str) -> None:
    column = column_name(name)
    assert column == "" or NamingConvention().normalize_identifier(column) == column


def test_dlt_names_every_table_as_we_do_and_shortens_none() -> None:
    named = NamingConvention(max_length=63)
    for entity in all_entities():
        assert [named.normalize_table_identifier(table) for table in entity.tables] == list(entity.tables)
