"""The connection's side of the API, writing: checked like a real system would, answered as if done, and not done.

Guarantee: no handler here changes a record. A valid write is answered with the record as it would be; a wrong one with
the error that says why (`validation`).
"""

import secrets
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from aiohttp import web

from makini_operator.sandbox import would_be
from makini_operator.sandbox.context import DATA, form_body, json_body, now, require_connection, timestamp
from makini_operator.sandbox.data import existing
from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.entities.eam_work import MATERIAL_USE
from makini_operator.sandbox.entities.materials import INVENTORY_BODY, MATERIAL
from makini_operator.sandbox.entities.model import BOTH, Entity, State, Writes
from makini_operator.sandbox.problems import bad_request
from makini_operator.sandbox.validation import check_body, check_lines, check_status, check_stock, decimal, put_fields

Handler = Callable[[web.Request], Awaitable[web.Response]]
_TAKES_FROM_STOCK = ("sales-orders", "fulfillments")
_KEY_DIGITS = 14  # as in the examples of the vendor's files
_WORK_MATERIALS = "/api/eam/work-orders/{key}/materials"


def routes() -> list[web.RouteDef]:
    """Return a route for every write of the table."""
    found = [
        web.post(_WORK_MATERIALS, use_material),
        web.put(_WORK_MATERIALS + "/{materialKey}", use_material),
        *(web.put(f"/api/{api}/materials/{{key}}/inventory", count_material) for api in BOTH),
    ]
    for entity in ENTITIES.values():
        if (writes := entity.writes) is None:
            continue
        for api in entity.apis:
            path = f"/api/{api}/{entity.name}"
            if api in writes.create:
                found.append(web.post(path, _uploads(entity) if writes.is_upload else _creates(entity, writes)))
            if api in writes.update:
                found.append(web.put(path + "/{key}", _updates(entity, writes)))
            if writes.status:
                found.append(web.put(path + "/{key}/status", _changes_status(entity, writes)))
    return found


def _creates(entity: Entity, writes: Writes) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        require_connection(request)
        body = await _checked(request, writes.body.fields, required=writes.required)
        lines = _lines(request, body, entity)
        record = would_be.empty(entity.shape) | {"key": _new_key()}
        record = would_be.merged(record, body, writes.body.fields, shape=entity.shape)
        if entity.states is not None:
            word = body.get("statusKey") or entity.states.states[0].code
            record = _moved(request, record, check_status(entity, word, current=None), entity)
        record = would_be.with_lines(record, lines, shape=entity.shape)
        return _answer(would_be.stamped(record, moment=_moment(request), is_new=True))

    return serve


def _updates(entity: Entity, writes: Writes) -> Handler:
    fields = put_fields(writes)

    async def serve(request: web.Request) -> web.Response:
        require_connection(request)
        record = _current(request, entity)
        body = await _checked(request, fields, required=())
        for name in writes.put_required:
            if name in body and body[name] in (None, ""):
                raise bad_request("VALIDATION_FAILED", f"{name} must not be empty")
        current = _state(record, entity)
        if current is not None and current.locked:
            word = entity.singular
            raise bad_request(f"{word.upper()}_LOCKED", f"a {word.replace('_', ' ')} that is {current.code} is locked")
        lines = _lines(request, body, entity)
        changed = would_be.merged(record, body, fields, shape=entity.shape)
        if current is not None and body.get("statusKey") not in (None, record["statusKey"]):
            changed = _moved(request, changed, check_status(entity, body["statusKey"], current=current), entity)
        changed = would_be.with_lines(changed, lines, shape=entity.shape)
        return _answer(would_be.stamped(changed, moment=_moment(request), is_new=False))

    return serve


def _changes_status(entity: Entity, writes: Writes) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        require_connection(request)
        record = _current(request, entity)
        body = await _checked(request, (), required=(writes.status,))
        state = check_status(entity, body[writes.status], current=_state(record, entity))
        record = _moved(request, record, state, entity)
        return _answer(would_be.stamped(record, moment=_moment(request), is_new=False))

    return serve


