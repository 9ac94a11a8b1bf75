"""The connection's side of the API, reading: lists and records of every entity, made from the table."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from makini_operator.sandbox.context import DATA, require_connection
from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.entities.materials import SUBLISTS
from makini_operator.sandbox.entities.model import Entity, Kind, Sublist
from makini_operator.sandbox.paging import address, page_number, positive
from makini_operator.sandbox.problems import bad_request, not_found
from makini_operator.sandbox.query import Condition, Query, parse

Handler = Callable[[web.Request], Awaitable[web.Response]]
DEFAULT_PER_PAGE = 25
MAX_PER_PAGE = 100
_MAX_KEY = 100
_RAW = "/api/raw/tables"


def routes() -> list[web.RouteDef]:
    """Return a route for every list and every record of the table."""
    found = [
        web.get(_RAW, list_tables, allow_head=False),
        web.get(_RAW + "/{table}/data", list_table, allow_head=False),
        # All materials of all work orders; the files have it beside the one below a single work order.
        web.get("/api/eam/work-orders/materials", _lists(ENTITIES["material-items"]), allow_head=False),
    ]
    for entity in ENTITIES.values():
        for api in entity.apis:
            path = f"/api/{api}/{entity.name}"
            found.append(web.get(path, _lists(entity), allow_head=False))
            if entity.has_one:
                found.append(web.get(path + "/{key}", _shows(entity), allow_head=False))
    found += [
        web.get(f"/api/{api}/{below.parent}/{{key}}/{below.name}", _lists_below(below), allow_head=False)
        for below in SUBLISTS
        for api in below.apis
    ]
    return found


def _lists(entity: Entity) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        require_connection(request)
        return await list_records(request, entity)

    return serve


def _lists_below(below: Sublist) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        require_connection(request)
        key = existing(request, ENTITIES[below.parent])
        owned = Condition(field=below.owner, kind=Kind.REFERENCE, op="", value=key)
        return await list_records(request, ENTITIES[below.entity], only=owned, sized=False)

    return serve


def _shows(entity: Entity) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        require_connection(request)
        data = request.app[DATA]
        view = data.views[entity.name]
        index = view.find(existing(request, entity))
        assert index is not None  # noqa: S101 - `existing` has found it
        return _json(b'{"data":' + data.pages.record(view, index) + b"}")

    return serve


async def list_records(
    request: web.Request, entity: Entity, *, only: Condition | None = None, sized: bool | None = None
) -> web.Response:
    """Answer with a page of an entity's records.

    Args:
        request: says page, size, filters and order.
        entity: whose records.
        only: one more condition, which `filterMatch` cannot weaken.
        sized: whether `per_page` is heard; by default what the table says.

    Raises:
        ApiError: (400) a parameter makes no sense.
    """
    data = request.app[DATA]
    view, pages = data.views[entity.name], data.pages
    asked = (view.version, request.path_qs, request.host, request.scheme)
    body = pages.kept.get(asked)
    if body is None:
        number = page_number(request)
        is_sized = entity.sized if sized is None else sized
        size = min(MAX_PER_PAGE, positive(request, "per_page", default=DEFAULT_PER_PAGE)) if is_sized else 0
        query = parse(request.query.items(), entity.shape)
        found = await data.searches[entity.name].find(_within(query, only))
        body = pages.page(view, found, base=address(request), number=number, per_page=size or DEFAULT_PER_PAGE)
        if view.version == asked[0]:
            pages.kept.put(asked, body)
    return _json(body)


def existing(request: web.Request, entity: Entity, *, name: str = "key") -> str:
    """Return the key in the request's path; raises ApiError (404) when there is no such record."""
    key = request.match_info[name]
    if len(key) > _MAX_KEY or not request.app[DATA].has(entity.name, key):
        raise not_found(entity.singular)
    return key


async def list_tables(request: web.Request) -> web.Response:
    """`GET /api/raw/tables`: the tables of the system behind the connection, here one for each entity."""
    require_connection(request)
    return web.json_response({"data": [{"name": _table(entity)} for entity in ENTITIES.values() if entity.apis]})


async def list_table(request: web.Request) -> web.Response:
    """`GET /api/raw/tables/{table}/data`."""
    require_connection(request)
    table = request.match_info["table"]
    entity = next((one for one in ENTITIES.values() if one.apis and _table(one) == table), None)
    if entity is None:
        raise not_found("table")
    return await list_records(request, entity, sized=False)


def _table(entity: Entity) -> str:
    return entity.name.replace("/", "_").replace(".", "_").replace("-", "_")


def _within(query: Query, only: Condition | None) -> Query:
    if only is None:
        return query
    if query.any_of and len(query.conditions) > 1:
        raise bad_request("INVALID_PARAMETER", "below a record filterMatch can only be all")
    return Query(conditions=(only, *query.conditions), sort=query.sort)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", charset="utf-8")
