"""
Servers side by side: the same calls for each, from a client that costs as little as possible; measures their CPU.

What lives here: the client. What must not: the servers (see `servers` and `peers_asgi`).
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.ours import JSON, METHOD, SERVICE
from benchmarks.rounds import Slice
from remora.types import Call
from remora.wire import REQUEST, encode_frame, encode_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.rounds import Contender

_WARM_UP = 0.05
_STEP = 0.001
_TIMEOUT = 10.0
_FRAME_HEADER = 10


def over_http(address: str, payload: bytes, callers: int) -> Contender:
    """
    Calls over one keep-alive connection per caller, with the headers that Remora's own client sends.
    """
    where, pid = address.split()
    lines = [
        f"POST /{SERVICE}/{METHOD} HTTP/1.1",
        f"host: {where}",
        "accept-encoding: gzip",
        "connect-protocol-version: 1",
        f"content-type: {JSON}",
        f"x-request-id: {'0' * 32}",
        "user-agent: remora",
        f"connect-timeout-ms: {_TIMEOUT * 1000:.0f}",
        f"content-length: {len(payload)}",
    ]
    request = "\r\n".join([*lines, "", ""]).encode() + payload

    async def contender(seconds: float) -> Slice:
        host, _, port = where.rpartition(":")
        loop = asyncio.get_running_loop()
        clients = [HttpClient(request, payload) for _ in range(callers)]
        for client in clients:
            await loop.create_connection(partial(_itself, client), host, int(port))
        found = await _watch(lambda: sum(client.calls for client in clients), int(pid), seconds)
        for client in clients:
            client.transport.abort()
        return found

    return contender


def over_unix(address: str, payload: bytes, callers: int) -> Contender:
    """
    Calls over one connection, with one call in flight per caller, like Remora's own client.
    """
    path, pid = address.split()
    call = Call(
        service=SERVICE, method=METHOD, payload=payload, content_type=JSON, deadline=_TIMEOUT, request_id="0" * 32
    )
    message = encode_request(call, 0.0)

    async def contender(seconds: float) -> Slice:
        client = FrameClient(message, payload, callers)
        transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: client, path)
        found = await _watch(lambda: client.calls, int(pid), seconds)
        transport.abort()
        return found

    return contender


def _itself(client: HttpClient) -> HttpClient:
    return client


async def _watch(calls: Callable[[], int], pid: int, seconds: float) -> Slice:
    """
    The calls that a server answers in `seconds`, or until it has answered one, with its CPU. Before its first answer it
    may still be loading.
    """
    await _more_than(0, calls)
    await asyncio.sleep(_WARM_UP)
    before, cpu, wall = calls(), cpu_of(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    await _more_than(before, calls)
    return Slice(calls() - before, cpu_of(pid) - cpu, time.perf_counter() - wall)


async def _more_than(number: int, calls: Callable[[], int]) -> None:
    while calls() <= number:  # noqa: ASYNC110, an event would cost every call
        await asyncio.sleep(_STEP)


def cpu_of(pid: int) -> float:
    """
    Seconds of CPU of another process, from the clock that Linux's `clock_getcpuclockid` names.
    """
    return time.clock_gettime((~pid << 3) | 2)


class HttpClient(asyncio.Protocol):
    """
    Sends a request as soon as the one before it is answered.
    """

    transport: asyncio.Transport

    def __init__(self, request: bytes, payload: bytes) -> None:
        self.calls = 0
        self._request = request
        self._payload = payload
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Send the first request.
        """
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._write = transport.write
        self._write(self._request)

    def data_received(self, data: bytes) -> None:
        """
        Send the next request when a correct answer is complete.
        """
        self._data = data = self._data + data if self._data else data
        head = data.find(b"\r\n\r\n")
        if head < 0 or len(data) < head + 4 + len(self._payload):
            return
        if not (data.startswith(b"HTTP/1.1 200") and data.endswith(self._payload)):
            raise SystemExit(f"a server answers {data[:200]!r}")
        self.calls += 1
        self._data = b""
        self._write(self._request)


class FrameClient(asyncio.Protocol):
    """
    Keeps `callers` calls in flight.
    """

    def __init__(self, message: bytes, payload: bytes, callers: int) -> None:
        self.calls = 0
        self._message = message
        self._payload = payload
        self._callers = callers
        self._number = -1
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Send the first request.
        """
        assert isinstance(transport, asyncio.Transport)
        self._write = transport.write
        self._ask(self._callers)

    def data_received(self, data: bytes) -> None:
        """
        Send as many new calls as have been answered, the last of them correctly.
        """
        data = self._data + data if self._data else data
        start = last = answered = 0
        while len(data) >= start + _FRAME_HEADER:
            end = start + _FRAME_HEADER + int.from_bytes(data[start : start + 4], "big")
            if len(data) < end:
                break
            last, start = start, end
            answered += 1
        if answered and data.find(self._payload, last, start) < 0:
            raise SystemExit(f"a server answers {data[:200]!r}")
        self._data = data[start:]
        self.calls += answered
        self._ask(answered)

    def _ask(self, count: int) -> None:
        frames = []
        for _ in range(count):
            self._number += 2
            frames.append(encode_frame(self._number, REQUEST, self._message))
        if frames:
            self._write(b"".join(frames))
