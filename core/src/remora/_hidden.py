"""
What is hidden of texts and keys that nobody has declared secret, but that sound or look like it.

What lives here: text to text. What must not: records.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C", bound=type)

HIDDEN = "***"
_NAME = re.compile(r"(?i)auth|key|passw|secret|token|credential")
_CREDENTIALS = re.compile(
    r"(//)(?:[^/\s?#]*|[^/@\s:\[]*:(?!\d*[/?#])[^@\s]+)@"  # an unquoted password may even have slashes
    r"|(?<=[a-z0-9]:)(?!//)/?[^/@\s:]+:[^/@\s]+@",  # without the slashes of a URL, or with one of them
    re.IGNORECASE,
)
"""What stands before the host of a URL."""
_PARAMETER = re.compile(r"(?i)([?&][\w-]*(?:key|passw|secret|token|credential)[\w-]*=)[^&#\s'\"]+")


def names_secret(key: str) -> bool:
    """
    Whether a key that is not one of Remora's own sounds as if a secret stood under it.
    """
    return _NAME.search(key) is not None


def without_credentials(text: str) -> str:
    """
    A text with `***` for the users and passwords of URLs in it, and for their parameters that sound like one.
    """
    return _PARAMETER.sub(rf"\1{HIDDEN}", without_users(text))


def without_users(text: str) -> str:
    """
    A text with `***` for the users and passwords of URLs in it.
    """
    return _CREDENTIALS.sub(rf"\1{HIDDEN}@", text) if "@" in text else text


def discreet(cls: C) -> C:
    """
    The same class; the `repr` of its objects shows no credentials of URLs.
    """
    shown = cast("Callable[[object], str]", cls.__repr__)

    def shown_without(self: object) -> str:
        return without_credentials(shown(self))

    cls.__repr__ = shown_without  # type: ignore[assignment]
    return cls
