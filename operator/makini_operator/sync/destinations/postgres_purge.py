"""What goes with a dataset in PostgreSQL, and what must not go: others' tables and views.

The schema is the dataset's: all that is in it goes. Of `<dataset>_staging` only dlt's copies of the dataset's tables
go. What others have elsewhere never goes: what of it needs the dataset is named, and the purge is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from makini_operator.sync.destinations.base import STAGING, STATE, Doomed, foreign, is_data
from makini_operator.sync.errors import BadSettings
from makini_operator.sync.rows import KEY

Ask = Callable[..., list[Any]]  # a query and its values -> rows; of a statement without rows an empty list

_STATE_EXISTS = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = %s"
_MEMBERS = """
SELECT o.type, o.identity, o.name FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) o
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = (SELECT oid FROM pg_namespace WHERE nspname = %s)
ORDER BY 1, 2
"""
# A table that dlt stages in has the columns of the one that it is merged into.
_STAGED = """
SELECT c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'r' AND (c.relname LIKE '\\_dlt\\_%%' OR (
    c.relname IN (SELECT tablename FROM pg_tables WHERE schemaname = %s)
    AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = %s)))
ORDER BY 1
"""
# `part` is all that goes: the schema's objects, the staged tables, and what is a part of these, such as an index. What
# needs one of them without being a part itself is another's. A view needs a table by its rule.
_NEEDED_BY = """
WITH RECURSIVE part (classid, objid) AS (
    (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND deptype = 'n'
         AND refobjid = (SELECT oid FROM pg_namespace WHERE nspname = %s)
     UNION SELECT 'pg_class'::regclass::oid, unnest(%s::oid[]))
    UNION
    SELECT d.classid, d.objid FROM part p JOIN pg_depend d ON d.refclassid = p.classid AND d.refobjid = p.objid
    WHERE d.deptype IN ('a', 'i')
), needing AS (
    SELECT DISTINCT CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass::oid END AS classid,
           coalesce(r.ev_class, d.objid) AS objid
    FROM part p JOIN pg_depend d ON d.refclassid = p.classid AND d.refobjid = p.objid
    LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    WHERE d.deptype = 'n'
)
SELECT o.type || ' ' || o.identity FROM needing n, pg_identify_object(n.classid, n.objid, 0) o
WHERE NOT EXISTS (SELECT 1 FROM part p WHERE p.classid = n.classid AND p.objid = n.objid) ORDER BY 1
"""


def is_there(ask: Ask, dataset: str) -> bool:
    """Say whether the schema is there.

    Raises:
        BadSettings: it is, and is not ours: every run begins with the table of the cursors.
    """
    if not ask("SELECT 1 FROM pg_namespace WHERE nspname = %s", dataset):
        return False
    if not ask(_STATE_EXISTS, dataset, STATE):
        raise foreign(f"schema {dataset!r}")
    return True


def doomed(ask: Ask, dataset: str) -> Doomed:
    """Return what goes, and what stays in the staging schema.

    Raises:
        BadSettings: the schema is not ours, or something outside needs what would go.
    """
    if not is_there(ask, dataset):
        return Doomed(rows={}, others=[], kept=[])
    members = ask(_MEMBERS, dataset)
    tables = [name for kind, _, name in members if kind == "table"]
    staged, kept = _staged(ask, dataset)
    needing = [text for (text,) in ask(_NEEDED_BY, dataset, list(staged.values()))]
    if needing:
        raise BadSettings(
            f"dataset {dataset!r} is needed by what is not of it, and nothing was deleted. Drop first: "
            + ", ".join(needing)
        )
    counts = {table: ask(f'SELECT count(*) FROM "{dataset}"."{table}"')[0][0] for table in tables if is_data(table)}
    others = [f"{kind} {identity}" for kind, identity, name in members if not (kind == "table" and is_data(name))]
    return Doomed(rows=counts, others=others + [f"table {dataset}{STAGING}.{name}" for name in staged], kept=kept)


def drop(ask: Ask, dataset: str) -> None:
    """Drop all of it or nothing; raises as `doomed` does."""
    ask("BEGIN")
    try:
        if is_there(ask, dataset):
            _drop(ask, dataset)
        ask("COMMIT")
    except BaseException:
        ask("ROLLBACK")
        raise


def _drop(ask: Ask, dataset: str) -> None:
    staging = f"{dataset}{STAGING}"
    tables = [f'"{dataset}"."{name}"' for kind, _, name in ask(_MEMBERS, dataset) if kind == "table"]
    copies = [f'"{staging}"."{name}"' for name in _staged(ask, dataset)[0]]
    # From here on nobody can make a view of one of them, so that what is checked next holds until they are gone.
    ask(f"LOCK TABLE {', '.join(tables + copies)} IN ACCESS EXCLUSIVE MODE")
    kept = doomed(ask, dataset).kept
    if copies:
        ask(f"DROP TABLE {', '.join(copies)}")
    if not kept:
        ask(f'DROP SCHEMA IF EXISTS "{staging}"')
    ask(f'DROP SCHEMA "{dataset}" CASCADE')


def _staged(ask: Ask, dataset: str) -> tuple[dict[str, int], list[str]]:
    """Return the tables of the staging schema that are ours, with their oid, and a text for each object that is not."""
    staging = f"{dataset}{STAGING}"
    staged = dict(ask(_STAGED, staging, dataset, KEY))
    others = [f"{kind} {identity}" for kind, identity, name in ask(_MEMBERS, staging) if name not in staged]
    if others:  # then dlt's own tables may be those of another's pipeline
        staged = {name: oid for name, oid in staged.items() if is_data(name)}
    return staged, others
