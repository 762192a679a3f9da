"""
The format of payloads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Codec(Protocol):
    """
    Turns records into payloads and back.
    """

    @property
    def content_type(self) -> str:
        """
        The media type of the payloads that it writes, such as "application/json".
        """
        ...

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


@runtime_checkable
class PreparedCodec(Codec, Protocol):
    """
    A codec that is quicker for types that are known before any call, as those of a method are.
    """

    def encoder(self, type_: type, /) -> Callable[[Any], bytes]:
        """
        What `encode` does, quicker for records of a type. It takes all others too.
        """
        ...

    def decoder(self, type_: type[T], /) -> Callable[[bytes], T]:
        """
        What `decode` does for a type.
        """
        ...
