"""
The rules for redirects, without a server.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from remora import ConfigError
from remora_http._client._redirect import NotFollowed, Rules, Stop, parse_origins
from remora_http._failure import Answer
from remora_http.plugin import Options

HOME = "https://home.test"
OTHER = "https://other.test:8443"
RULES = Rules(home=HOME, others=frozenset({OTHER, "http://plain.test"}), most=2, shows_certificate=False)


def stop(
    location: str | None,
    *,
    rules: Rules = RULES,
    status: int = 307,
    way: tuple[str, ...] = ("/a/b",),
    is_call: bool = True,
    headers: tuple[str, ...] = (),
) -> Stop:
    """
    Where a redirect leads that was found at the end of a way inside the origin.
    """
    found = {} if location is None else {"location": location}
    places = [Stop(rules.home, target) for target in way]
    return rules.next_stop(Answer(status, found, {}, b""), places, is_call=is_call, headers=headers)


@pytest.mark.parametrize(
    ("location", "origin", "target"),
    [
        ("/c?d=1#e", HOME, "/c?d=1"),
        ("c", HOME, "/a/c"),
        ("//home.test:443/", HOME, "/"),
        ("HTTPS://HOME.test", HOME, "/"),
        ("https://other.test:8443/x/", OTHER, "/x/"),
        ("/!~\u00e9", HOME, "/!~%C3%A9"),
        (f"/{'a' * (16 * 1024 - 1)}", HOME, f"/{'a' * (16 * 1024 - 1)}"),
    ],
    ids=range(7),
)
def test_a_redirect_leads_to_a_place_inside_the_rules(location: str, origin: str, target: str) -> None:
    """
    It may be relative, and have up to 16 KiB.
    """
    assert Stop(origin, target) == stop(location)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        (None, "does not say where to"),
        ("", "does not say where to"),
        (f"/{'a' * 16 * 1024}", "a URL of 16385 characters"),
        *[(f"/a{character}b", "not a URL") for character in "\0\x1f \x7f\\"],
        ("https://home.test:0/", "not a URL"),
        ("https://:80/c", "not a URL"),
        ("ftp://home.test/", "leads to 'ftp', which is not HTTP"),
        ("https://me@home.test/", "credentials of its own"),
        ("https://:secret@home.test/", "credentials of its own"),
        ("http://home.test/", "from https to http"),
        ("http://plain.test/", "from https to http"),
        ("https://other.test/", "another origin, which redirect_origins does not name"),
        ("/a/b", "leads round in a circle"),
    ],
    ids=range(17),
)
def test_a_redirect_that_leads_elsewhere_is_not_followed(location: str | None, reason: str) -> None:
    """
    The reason says what is wrong with it.
    """
    with pytest.raises(NotFollowed, match=re.escape(reason)):
        stop(location)


def test_what_is_not_encrypted_may_lead_to_what_is_and_to_its_like() -> None:
    """
    Only the way back is closed.
    """
    rules = Rules(
        home="http://home.test", others=frozenset({OTHER, "http://plain.test"}), most=2, shows_certificate=False
    )

    assert [OTHER, "http://plain.test"] == [stop(each, rules=rules).origin for each in (OTHER, "http://plain.test")]


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_page_is_asked_for_again_where_a_call_is_not(status: int) -> None:
    """
    A GET stays a GET; 307 and 308 keep a call what it is.
    """
    assert [Stop(HOME, "/c")] * 2 == [stop("/c", status=each) for each in (307, 308)]
    assert Stop(HOME, "/c") == stop("/c", status=status, is_call=False)
    with pytest.raises(NotFollowed, match="into a GET"):
        stop("/c", status=status)


def test_as_many_redirects_are_followed_as_are_allowed() -> None:
    """
    Two, here.
    """
    assert Stop(HOME, "/c") == stop("/c", way=("/a", "/b"))
    with pytest.raises(NotFollowed, match="more than 2 redirects"):
        stop("/d", way=("/a", "/b", "/c"))


@pytest.mark.parametrize("name", ["Authorization", "cookie", "x-own", "accepts"])
def test_another_origin_gets_no_header_that_could_be_a_credential(name: str) -> None:
    """
    Inside the origin, all are sent again.
    """
    harmless = ("Accept", "accept-language", "TraceParent", "tracestate", "user-agent", "Content-Type", "X-Request-Id")

    assert Stop(OTHER, "/") == stop(OTHER, headers=harmless)
    assert Stop(HOME, "/c") == stop("/c", headers=(*harmless, name))
    with pytest.raises(NotFollowed, match=f"the header '{name.lower()}' of the call could be a credential"):
        stop(OTHER, headers=(*harmless, name))


def test_who_shows_a_certificate_stays_inside_the_origin() -> None:
    """
    It is a credential as well.
    """
    rules = replace(RULES, shows_certificate=True)

    assert Stop(HOME, "/c") == stop("/c", rules=rules)
    with pytest.raises(NotFollowed, match="a client certificate is for one origin only"):
        stop(OTHER, rules=rules)


def test_origins_are_urls_without_a_path() -> None:
    """
    By what they are called in redirects.
    """
    found = parse_origins(Options(redirect_origins=("HTTPS://a.test:443/", "http://b.test:8000")))

    assert ["https://a.test", "http://b.test:8000"] == list(found)
    assert [("a.test", 443), ("b.test", 8000)] == [(each.host, each.port) for each in found.values()]


@pytest.mark.parametrize(
    ("origin", "problem"),
    [
        ("a.test", "expected such as"),
        ("http+unix:/s", "expected such as"),
        ("http://:80", "names no host"),
        ("https://a.test/v1", "more than scheme, host and port"),
        ("https://a.test?v=1", "more than scheme, host and port"),
    ],
)
def test_an_origin_that_is_none_is_an_error_of_the_configuration(origin: str, problem: str) -> None:
    """
    The message names the option.
    """
    with pytest.raises(ConfigError, match=f"^redirect_origins: .*{problem}"):
        parse_origins(Options(redirect_origins=(origin,)))
