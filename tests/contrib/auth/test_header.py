"""
Credentials as headers.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import ConfigError, Secret
from remora_auth._callers import read_callers
from remora_auth._header import header_name, header_value, read_basic, read_bearer, write_basic, write_bearer
from remora_auth._token import read_token

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")))


@given(PRINTABLE.filter(lambda text: text and ":" not in text), PRINTABLE)
def test_basic_is_read_as_it_was_written(username: str, password: str) -> None:
    """
    Colons belong to the password.
    """
    assert (username, password) == read_basic(write_basic(username, Secret(password)))


@given(st.text())
def test_any_text_is_basic_or_is_not(text: str) -> None:
    """
    Nothing that a stranger sends raises.
    """
    for value in (text, f"Basic {text}", f"basic   {text}"):
        found = read_basic(value)
        assert found is None or (found[0] and ":" not in found[0])


@given(VISIBLE)
def test_bearer_is_read_as_it_was_written(token: str) -> None:
    """
    The word before it in any case.
    """
    assert token == read_bearer(write_bearer(Secret(token)))
    assert token == read_bearer(f"bEARER   {token} ")


@given(st.text())
def test_any_text_is_bearer_or_is_not(text: str) -> None:
    """
    What is none has no token.
    """
    for value in (text, f"Bearer {text}"):
        found = read_bearer(value)
        assert found is None or (found.isascii() and found.isprintable() and " " not in found)


@pytest.mark.parametrize("username", ["", "a:b", "a\nb"])
def test_name_that_basic_cannot_carry_is_refused(username: str) -> None:
    """
    Before anything is sent.
    """
    with pytest.raises(ConfigError, match="username"):
        write_basic(username, Secret("p"))


def test_a_password_that_is_no_text_is_refused_and_not_shown() -> None:
    """
    As an environment variable may hold it that is not UTF-8.
    """
    with pytest.raises(ConfigError) as caught:
        write_basic("ada", Secret("p\udce4ss"))

    assert "username and password: must be UTF-8 text" == str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("text", ["Bearer ", "bearer", "Basic  "])
def test_a_scheme_without_a_secret_is_refused(text: str) -> None:
    """
    As a reference to an empty variable leaves it.
    """
    with pytest.raises(ConfigError, match="headers.Authorization: names a scheme, and the secret behind it is missing"):
        header_value("headers.Authorization", Secret(text))


@pytest.mark.parametrize("text", ["a\r\nb", "a\x00", "ä", " a"])
def test_value_that_no_header_carries_is_refused_and_not_shown(text: str) -> None:
    """
    No header can be smuggled in.
    """
    with pytest.raises(ConfigError) as caught:
        header_value("api_key", Secret(text))

    assert "api_key: has a character that no header can carry" == str(caught.value)
    with pytest.raises(ConfigError, match="header"):
        header_name(f"x{text}", "x")


@pytest.mark.parametrize(
    ("name", "problem"),
    [("x key", "cannot be"), ("x!key", "cannot be"), ("x~", "cannot be"), ("Host", "is set"), ("grpc-x", "is set")],
)
def test_a_name_that_no_wire_would_carry_is_refused(name: str, problem: str) -> None:
    """
    By `remora check`, and not at the first call.
    """
    with pytest.raises(ConfigError, match=f"header: '{name}' {problem}"):
        header_name(name, "")


@given(st.text())
def test_any_text_is_a_token_or_an_error_without_it(text: str) -> None:
    """
    The error never repeats the text.
    """
    try:
        token = read_token(text, now=0.0)
    except ValueError as error:
        assert len(text.strip()) < 8 or text.strip() not in str(error)
    else:
        assert token.secret.reveal().isprintable()


@pytest.mark.parametrize(
    ("text", "lifetime"),
    [
        ("t0k3n\n", None),
        ('{"token": "t0k3n"}', None),
        ('{"access_token": "t0k3n", "expires_in": 60}', 60.0),
        ('{"access_token": "t0k3n", "expires_in": "3599"}', 3599.0),
        ('{"token": "t0k3n", "expires_at": "1970-01-01T00:02:00+00:00"}', 20.0),
        ('{"token": "t0k3n", "expires_at": 90}', 0.0),
    ],
)
def test_token_is_read_with_its_lifetime(text: str, lifetime: float | None) -> None:
    """
    A text alone, or JSON as token services answer.
    """
    token = read_token(text, now=100.0)

    assert "t0k3n" == token.secret.reveal()
    assert lifetime == token.lifetime


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "a b",
        "{",
        "{}",
        '{"token": 1}',
        '{"token": "t", "expires_in": "soon"}',
        '{"token": "t", "expires_in": "' + "9" * 5000 + '"}',
        '{"token": "t", "expires_in": 1' + "0" * 400 + "}",
        '{"token":"t","expires_at":"x"}',
    ],
)
def test_text_without_a_token_is_an_error(text: str) -> None:
    """
    Whatever is missing.
    """
    with pytest.raises(ValueError, match=r"token|JSON"):
        read_token(text)


@given(st.text())
def test_any_text_names_callers_or_is_an_error(text: str) -> None:
    """
    A wrong line is named by its number.
    """
    try:
        known = read_callers(text)
    except ValueError as error:
        assert str(error).startswith(("line ", "no line"))
    else:
        assert known
        assert all(name for name, _ in known)
