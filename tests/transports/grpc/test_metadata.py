"""
Headers as gRPC's metadata.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import InvalidRequest
from remora_grpc._metadata import CONTENT_TYPE, REQUEST_ID, find, pack, unpack

NAMES = st.from_regex(r"x-[a-z0-9_.]{1,8}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126))


@given(st.dictionaries(NAMES, VALUES))
def test_headers_survive_the_way(headers: dict[str, str]):
    """
    What is packed is unpacked.
    """
    assert (headers, {}) == unpack(pack(headers))


@given(st.binary())
def test_binary_values_stand_as_base64_text(value: bytes):
    """
    A `-bin` header's text is what gRPC writes on the wire.
    """
    headers, _ = unpack([("x-bin", value)])

    assert [("x-bin", value)] == pack({"X-Bin": headers["x-bin"]})
    assert "=" not in headers["x-bin"]


@given(st.dictionaries(st.text(), st.text()))
def test_any_header_is_packed_or_refused(headers: dict[str, str]):
    """
    No header passes that grpcio would fail on.
    """
    try:
        packed = pack(headers)
    except InvalidRequest:
        return

    for name, value in packed:
        assert name == name.lower()
        assert isinstance(value, bytes) or (value.isascii() and (value.isprintable() or not value))


@pytest.mark.parametrize(
    ("name", "value"),
    [("x", "\x1f"), ("x", "\x7f"), ("x", "\t"), ("x", "é"), ("", "x"), ("a b", "x"), ("ä", "x"), ("x-bin", "!")],
)
def test_what_grpc_cannot_carry_is_refused(name: str, value: str):
    """
    The name, a value that is not printable ASCII, and bytes that are not base64.
    """
    with pytest.raises(InvalidRequest, match=r"header"):
        pack({name: value})


def test_names_of_the_connection_are_left_out_both_ways():
    """
    A proxied request's own headers do no harm.
    """
    names = ["Content-Type", "TE", "User-Agent", "Connection", "Host", "grpc-timeout", "grpc-trace-bin", "X-Request-Id"]

    assert [] == pack(dict.fromkeys(names, "x"))
    assert ({}, {"x-request-id": "x"}) == unpack([(name.lower(), "x") for name in names])


def test_own_entries_are_kept_apart():
    """
    The request id and the payload's media type are no headers.
    """
    metadata = [(REQUEST_ID, "r"), (CONTENT_TYPE, "application/json"), ("x", "1"), ("x", "2")]

    assert ({"x": "1, 2"}, {REQUEST_ID: "r", CONTENT_TYPE: "application/json"}) == unpack(metadata)
    assert "2" == find(metadata, "x")
    assert find(metadata, "y") is None
