"""
The format of payloads.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

T = TypeVar("T")


class Codec(Protocol):
    """
    Turns records into payloads and back.

    Attributes:
        content_type: The media type of the payloads that it writes, such as "application/json".
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
        The record in a payload.

        Args:
            payload: The bytes.
            type_: The type of the record.

        Raises:
            ValueError: The payload is not a record of that type; the message names the field.
        """
        ...
