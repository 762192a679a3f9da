"""
The peer over gRPC: grpc.aio with a method that takes and returns bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc.aio

from benchmarks.ours import METHOD, SERVICE, TIMEOUT
from benchmarks.rounds import measure

if TYPE_CHECKING:
    from benchmarks.rounds import Contender, Slice


def bare_grpc(address: str, payload: bytes, callers: int) -> Contender:
    """
    A bare multicallable.
    """

    async def contender(seconds: float) -> Slice:
        async with grpc.aio.insecure_channel(address) as channel:
            method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/{METHOD}")
            return await measure(lambda: method(payload, timeout=TIMEOUT), seconds, callers=callers, batch=1)

    return contender
