"""
Records as MessagePack.

What lives here: what MessagePack does differently from JSON: bytes are bytes. What must not: the hooks that both share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import msgpack  # type: ignore[import-untyped]

from remora.codecs import Mismatch, RecordConverter

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

_TIMESTAMP_AS_DATETIME = 3


class MsgpackCodec:
    """
    Records as MessagePack, the same way as in JSON except for bytes, which need no base64 here.

    Datetimes are written as text in ISO 8601, which keeps the time zone; the timestamps of other writers are read, too.
    """

    content_type = "application/msgpack"

    def __init__(self) -> None:
        self._converter = RecordConverter("MessagePack", customize=_keep_bytes)

    def encode(self, value: object, /) -> bytes:
        """
        The payload for a record.

        Raises:
            ValueError: It holds something that MessagePack cannot carry, such as an integer of more than 64 bits.
        """
        plain = self._converter.unstructure(value)
        try:
            return cast("bytes", msgpack.packb(plain))
        except (TypeError, ValueError, OverflowError, RecursionError) as exc:
            raise self._converter.refusal(value, exc, write=msgpack.packb) from exc

    def decode(self, payload: bytes, type_: type[T], /) -> T:
        """
        The record of a payload. An empty payload is nil.

        Raises:
            ValueError: It is not MessagePack, or not such a record; the message names the field.
        """
        return self._converter.structure(_unpack(payload), type_)


def _unpack(payload: bytes) -> object:
    if not payload:
        return None
    try:
        return msgpack.unpackb(payload, strict_map_key=False, timestamp=_TIMESTAMP_AS_DATETIME)
    except msgpack.StackError as exc:
        raise ValueError("not MessagePack that can be read: nested too deeply") from exc
    # An array or a map as a key is unhashable, and a timestamp may be outside of what a datetime can hold.
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as exc:
        raise ValueError(f"not MessagePack: {str(exc) or 'an invalid byte'}") from exc


def _keep_bytes(converter: Converter) -> None:
    converter.register_structure_hook(bytes, _structure_bytes)
    converter.register_unstructure_hook(bytes, bytes)


def _structure_bytes(value: object, _: object) -> bytes:
    if not isinstance(value, bytes):
        raise Mismatch("bytes", value)
    return value
