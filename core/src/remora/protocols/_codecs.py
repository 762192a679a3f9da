"""
The format of payloads.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

T = TypeVar("T")


class Codec(Protocol):
    """
    Turns records into payloads and back.
    """

    content_type: str

    def encode(self, value: object, /) -> bytes:
        """
        The payload for a record.

        Raises:
            ValueError: It cannot be written in this format; the message names the type or the field.
        """
        ...

    def decode(self, payload: bytes, type_: type[T], /) -> T:
        """
        The record of a payload.

        Raises:
            ValueError: It is not such a record; the message names the field.
        """
        ...
