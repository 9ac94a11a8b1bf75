"""What the log says of an error that nobody foresaw."""

import logging

import pytest

from makini_operator.sync.redact import log_unexpected

DSN = "postgresql://sync:canary@db/erp"


def _look_up(dsn: str) -> None:
    raise KeyError(dsn)


def _connect(dsn: str) -> None:
    try:
        _look_up(dsn)
    except KeyError as error:
        raise RuntimeError(f"cannot use {dsn!r}") from error


def test_it_says_where_each_error_came_from_and_no_value(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RuntimeError) as raised:
        _connect(DSN)
    log_unexpected(logging.getLogger("sync"), "erp/items", raised.value)
    assert "erp/items: unexpected RuntimeError at" in caplog.text
    assert "KeyError at" in caplog.text
    assert "raise KeyError(dsn)" in caplog.text
    assert "canary" not in caplog.text


def test_errors_in_a_circle_are_each_said_once(caplog: pytest.LogCaptureFixture) -> None:
    first, second = ValueError("canary"), TypeError("canary")
    first.__cause__, second.__cause__ = second, first
    log_unexpected(logging.getLogger("sync"), "erp/items", first)
    assert (caplog.text.count("ValueError at"), caplog.text.count("TypeError at")) == (1, 1)
