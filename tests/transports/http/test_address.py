"""
Endpoints and paths.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.errors import ConfigError, InvalidRequest
from remora.types import Endpoint
from remora_http._address import Address, parse_address, parse_local_address, split_path


@pytest.mark.parametrize(
    ("url", "service", "method", "expected"),
    [
        ("http://h", "", "", "/"),
        ("http://h/", "", "", "/"),
        ("http://h/api/run", "", "", "/api/run"),
        ("http://h/api/run/", "", "", "/api/run/"),
        ("http://h/api/", "a.B", "c", "/api/a.B/c"),
        ("http://h", "", "c", "/c"),
        ("http://h/p?k=v", "a.B", "c", "/p/a.B/c?k=v"),
        ("http://h/p?k=v", "", "", "/p?k=v"),
        ("http://h", "a b", "ä?", "/a%20b/%C3%A4%3F"),
        ("http://h/ü", "", "", "/%C3%BC"),
    ],
)
def test_a_call_is_posted_under_its_endpoint(url: str, service: str, method: str, expected: str) -> None:
    """As it stands, when the call names nothing."""
    assert expected == parse_address(Endpoint(url)).target(service, method)


@pytest.mark.fault(66)
@pytest.mark.parametrize("name", [".", "..", "a/b", "/"])
def test_a_name_cannot_lead_elsewhere(name: str) -> None:
    """No call leaves the path of its endpoint."""
    with pytest.raises(InvalidRequest):
        parse_address(Endpoint("http://h/p")).target("s", name)


@pytest.mark.parametrize(
    "url",
    ["http:", "http://", "http://h:x", "http://h:99999", "http://h:0", "http://[", "http://a..b"]
    + [f"http://a%{code}b/" for code in ("00", "0d%0a", "20", "2f", "3a80", "40", "5c")],
)
def test_an_address_that_makes_no_sense_is_an_error_of_the_configuration(url: str) -> None:
    """Found before anything is sent."""
    with pytest.raises(ConfigError):
        parse_address(Endpoint(url))


@pytest.mark.parametrize("place", ["user:secret@h/", "secret@h", ":secret@h", "user:secret/x@h"])
def test_credentials_in_an_address_are_refused_and_not_repeated(place: str) -> None:
    """They would end in logs."""
    for parse in (parse_address, parse_local_address):
        with pytest.raises(ConfigError) as caught:
            parse(Endpoint(f"http://{place}"))
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://h", "http://h"),
        ("http://h:80", "http://h"),
        ("https://h", "https://h"),
        ("https://h:443/x", "https://h"),
        ("https://h:80", "https://h:80"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("HTTP://Exämple.org", "http://xn--exmple-cua.org"),
    ],
)
def test_the_port_that_goes_without_saying_is_not_said(url: str, origin: str) -> None:
    """Servers compare the Host header by letter."""
    address = parse_address(Endpoint(url))

    assert origin == address.origin
    assert origin.partition("://")[2] == address.place


@pytest.mark.parametrize(("url", "secure"), [("http:", False), ("https:", True)])
def test_a_bare_scheme_listens_on_a_free_port_of_the_loopback_interface(url: str, secure: bool) -> None:
    """Nobody else can reach it."""
    expected = Address(secure=secure, host="127.0.0.1", port=0, path="", given_path="", query="")

    assert expected == parse_local_address(Endpoint(url))


def test_an_address_to_listen_at_may_have_a_path_and_needs_a_host() -> None:
    """Whoever leaves the host out may mean this machine, or the network."""
    expected = Address(secure=False, host="::1", port=0, path="/p", given_path="/p/", query="k=v")

    assert expected == parse_local_address(Endpoint("http://[::1]:0/p/?k=v"))
    with pytest.raises(ConfigError, match="names no host"):
        parse_local_address(Endpoint("http://:8080"))


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/a.B/c", "", ("a.B", "c")),
        ("/c", "", ("", "c")),
        ("/", "", ("", "")),
        ("", "", ("", "")),
        ("/api/a.B/c", "/api", ("a.B", "c")),
        ("/api/c", "/api", ("", "c")),
        ("/api", "/api", ("", "")),
        ("/api/", "/api/", ("", "")),
        ("/apis/c", "/api", ("apis", "c")),
        ("/c", "/api", ("", "c")),
        ("/v1/a.B/c", "", ("a.B", "c")),
    ],
)
def test_the_end_of_the_path_names_the_method(path: str, root: str, expected: tuple[str, str]) -> None:
    """Wherever the application is mounted, and whether or not the server leaves the mount in the path."""
    assert expected == split_path(path, root)


names = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="._-"), min_size=1).filter(
    lambda name: name not in {".", ".."}
)


@given(names, names)
def test_names_survive_the_wire(service: str, method: str) -> None:
    """What the client writes is what the server reads."""
    path = parse_address(Endpoint("http://h/x")).target(service, method)

    assert (service, method) == split_path(path, "/x")
