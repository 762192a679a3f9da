"""
HTTP statuses and canonical codes, in both directions, by the tables of the Connect protocol and a little beyond.

What lives here: numbers, codes, and the headers that go with them. What must not: bodies (see `_failure`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil
from types import MappingProxyType

from remora.errors import Code

MAX_TIMEOUT_DIGITS = 10
_MAX_TIMEOUT_MS = 10**MAX_TIMEOUT_DIGITS - 1
_MAX_RETRY_AFTER_DIGITS = 9

STATUS_OF_CODE = MappingProxyType(
    {
        Code.CANCELLED: 499,
        Code.UNKNOWN: 500,
        Code.INVALID_ARGUMENT: 400,
        Code.DEADLINE_EXCEEDED: 504,
        Code.NOT_FOUND: 404,
        Code.ALREADY_EXISTS: 409,
        Code.PERMISSION_DENIED: 403,
        Code.RESOURCE_EXHAUSTED: 429,
        Code.FAILED_PRECONDITION: 400,
        Code.ABORTED: 409,
        Code.OUT_OF_RANGE: 400,
        Code.UNIMPLEMENTED: 501,
        Code.INTERNAL: 500,
        Code.UNAVAILABLE: 503,
        Code.DATA_LOSS: 500,
        Code.UNAUTHENTICATED: 401,
    }
)
"""The HTTP status with which a Connect server answers for each code."""

SUCCESS = range(200, 300)
"""The statuses of replies: a Connect server sends only 200, others also 201 or 204, for instance."""

_CODE_OF_STATUS = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}

_CODE_BEYOND_CONNECT = {
    405: Code.UNIMPLEMENTED,
    407: Code.UNAUTHENTICATED,
    408: Code.ABORTED,
    409: Code.ABORTED,
    410: Code.NOT_FOUND,
    412: Code.FAILED_PRECONDITION,
    413: Code.RESOURCE_EXHAUSTED,
    416: Code.OUT_OF_RANGE,
    423: Code.FAILED_PRECONDITION,
    424: Code.FAILED_PRECONDITION,
    425: Code.ABORTED,
    428: Code.FAILED_PRECONDITION,
    431: Code.RESOURCE_EXHAUSTED,
    451: Code.PERMISSION_DENIED,
}
"""Connect calls them unknown, which would blame the server; any other 4xx is an invalid argument."""

_REFUSALS = range(400, 500)

# Connect writes codes in lower case, and this one with a single "l".
_NAME_OF_CODE = {code: code.lower() for code in Code} | {Code.CANCELLED: "canceled"}
_CODE_OF_NAME = {name: code for code, name in _NAME_OF_CODE.items()}


def code_of_status(status: int) -> Code:
    """
    The code for the status of a server that does not speak Connect.
    """
    otherwise = Code.INVALID_ARGUMENT if status in _REFUSALS else Code.UNKNOWN
    return _CODE_OF_STATUS.get(status) or _CODE_BEYOND_CONNECT.get(status, otherwise)


def name_of_code(code: Code) -> str:
    """
    The code as Connect writes it.
    """
    return _NAME_OF_CODE[code]


def code_of_name(name: object) -> Code | None:
    """
    The code for a name as Connect writes it; None for anything else.
    """
    return _CODE_OF_NAME.get(name) if isinstance(name, str) else None


def format_timeout(remaining: float) -> str:
    """
    The Connect-Timeout-Ms header for `remaining` seconds, more than 0.
    """
    milliseconds = int(remaining * 1000)
    if not 0 < milliseconds < _MAX_TIMEOUT_MS:
        milliseconds = min(max(milliseconds, 1), _MAX_TIMEOUT_MS)
    return str(milliseconds)


def parse_timeout(text: str) -> float:
    """
    The seconds that a Connect-Timeout-Ms header allows.

    Raises:
        ValueError: It is not a whole number of at most ten digits.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > MAX_TIMEOUT_DIGITS:
        raise ValueError("connect-timeout-ms must be a whole number of at most ten digits")
    return int(text) / 1000


def format_retry_after(seconds: float) -> str:
    """
    The Retry-After header for a number of seconds, rounded up to whole ones; 0 for what is less, or NaN.
    """
    return str(ceil(min(max(0.0, seconds), 10.0**_MAX_RETRY_AFTER_DIGITS - 1)))


def parse_retry_after(text: str, *, now: float) -> float | None:
    """
    The seconds that a Retry-After header asks to wait; None when it cannot be read.

    Args:
        text: Seconds, or an HTTP date.
        now: Seconds since the epoch.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:_MAX_RETRY_AFTER_DIGITS])
    try:
        moment = parsedate_to_datetime(text)
        return max(_as_utc(moment).timestamp() - now, 0.0)
    except (ValueError, TypeError, IndexError, OverflowError):
        # The standard library's date parser raises any of these on text that is not a date.
        return None


def _as_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
