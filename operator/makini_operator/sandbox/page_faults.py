"""Answers that look like success and are not: the faults by which a careless reader loses data without an error.

Each was seen to make a common loader end its run with success and records missing (sync-facts, "Behaviour").
"""

from typing import Any
from urllib.parse import urlsplit

_ELSEWHERE = "http://elsewhere.invalid"


def without_envelope(_: dict[str, Any]) -> dict[str, Any]:
    """200 without data and meta: taken for the end of the list."""
    return {}


def without_records(body: dict[str, Any]) -> dict[str, Any]:
    """`data` is empty although `meta` says that there are records."""
    return body | {"data": []}


def without_data(body: dict[str, Any]) -> dict[str, Any]:
    """`meta` and `links` are there, `data` is not."""
    return {name: value for name, value in body.items() if name != "data"}


def with_foreign_links(body: dict[str, Any]) -> dict[str, Any]:
    """The link to the next page leads to another origin: who follows it hands the token to a stranger."""
    links = body.get("links")
    if not isinstance(links, dict):
        return body
    return body | {"links": {name: _elsewhere(link) for name, link in links.items()}}


def _elsewhere(link: str | None) -> str | None:
    if link is None:
        return None
    parts = urlsplit(link)
    return f"{_ELSEWHERE}{parts.path}?{parts.query}"
