"""
The peers over gRPC: a method that takes and returns bytes, with grpc.aio and in threads.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
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


def grpc_in_threads(address: str, payload: bytes, callers: int) -> Contender:
    """
    A blocking multicallable, with a thread for each call under way.
    """

    async def contender(seconds: float) -> Slice:
        limiter = anyio.CapacityLimiter(callers)
        with grpc.insecure_channel(address) as channel:
            method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/{METHOD}")
            blocking = partial(method, payload, timeout=TIMEOUT)
            return await measure(
                lambda: anyio.to_thread.run_sync(blocking, limiter=limiter), seconds, callers=callers, batch=1
            )

    return contender
