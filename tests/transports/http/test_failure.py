"""
The error JSON of the Connect protocol.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.errors import Code, DeadlineExceeded, PluginError, RemoraError
from remora_http._failure import Answer, encode_failure, quote_body, read_connect_failure, read_failure

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=10,
)


def read(body: bytes, status: int = 500, **headers: str) -> RemoraError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_failure(Answer(status=status, headers=named, own={}, body=body), now=0.0)


@given(
    st.sampled_from(sorted(set(Code) - {Code.DEADLINE_EXCEEDED})),
    st.text(),
    st.dictionaries(st.text(), json_values, max_size=4),
)
def test_an_error_survives_the_wire(code: Code, message: str, details: dict[str, object]) -> None:
    """Code, message and details arrive as they were sent."""
    arrived = read(encode_failure(PluginError(message, code=code, details=details)))

    assert isinstance(arrived, PluginError)
    assert (code, message, details) == (arrived.code, arrived.message, arrived.details)


@given(st.floats(0, 1e6), st.dictionaries(st.text(), json_values, max_size=1))
def test_the_time_to_wait_survives_to_the_nanosecond(seconds: float, details: dict[str, object]) -> None:
    """Unlike the header, which other clients understand, and which has whole seconds."""
    arrived = read(encode_failure(PluginError("busy", details=details, retry_after=seconds)), retry_after="77")

    assert arrived.retry_after == pytest.approx(seconds, abs=1e-9)
    assert isinstance(arrived, PluginError)
    assert arrived.details == details


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("CgIIBQ", 5.0),
        ("CgsI////////////AQ", -1.0),
        ("CgoI//////////9/", 1e9),
        ("Cn8", 30.0),
        ("!", 30.0),
        (None, 30.0),
    ],
)
def test_a_time_to_wait_that_cannot_be_read_is_left_to_the_header(value: str | None, seconds: float) -> None:
    """Less than nothing asks for no other try, and what is too much is 32 years."""
    detail = {"type": "google.rpc.RetryInfo", "value": value}
    body = json.dumps({"code": "unavailable", "details": [detail]}).encode()

    assert read(body, retry_after="30").retry_after == seconds


def test_a_deadline_that_the_plugin_noticed_first_is_a_deadline() -> None:
    """The caller need not tell the two apart."""
    assert isinstance(read(b'{"code": "deadline_exceeded"}', 504), DeadlineExceeded)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()), st.integers(100, 599))
def test_any_body_makes_an_error(body: bytes, status: int) -> None:
    """No answer crashes the parser."""
    assert isinstance(read(body, status), RemoraError)


@given(
    st.fixed_dictionaries(
        {"code": st.just("not_found") | json_values},
        optional={
            "message": json_values,
            "details": json_values
            | st.lists(
                st.fixed_dictionaries(
                    {"type": st.sampled_from(["google.protobuf.Struct", "google.rpc.RetryInfo"]) | json_values},
                    optional={"value": json_values, "debug": json_values},
                )
            ),
        },
    )
)
def test_an_error_of_the_wrong_shape_is_still_an_error(content: dict[str, object]) -> None:
    """Fields of other types count as absent."""
    arrived = read(json.dumps(content).encode())

    assert isinstance(arrived, RemoraError)
    assert content["code"] != "not_found" or arrived.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "google.protobuf.Struct", "debug": {"a": 1}},
        {"type": "google.protobuf.Struct", "value": "!", "debug": {"a": 1}},
        {"type": "type.googleapis.com/google.protobuf.Struct", "value": "CgwKAWESBxEAAAAAAADwPw"},
    ],
)
def test_details_are_read_from_what_is_there(detail: dict[str, object]) -> None:
    """From the value, or else from what was written for human eyes."""
    error = read(json.dumps({"code": "internal", "details": [detail]}).encode())

    assert isinstance(error, PluginError)
    assert error.details == ({"a": 1} if "debug" in detail else error.details)


def test_details_that_are_no_json_are_still_sent() -> None:
    """As text, and without the copy for human eyes."""
    error = read(encode_failure(PluginError("x", details={"at": object, "nan": float("nan")})))

    assert isinstance(error, PluginError)
    assert {"at", "nan"} == set(error.details)


def test_an_answer_of_another_server_is_quoted() -> None:
    """The beginning of its body is in the message, its control characters are not."""
    error = read(b"<h1>Oops\x1b[31m</h1>" + b"x" * 5000, 418)

    assert "HTTP status 418: <h1>Oops" in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 1200


def test_a_redirect_says_that_it_is_not_followed() -> None:
    """With the place to which it leads."""
    error = read_failure(Answer(status=307, headers={"location": "http://x/"}, own={}, body=b""), now=0.0)

    assert "redirects are not followed" in error.message
    assert "http://x/" in error.message


def test_json_of_another_server_is_no_connect_error() -> None:
    """A code that is not one of Connect's decides nothing."""
    assert read_connect_failure(Answer(status=400, headers={}, own={}, body=b'{"code": 17}')) is None


@pytest.mark.fault(65)
def test_deeply_nested_json_is_only_a_quotation() -> None:
    """It does not exhaust the stack."""
    assert read(b"[" * 100_000).code is Code.UNKNOWN


@given(st.binary(max_size=3000))
def test_a_quotation_is_short_and_printable(body: bytes) -> None:
    """Whatever the body is."""
    quoted = quote_body(body)

    assert len(quoted) <= 1026
    assert all(char.isprintable() or char in "\t\n" for char in quoted)
