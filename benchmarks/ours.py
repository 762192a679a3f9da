"""
Remora as a contender: calls with encoded payloads through a manager, and the same over the bare channel.

A call is a typed one without encoding and decoding, with all policies.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from benchmarks.rounds import measure
from remora import Manager
from remora._draft import make_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.rounds import Contender, Slice
    from remora._calls._caller import Caller
    from remora.types import Call, Reply

SERVICE, METHOD, JSON = "bench.v1.Echo", "echo", "application/json"
TIMEOUT = 10.0
PROGRAM = "/bin/cat"
"""Returns its input, and costs almost nothing itself."""


def through_pipeline(endpoint: str, payload: bytes, callers: int) -> Contender:
    """
    Calls through the pipeline.
    """
    return _through_pipeline(endpoint, payload, callers)


def through_httpx(endpoint: str, payload: bytes, callers: int) -> Contender:
    """
    The same over HTTP with the engine that uses httpx, as for proxies and HTTP/2.
    """
    return _through_pipeline(endpoint, payload, callers, engine="httpx")


def _through_pipeline(endpoint: str, payload: bytes, callers: int, **options: object) -> Contender:
    async def contender(seconds: float) -> Slice:
        async with calling(endpoint, callers, **options) as caller:
            pipeline = caller.pipeline

            async def call() -> Reply:
                return await pipeline.carry(call_of(caller, payload))

            return await measure(call, seconds, callers=callers, batch=1)

    return contender


def over_channel(endpoint: str, payload: bytes, callers: int) -> Contender:
    """
    Calls over the channel of the same transport, without the pipeline.
    """

    async def contender(seconds: float) -> Slice:
        async with calling(endpoint, callers) as caller:
            channel = caller.route.instances[0].channel
            assert channel is not None
            return await measure(lambda: channel.call(call_of(caller, payload)), seconds, callers=callers, batch=1)

    return contender


def json_text(size: int) -> bytes:
    """
    A text of JSON of so many bytes.
    """
    return b'"' + b"x" * (size - 2) + b'"'


def call_of(caller: Caller, payload: bytes, method: str = METHOD) -> Call:
    """
    An encoded call.
    """
    config = caller.route.config
    deadline = caller.pipeline.deadline(TIMEOUT)
    return make_call(config.service, method, payload, JSON, {}, deadline, "0" * 32, False, "", "")


@asynccontextmanager
async def calling(endpoint: str, callers: int, **options: object) -> AsyncIterator[Caller]:
    """
    The way into an open plugin that takes as many calls at once, with the options of its transport.
    """
    async with managing(endpoint, callers, **options) as manager:
        caller = manager._fleet.caller("echo")
        if endpoint != program():
            with anyio.fail_after(10):
                await caller.info()
        yield caller


@asynccontextmanager
async def managing(endpoint: str, callers: int, **options: object) -> AsyncIterator[Manager]:
    """
    A manager with one plugin, "echo", that takes as many calls at once, with the options of its transport.
    """
    url, *arguments = endpoint.split()
    table: dict[str, object] = {
        "endpoint": url,
        "service": SERVICE,
        "method": METHOD,
        "connection": {"max_connections": max(callers, 32), "max_idle_connections": max(callers, 32)},
        "rate_limit": {"enabled": True, "requests_per_second": 1e9, "burst_size": 10**9},
    }
    if arguments:
        table |= {"args": arguments, "work_dir": "."}
    if endpoint == program():
        table |= {"protocol": "oneshot"}
    if options:
        table |= {"options": options}
    async with Manager({"log_level": "error", "plugins": {"echo": table}}) as manager:
        yield manager


def child(kind: str, *arguments: str) -> str:
    """
    The endpoint of a server of this kind as a child process, with its arguments.
    """
    return " ".join([f"exec:{sys.executable} -m benchmarks.servers {kind}", *arguments])


def program() -> str:
    """
    The endpoint of a program that is started for each call.
    """
    return f"exec:{PROGRAM}"
