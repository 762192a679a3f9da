"""
Encoding and decoding a record of six fields: the JSON codec compared with msgspec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from benchmarks.rounds import measure
from remora.codecs import JsonCodec

if TYPE_CHECKING:
    from benchmarks.rounds import Contender, Slice


@dataclass(frozen=True, slots=True)
class Order:
    """
    A typical record of a call.
    """

    number: int
    customer: str
    total: float
    is_paid: bool
    labels: list[str]
    note: str | None = None


_ORDER = Order(4711, "Ada Lovelace", 12.5, True, ["a", "b"], "by hand")


def json_codec(_: str, __: bytes, callers: int) -> Contender:
    """
    Encode and decode with the codec of the core, prepared for the type as for that of a method.
    """

    async def contender(seconds: float) -> Slice:
        encode, decode = JsonCodec().encoder(Order), JsonCodec().decoder(Order)

        async def call() -> Order:
            return decode(encode(_ORDER))

        return await measure(call, seconds, callers=callers)

    return contender


def direct_msgspec(_: str, __: bytes, callers: int) -> Contender:
    """
    Encode and decode with msgspec.
    """

    async def contender(seconds: float) -> Slice:
        encoder, decoder = msgspec.json.Encoder(), msgspec.json.Decoder(Order)

        async def call() -> Order:
            return decoder.decode(encoder.encode(_ORDER))

        return await measure(call, seconds, callers=callers)

    return contender
