"""
Statuses, codes, timeouts and Retry-After.
"""

from __future__ import annotations

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.errors import Code, PluginError
from remora.policy import verdict_of
from remora_http._status import (
    STATUS_OF_CODE,
    code_of_name,
    code_of_status,
    format_retry_after,
    format_timeout,
    name_of_code,
    parse_retry_after,
    parse_timeout,
)


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_name_and_a_status(code: Code) -> None:
    """Connect can carry all sixteen codes."""
    assert code is code_of_name(name_of_code(code))
    assert 400 <= STATUS_OF_CODE[code] < 600


def test_cancelled_is_spelt_as_connect_spells_it() -> None:
    """One "l"; the other spelling is unknown."""
    assert name_of_code(Code.CANCELLED) == "canceled"
    assert code_of_name("cancelled") is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Code.INTERNAL),
        (401, Code.UNAUTHENTICATED),
        (403, Code.PERMISSION_DENIED),
        (404, Code.UNIMPLEMENTED),
        (429, Code.UNAVAILABLE),
        (502, Code.UNAVAILABLE),
        (503, Code.UNAVAILABLE),
        (504, Code.UNAVAILABLE),
        (302, Code.UNKNOWN),
        (500, Code.UNKNOWN),
    ],
)
def test_statuses_of_other_servers_are_mapped_by_the_table_of_connect(status: int, code: Code) -> None:
    """What is not in the table, and no refusal, is unknown."""
    assert code is code_of_status(status)


@pytest.mark.parametrize("status", range(400, 500))
def test_a_refused_request_is_no_failure_of_the_server(status: int) -> None:
    """Beyond the table of Connect, every 4xx counts as an answer."""
    known = {405: "UNIMPLEMENTED", 409: "ABORTED", 412: "FAILED_PRECONDITION", 418: "INVALID_ARGUMENT"}
    code = code_of_status(status)

    assert known.get(status, code) == code
    assert verdict_of(PluginError("no", code=code)) or status in (400, 429)  # which Connect names


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_a_timeout_survives_the_wire_to_the_millisecond(seconds: float) -> None:
    """It never becomes zero, and never has more than ten digits."""
    text = format_timeout(seconds)

    assert 1 <= len(text) <= 10
    assert 0 < parse_timeout(text) <= max(seconds, 0.001)


@given(st.text())
def test_a_timeout_is_digits_or_an_error(text: str) -> None:
    """No text crashes the parser, and what it accepts is a sensible number."""
    try:
        seconds = parse_timeout(text)
    except ValueError:
        assert not (text.isascii() and text.isdigit() and len(text) <= 10)
    else:
        assert 0 <= seconds < 1e7


@given(st.text())
def test_retry_after_is_never_negative(text: str) -> None:
    """Whatever a server writes there."""
    seconds = parse_retry_after(text, now=0.0)

    assert seconds is None or seconds >= 0


@given(st.floats(min_value=0, max_value=1e8))
def test_retry_after_never_asks_for_too_little(seconds: float) -> None:
    """Whole seconds are rounded up."""
    parsed = parse_retry_after(format_retry_after(seconds), now=0.0)

    assert parsed is not None
    assert seconds <= parsed <= seconds + 1


def test_a_time_to_wait_that_is_no_number_is_none() -> None:
    """
    Of a plugin that has divided zero by zero.
    """
    assert "0" == format_retry_after(math.nan)


def test_retry_after_may_be_a_date() -> None:
    """A date in the past means now."""
    date = formatdate(1_000_030, usegmt=True)

    assert parse_retry_after(date, now=1_000_000.0) == 30.0
    assert parse_retry_after(date, now=2_000_000.0) == 0.0
