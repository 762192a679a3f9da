"""
What is hidden of URLs wherever they are quoted.
"""

from __future__ import annotations

import pytest

from remora.config import without_credentials
from remora.errors import ConfigError, Unavailable
from remora.types import Endpoint
from tests.growth import grows_with_size_only


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:word@h/x", "http://***@h/x"),
        ("at 'http://token@h': no", "at 'http://***@h': no"),
        ("http://a:b@c@h and http://d:e@h", "http://***@h and http://***@h"),
        ("http://a:b/c?d#e@h", "http://***@h"),
        ("grpc:user:word@h", "grpc:***@h"),
        ("http:/user:word@h", "http:***@h"),
        ("http://h/~a@b", "http://h/~a@b"),
        ("http://h:80/?a=x@b", "http://h:80/?a=x@b"),
        ("f.toml:2: to a@b", "f.toml:2: to a@b"),
        ("http://h/?api_key=word", "http://h/?api_key=***"),
    ],
)
def test_users_of_urls_are_hidden(text: str, shown: str) -> None:
    """
    All that stands before the host; what else has an `@` stays.
    """
    assert shown == without_credentials(text)


@pytest.mark.parametrize(
    "piece", ["a:", "//", "//a:", "//a", "x:a", "/", "a@", "//a@b:", "//a:/@", "?key", "key", "-", "\u2003@"]
)
@pytest.mark.parametrize("end", ["", " @", "@", "/@", "\n@"])
def test_no_text_takes_long(piece: str, end: str) -> None:
    """
    Not even one that a plugin has made up to hold up the host; before, some of these took minutes.
    """
    for start in ("http://", "?"):
        assert grows_with_size_only(
            without_credentials, lambda size, start=start: f"{start}{piece * size}{end}", 20_000
        )


def test_no_error_and_no_endpoint_shows_the_user_of_a_url() -> None:
    """
    Whoever raises the error need not think of it, and neither need who logs an endpoint.
    """
    url = "http://user:word@h"
    wrong = ConfigError(f"{url} is wrong", problems=[f"a: {url}", "b"])
    wrong.found_in("f.toml", message=f"f.toml: {url}", problems=[f"f.toml:1: {url}"])

    assert "http://***@h is away" == str(Unavailable(f"{url} is away"))
    assert ("f.toml: http://***@h", ("f.toml:1: http://***@h",)) == (str(wrong), wrong.problems)
    assert "word" not in repr(Endpoint(url)) + repr(wrong)
