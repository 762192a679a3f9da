"""
Credentials as headers: how they are written, and how they are read.

What lives here: text to text. What must not: files, comparisons.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

from remora.errors import ConfigError
from remora.wire import is_reserved

if TYPE_CHECKING:
    from remora.secret import Secret
    from remora.types import Call

AUTHORIZATION = "authorization"
API_KEY = "x-api-key"

_SCHEMES = ("basic", "bearer", "digest", "negotiate", "token")
"""What stands before a secret in a header, and never is one."""

_NAME = re.compile(r"[a-z0-9_.-]+")  # what every wire carries
_VALUE = re.compile(r"[\x21-\x7e]+(?: +[\x21-\x7e]+)*")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def with_header(call: Call, name: str, value: str) -> Call:
    """
    The call with a header of that name, whatever it had there before.
    """
    return replace(call, headers={**call.headers, name: value})


def header_name(text: str, default: str) -> str:
    """
    The name of a header in lower case.

    Raises:
        ConfigError: It is none.
    """
    name = text.lower() or default
    if not _NAME.fullmatch(name):
        raise ConfigError(f"header: {text!r} cannot be the name of a header")
    if is_reserved(name):
        raise ConfigError(f"header: {text!r} is set by a wire itself")
    return name


def header_value(key: str, secret: Secret) -> str:
    """
    A secret that is a header's value.

    Raises:
        ConfigError: It is missing, or no header can carry it; it is not shown.
    """
    if not secret:
        raise ConfigError(f"{key}: missing")
    if secret.reveal().rstrip(" ").lower() in _SCHEMES:  # such as "Bearer ${TOKEN}" with an empty variable
        raise ConfigError(f"{key}: names a scheme, and the secret behind it is missing")
    if not _VALUE.fullmatch(secret.reveal()):
        raise ConfigError(f"{key}: has a character that no header can carry")
    return secret.reveal()


def write_bearer(token: Secret) -> str:
    """
    The value of `authorization` for a token.
    """
    return f"Bearer {token.reveal()}"


def read_bearer(value: str) -> str | None:
    """
    The token in a value of `authorization`; None when there is none.
    """
    scheme, _, rest = value.partition(" ")
    token = rest.strip(" ")
    return token if scheme.lower() == "bearer" and _TOKEN.fullmatch(token) else None


def write_basic(username: str, password: Secret) -> str:
    """
    The value of `authorization` for a name and a password, as RFC 7617 has it, in UTF-8.

    Raises:
        ConfigError: RFC 7617 cannot carry them.
    """
    if not username or ":" in username or _CONTROLS.search(username):
        raise ConfigError("username: must have at least one character, and neither ':' nor control characters")
    if _CONTROLS.search(password.reveal()):
        raise ConfigError("password: has a control character")
    try:
        credentials = f"{username}:{password.reveal()}".encode()
    except UnicodeEncodeError:  # of an environment variable with other bytes; its message would show the password
        raise ConfigError("username and password: must be UTF-8 text") from None
    return f"Basic {b64encode(credentials).decode()}"


def read_basic(value: str) -> tuple[str, str] | None:
    """
    The name and the password in a value of `authorization`; None when there are none.
    """
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = b64decode(rest.strip(" "), validate=True).decode()
    except ValueError:
        return None
    username, colon, password = text.partition(":")
    return (username, password) if username and colon and not _CONTROLS.search(text) else None
