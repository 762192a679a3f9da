"""
The servers that are called, each in its own process: `python -m benchmarks.servers KIND ADDRESS [LOOP]`.

They echo. The first line on standard output is their address; they end at the end of their standard input.
"""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import grpc.aio

from benchmarks.placement import obeyed
from benchmarks.ttrpc_echo import listen_at, serve_as_child
from remora import service
from remora.serve import ServeOptions, serve_until_stopped
from remora.types import Endpoint, Reply
from remora_http._transport import HttpTransport
from remora_http.plugin import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.placement import Placement
    from remora.serve import Served
    from remora.types import Call

SIZE = struct.Struct(">I")
"""The header of a frame of the peers: the number of bytes that follow."""

MANY = 100_000
"""More calls at once than any client makes."""


@service("bench.v1.Echo")
class Echo:
    """
    The plugin that echoes.
    """

    async def echo(self, text: str) -> str:
        """
        Return `text`.
        """
        return text

    async def hold(self, text: str) -> str:
        """
        Do not return.
        """
        await anyio.sleep_forever()
        return text


class HttpEcho(asyncio.Protocol):
    """
    A minimal HTTP server: keep-alive, content-length, 200 with the body of the request; 404 at a wrong address.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Keep the client's transport.
        """
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """
        Answer each complete request.
        """
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            size = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or b"0")
            if len(self._data) < end + 4 + size:
                return
            body, self._data = self._data[end + 4 : end + 4 + size], self._data[end + 4 + size :]
            is_known = b"/bench.v1.echo/" in head.partition(b"\r\n")[0]
            self._answer(b"200 OK" if is_known else b"404 Not Found", body if is_known else b"")

    def _answer(self, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        self._transport.write(head + body)


class FrameEcho(asyncio.Protocol):
    """
    Echoes frames: a size, then as many bytes.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Keep the client's transport.
        """
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """
        Return all bytes, which keeps frames whole.
        """
        self._transport.write(data)


async def _http(_: str) -> None:
    server = await asyncio.get_running_loop().create_server(HttpEcho, "127.0.0.1", 0, backlog=512)
    _say(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await _until_end_of_input()


async def _http_unix(path: str) -> None:
    await asyncio.get_running_loop().create_unix_server(HttpEcho, path, backlog=512)
    _say(path)
    await _until_end_of_input()


async def _frames(path: str) -> None:
    await asyncio.get_running_loop().create_unix_server(FrameEcho, path, backlog=512)
    _say(path)
    await _until_end_of_input()


async def _ttrpc(path: str) -> None:
    listen_at(path)
    _say(f"unix://{path}")
    await _until_end_of_input()


async def _grpc(_: str) -> None:
    async def echo(request: bytes, context: object) -> bytes:
        return request

    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.v1.Echo", {"echo": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _say(f"127.0.0.1:{port}")
    await _until_end_of_input()
    await server.stop(None)


async def _remora(address: str) -> None:
    def announce(served: Served) -> None:
        if address != "stdio:":
            _say(served.endpoints[0].url)

    options = ServeOptions(max_concurrent_calls=MANY)
    await serve_until_stopped(Echo(), listen=[address], options=options, announce=announce)


async def _served(address: str) -> None:
    """
    Serve the plugin, and also print the PID.
    """

    def announce(served: Served) -> None:
        _say(f"{served.endpoints[0].address} {os.getpid()}")

    await serve_until_stopped(Echo(), listen=[address], announce=announce)


async def _bare(address: str) -> None:
    """
    Remora's HTTP server alone: the bytes of each request are returned.
    """

    async def echo(call: Call, _: str) -> Reply:
        return Reply(payload=call.payload, content_type=call.content_type)

    async with HttpTransport(Options()).listen(Endpoint(address), echo) as listener:
        _say(f"{listener.endpoint.address} {os.getpid()}")
        await _until_end_of_input()


def _child() -> None:
    """
    Echo frames over standard input and output, as a child of the peers.
    """
    reader, writer = sys.stdin.buffer, sys.stdout.buffer
    while head := reader.read(SIZE.size):
        writer.write(head + reader.read(SIZE.unpack(head)[0]))
        writer.flush()


async def _until_end_of_input() -> None:
    await anyio.to_thread.run_sync(sys.stdin.read)


def _say(address: str) -> None:
    print(address, flush=True)


@contextmanager
def running(kind: str, address: str = "", backend: str = "asyncio", *, placement: Placement) -> Iterator[str]:
    """
    The address of a server in its own process, as the server prints it; it runs while the context lasts.
    """
    command = [sys.executable, "-m", "benchmarks.servers", kind, address, backend, placement.argument]
    if kind in ("uvicorn", "hypercorn"):
        command = [sys.executable, "-m", "benchmarks.peers_asgi", kind, backend, placement.argument]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.stdin.close()


if __name__ == "__main__":
    kinds = {
        "http": _http,
        "http-unix": _http_unix,
        "frames": _frames,
        "ttrpc": _ttrpc,
        "grpc": _grpc,
        "remora": _remora,
        "served": _served,
        "bare": _bare,
    }
    children = {"child": _child, "ttrpc-child": serve_as_child}
    chosen, *others = obeyed(sys.argv[1:])
    if chosen in children:
        children[chosen]()
    else:
        loop = others[1] if len(others) > 1 else "asyncio"
        anyio.run(
            kinds[chosen],
            others[0],
            backend="trio" if loop == "trio" else "asyncio",
            backend_options={"use_uvloop": True} if loop == "uvloop" else {},
        )
