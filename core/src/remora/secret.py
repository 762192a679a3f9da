"""
Text that nobody sees by accident.

What lives here: the one type for passwords, keys and tokens. What must not: where they come from or go to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar, final
from weakref import WeakValueDictionary

__all__ = ["Secret", "redacted"]

T = TypeVar("T")

_HIDDEN = "***"
_SHORTEST = 8
"""Characters of a text that can be told from a word that stands there by chance."""


@final
class Secret:
    """
    A text that shows itself only when it is asked to.

    In a message, a log, a record's `repr` or a formatted text it stands as `Secret(***)`. It cannot be written into a
    payload, and it is not pickled. Two secrets are compared in a time that does not tell where they differ.
    """

    __slots__ = ("__weakref__", "_text")
    _text: str

    def __init__(self, text: str | Secret = "") -> None:
        if not isinstance(text, str | Secret):
            raise TypeError(f"a secret is text, not {type(text).__name__}")
        object.__setattr__(self, "_text", text.reveal() if isinstance(text, Secret) else text)
        if len(self._text) >= _SHORTEST:
            _held[id(self)] = self

    def reveal(self) -> str:
        """
        The text itself. Call it where the text is needed and nowhere before.
        """
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self is other:  # as the empty one is that stands where no secret is given
            return True
        import hmac  # it loads OpenSSL, and hardly a program compares secrets

        return hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret()"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret does not change")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled; reveal() it where it is needed")


_held: WeakValueDictionary[int, Secret] = WeakValueDictionary()
"""All secrets that are held somewhere in this process, but for those that are too short to be found in a text."""


def redacted(value: T) -> T:
    """
    What others have said, with `***` for every secret that this process holds: a text, or plain values with texts in
    them. Secrets of fewer than 8 characters stay, since they could be any word.
    """
    found = {secret._text for reference in _held.valuerefs() if (secret := reference()) is not None}
    try:
        return _redacted(value, sorted(found, key=len, reverse=True)) if found else value
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _redacted(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, _HIDDEN)
        return value
    if isinstance(value, Mapping):
        return {_redacted(key, secrets): _redacted(each, secrets) for key, each in value.items()}
    return [_redacted(each, secrets) for each in value] if isinstance(value, list) else value


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
