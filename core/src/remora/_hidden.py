"""
What is hidden of texts and keys that nobody has declared secret, but that sound or look like it.

What lives here: text to text, also in the `repr` of objects. What must not: any kind of record.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C", bound=type)

HIDDEN = "***"
_NAME = re.compile(r"(?i)auth|key|passw|secret|token|credential")
_END = re.compile(r"[/?#]")
"""What ends the authority of a URL."""
_AUTHORITY = re.compile(r"//(?=[^/?#]*\Z|[^/:\[]*:(?!\d*[/?#]).)")  # an unquoted password may even have slashes
"""The slashes before a user, in a text that ends at the `@` behind it: `https://user:word`."""
_BARE = re.compile(r"(?i)(?<=[a-z0-9]:)(?!//)/?[^/:]+:[^/]+\Z")
"""A user where the slashes are missing, or one of them is: `https:user:word`, `https:/user:word`."""
_PARAMETER = re.compile(r"(?i)([?&](?=[\w-]*(?:key|passw|secret|token|credential))[\w-]*+=)[^&#\s'\"]+")


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
    return "".join(map(_without_user, re.split(r"(\s+)", text))) if "@" in text else text


def _without_user(word: str) -> str:
    """
    The same for a word, in a time that grows with its length only: a plugin may have written it.
    """
    *parts, rest = word.split("@")
    shown: list[str] = []
    is_within = False
    for part in parts:
        if is_within and not _END.search(part):  # a password with an @ in it
            continue
        begin = _begin_of_user(part)
        is_within = begin is not None
        shown.append(part if begin is None else part[:begin] + HIDDEN)
    return "@".join([*shown, rest])


def _begin_of_user(part: str) -> int | None:
    found = _AUTHORITY.search(part)
    bare = _BARE.search(part, max(part.rfind("/"), 0))
    begins = [*([found.end()] if found else []), *([bare.start()] if bare else [])]
    return min(begins, default=None)


def discreet(cls: C) -> C:
    """
    The same class; the `repr` of its objects shows no credentials of URLs.
    """
    shown = cast("Callable[[object], str]", cls.__repr__)

    def shown_without(self: object) -> str:
        return without_credentials(shown(self))

    cls.__repr__ = shown_without  # type: ignore[assignment]
    return cls
