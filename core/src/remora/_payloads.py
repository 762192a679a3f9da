"""
A method's records as payloads: the format in which it is called, for the types that it has.

What lives here: how a codec is prepared for types that are known before any call. What must not: the choice of a codec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from remora import _structure
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora.protocols import Codec, PreparedCodec


class Payloads:
    """
    How one side of a method writes its records and reads those of the other.

    Args:
        codec: The format.
        writes: The type that is usually written.
        reads: The type that is read.

    Attributes:
        content_type: The media type of what is written.
        encode: Makes the payload of a record.
        decode: Makes the record of a payload.
    """

    __slots__ = ("content_type", "decode", "encode")
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]

    def __init__(self, codec: Codec, *, writes: Any, reads: Any) -> None:
        self.content_type: str = codec.content_type
        if _is_prepared(codec):
            self.encode, self.decode = codec.encoder(writes), codec.decoder(reads)
        else:
            self.encode, self.decode = codec.encode, lambda payload: codec.decode(payload, reads)


def _is_prepared(codec: Codec) -> TypeGuard[PreparedCodec]:
    return hasattr(codec, "encoder")  # `isinstance` would load the protocol, and a plugin is to be ready soon


def check_types(codec: Codec, where: str, *types: Any) -> None:
    """
    Make sure that values of the types of a method come out as what they were.

    Args:
        codec: The format; only JSON is looked at, since others may carry more.
        where: The method, for the message.
        types: Those of its request and its reply.

    Raises:
        ConfigError: They do not; the message says which, and why.
    """
    if codec.content_type != "application/json":
        return
    for type_ in types:
        if why := _structure.objection_to(type_):
            raise ConfigError(f"{where}: {why}")
