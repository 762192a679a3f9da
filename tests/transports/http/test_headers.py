"""
Headers, on their way out and in.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora_http._headers import HeaderReader, decode_headers, encode_headers, media_type, without_reserved


@pytest.mark.fault(66)
@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\0b", "\x08", "\x0b", "\x1f", "\x7f"])
def test_a_value_with_a_control_character_is_refused_and_not_quoted(value: str) -> None:
    """Nobody smuggles a header into a request, or a secret into a log."""
    with pytest.raises(ValueError, match="x-token") as caught:
        encode_headers({"x-token": value})
    assert value not in str(caught.value)


@pytest.mark.fault(66)
@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    """Before it reaches the wire."""
    with pytest.raises(ValueError, match="not a valid name for a header"):
        encode_headers({name: "x"})


@pytest.mark.parametrize(
    "name", ["Connection", "content-length", "Content-Encoding", "host", "TE", "transfer-encoding"]
)
def test_the_headers_of_http_itself_are_not_for_callers(name: str) -> None:
    """They are left out."""
    assert encode_headers({name: "x"}) == []
    assert without_reserved({name.lower(): "x"}) == {}


values = st.text(st.characters(exclude_categories=["Cc", "Cs"])).map(lambda text: text.strip(" \t"))


@given(st.dictionaries(st.from_regex(r"x-[a-z0-9-]+", fullmatch=True), values))
def test_headers_survive_the_wire(headers: dict[str, str]) -> None:
    """In any language."""
    assert headers == decode_headers(encode_headers(headers))


def test_a_tab_and_what_is_not_printable_may_stand_in_a_value() -> None:
    """Only around it white space does not count."""
    assert [(b"x", b"a\tb"), (b"y", "\x80 ~".encode())] == encode_headers({"X": "\t a\tb ", "y": "\x80 ~"})
    assert [(b"x", b"\xe9")] == encode_headers({"x": b"\xe9".decode(errors="surrogateescape")})


def test_equal_names_are_joined() -> None:
    """As HTTP allows."""
    assert decode_headers([(b"A", b"1"), (b"a", b"2")]) == {"a": "1, 2"}


def test_a_value_that_is_not_utf8_is_still_read() -> None:
    """As Latin-1, which old servers write."""
    assert decode_headers([(b"a", b"\xe9")]) == {"a": "é"}


pairs = st.tuples(st.sampled_from([b"X-A", b"x-a", b"Date", b"Content-Length"]), st.binary(max_size=2))


@given(st.lists(st.lists(pairs, max_size=5), max_size=40))
def test_headers_that_are_known_are_read_as_if_they_were_new(messages: list[list[tuple[bytes, bytes]]]) -> None:
    """Whatever has been read before, even if there is no room to remember more."""
    reader = HeaderReader()
    for raw in messages:
        headers = decode_headers(raw)

        assert (headers, without_reserved(headers)) == reader.read(raw)


def test_a_media_type_has_no_parameters() -> None:
    """Nor capital letters."""
    assert media_type("Application/JSON ; charset=utf-8") == "application/json"
