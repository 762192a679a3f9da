"""
A token and how long it lives, and how programs print that.

What lives here: text to records. What must not: waiting, files.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass
from datetime import datetime

from remora.secret import Secret

_TOKEN = re.compile(r"[\x21-\x7e]+")
_DIGITS = re.compile(r"[0-9]+")
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Token:
    """
    A token.

    Attributes:
        secret: The token itself.
        lifetime: Seconds for which it is good from now on; None for as long as nobody says otherwise.
    """

    secret: Secret
    lifetime: float | None = None


def read_token(text: str, *, now: float | None = None) -> Token:
    """
    The token in a text: the text itself, or JSON with `token` or `access_token` and `expires_in` or `expires_at`.

    Args:
        text: What a file holds or a program has printed.
        now: Seconds since the epoch.

    Raises:
        ValueError: There is none; the message shows nothing of the text.
    """
    stripped = text.strip()
    if not stripped.startswith("{"):
        return Token(_checked(stripped))
    try:
        table = json.loads(stripped)
    except (ValueError, RecursionError):
        raise ValueError("it begins like JSON, but is not JSON") from None
    return Token(_checked(table.get("token", table.get("access_token"))), _lifetime(table, now))


def token_of(value: object) -> Token:
    """
    The token that a callable has returned: text, or a pair of text and seconds.

    Raises:
        ValueError: It is neither; the message shows nothing of it.
    """
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError("expected a token, or a pair of a token and the seconds for which it is good")
        return Token(token_of(value[0]).secret, None if value[1] is None else _seconds(value[1]))
    return Token(_checked(value.reveal() if isinstance(value, Secret) else value))


def _checked(text: object) -> Secret:
    if not isinstance(text, str) or not text:
        raise ValueError("there is no token in it")
    if not _TOKEN.fullmatch(text):
        raise ValueError("the token has a character that no header can carry")
    return Secret(text)


def _lifetime(table: dict[str, object], now: float | None) -> float | None:
    if "expires_in" in table:
        return _seconds(_number(table["expires_in"]))
    end = table.get("expires_at", table.get("expiry"))
    if end is None:
        return None
    now = time.time() if now is None else now
    return _seconds(end if not isinstance(end, str) else _timestamp(end), since=now)


def _number(value: object) -> object:
    """
    What digits say that some providers write as text; everything else as it is.
    """
    return float(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


def _timestamp(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError("the token's expiry time is not in ISO 8601") from None


def _seconds(value: object, since: float = 0.0) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not -_LARGEST <= value <= _LARGEST:
        raise ValueError("the token's lifetime is not a number of seconds")
    return max(0.0, float(value) - since)