def _uploads(entity: Entity) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        require_connection(request)
        if request.content_type != "multipart/form-data":
            raise bad_request("VALIDATION_FAILED", "expected a multipart/form-data with file and name")
        form = await form_body(request)
        name, file = form.get("name"), form.get("file")
        if file is None or not isinstance(name, str) or not name:
            raise bad_request("VALIDATION_FAILED", "file and name are required")
        kind = file.content_type if isinstance(file, web.FileField) else "application/octet-stream"
        record = would_be.empty(entity.shape) | {"key": _new_key(), "name": name, "contentType": kind}
        return _answer(would_be.stamped(record, moment=_moment(request), is_new=True))

    return serve


async def use_material(request: web.Request) -> web.Response:
    """`POST …/work-orders/{key}/materials` and `PUT …/{materialKey}`: answers the work order."""
    require_connection(request)
    orders = ENTITIES["work-orders"]
    record = _current(request, orders)
    if "materialKey" in request.match_info:
        existing(request, ENTITIES["materials"], name="materialKey")
    body = await _checked(request, MATERIAL_USE.body.fields, required=MATERIAL_USE.required)
    current = _state(record, orders)
    if current is not None and current.locked:
        raise bad_request("WORK_ORDER_LOCKED", f"a work order that is {current.code} is locked")
    wanted = decimal(body["requiredQuantity"], "requiredQuantity")
    check_stock(body["materialKey"], _in_stock(request, "materialKey", body["materialKey"]), wanted=wanted)
    if request.method == "POST":
        record = record | {"materialCount": str(int(record["materialCount"] or 0) + 1)}
    return _answer(would_be.stamped(record, moment=_moment(request), is_new=False))


async def count_material(request: web.Request) -> web.Response:
    """`PUT …/materials/{key}/inventory`: answers the material in the shape `Material`, with what is in stock now."""
    require_connection(request)
    record = _current(request, ENTITIES["materials"])
    body = await _checked(request, INVENTORY_BODY.fields, required=())
    stock = would_be.merged(record["inventory"], body, INVENTORY_BODY.fields, shape=ENTITIES["inventories"].shape)
    moment = _moment(request)
    material = would_be.projected(record, MATERIAL) | {
        "inventories": [would_be.stamped(stock, moment=moment, is_new=False)]
    }
    return _answer(would_be.stamped(material, moment=moment, is_new=False))


async def _checked(request: web.Request, fields: Any, *, required: tuple[str, ...]) -> dict[str, Any]:
    return check_body(await json_body(request), fields, exists=request.app[DATA].has, required=required)


def _lines(request: web.Request, body: dict[str, Any], entity: Entity) -> list[dict[str, Any]]:
    takes = entity.name in _TAKES_FROM_STOCK
    return check_lines(
        body,
        exists=request.app[DATA].has,
        in_stock=lambda field, key: _in_stock(request, field, key),
        takes=takes,
    )


def _in_stock(request: web.Request, field: str, key: str) -> Decimal:
    """Return how many there are of a material or a product that exists."""
    views = request.app[DATA].views
    view = views["materials" if field == "materialKey" else "products"]
    index = view.find(key)
    record = view.record(index) if index is not None else {}
    return Decimal(str((record.get("inventory") or record).get("quantity") or 0))


def _current(request: web.Request, entity: Entity) -> dict[str, Any]:
    view = request.app[DATA].views[entity.name]
    index = view.find(existing(request, entity))
    assert index is not None  # noqa: S101 - `existing` has found it
    return view.record(index)


def _state(record: dict[str, Any], entity: Entity) -> State | None:
    return entity.states.of(record.get("statusKey")) if entity.states is not None else None


def _moved(request: web.Request, record: dict[str, Any], state: State, entity: Entity) -> dict[str, Any]:
    if entity.shape.field("statusKey") is None:  # a receipt has a state, but no field for it
        return record
    return would_be.in_state(record, state, entity=entity, moment=_moment(request))


def _moment(request: web.Request) -> str:
    return str(timestamp(now(request)))


def _new_key() -> str:
    return f"{secrets.randbelow(10**_KEY_DIGITS):0{_KEY_DIGITS}d}"


def _answer(record: dict[str, Any]) -> web.Response:
    return web.json_response({"data": record})
