"""The page for people: complete, true, harmless."""

import re
import shlex

import pytest
from tests.unit.sandbox.box import CLIENT_ID, SECRET, Box, running

from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.error_cases import ERROR_CASES, ErrorCase


async def page(box: Box, path: str = "/") -> str:
    answer = await box.call("GET", path, token="")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    return str(answer.body)


async def test_it_says_who_the_account_is_and_no_secret(box: Box) -> None:
    token = await box.connect(name="Acme customer-canary")
    text = await page(box)
    assert CLIENT_ID in text
    assert "1 open" in text
    assert not [word for word in (SECRET, token, box.admin, "canary") if word in text]


async def test_it_needs_no_other_host_and_no_script(box: Box) -> None:
    for path in ("/", "/log", "/browse/erp/vendors"):
        text = await page(box, path)
        links = re.findall(r'(?:src|href)="([^"]*)"', text)
        assert all(link.startswith(("/", "?")) for link in links)
        assert "<script" not in text
        policy = (await box.call("GET", path, token="")).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")


async def test_every_entity_is_there_with_its_count_and_its_link_works(box: Box) -> None:
    text = await page(box)
    for entity in ENTITIES.values():
        for api in entity.apis:
            link = f"/browse/{api}/{entity.name}"
            assert f'<a href="{link}">{entity.name}</a> <span>{entity.count}</span>' in text
            assert entity.name in await page(box, link)
    older = await page(box, "/browse/erp/purchase-orders?page=3")
    assert "po-005" in older
    assert '<a href="?page=2">newer</a>' in older
    for path in ("/browse/erp/nothing", "/browse/erp/assets", "/browse/wms/sites"):
        assert (await box.call("GET", path, token="")).status == 404


@pytest.mark.parametrize("case", ERROR_CASES, ids=lambda case: case.title)
async def test_an_error_case_is_what_it_is_said_to_be(box: Box, case: ErrorCase) -> None:
    token = await box.connect() if case.with_token else ""
    body = {} if case.body is None else {"json": case.body}
    answer = await box.call(case.method, case.path, token=token, **body)
    assert (answer.status, answer.body["code"]) == (case.status, case.code)
    words = shlex.split(case.curl("http://h"))
    assert words[-1] == "http://h" + case.path
    assert (await page(box)).count(case.code) >= 1


async def test_the_log_shows_requests_as_they_come_and_nothing_of_their_content() -> None:
    async with running(page_size=1) as box:
        token = await box.connect()
        await box.call("GET", "/api/erp/sites?filter[name]=query-canary", token=token)
        await box.call("POST", "/api/erp/customers", token=token, json={"name": "body-canary"})
        await box.call("GET", "/api/erp/sites/<b>here</b>", token=token)
        await box.call("DELETE", "/api/system/connections/con-canary")
        await box.call("GET", "/nothing/path-canary", token="")
        text = await page(box, "/log")
    rows = re.findall(r"<td>(GET|POST|DELETE)<td><code>([^<]*)</code><td[^>]*>(\d+)", text)
    assert rows[1][:2] == ("DELETE", "/api/system/connections/{id}")
    assert rows[2:5] == [
        ("GET", "/api/erp/sites/&lt;b&gt;here&lt;/b&gt;", "404"),
        ("POST", "/api/erp/customers", "200"),
        ("GET", "/api/erp/sites", "200"),
    ]
    assert "canary" not in text
    assert 'http-equiv="refresh"' in text
