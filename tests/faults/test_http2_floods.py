"""
Clients of a plugin that is served over gRPC who keep to the letter of HTTP/2, and mean harm.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from remora import Call, Endpoint
from remora_grpc.plugin import GrpcOptions, build
from tests.transports.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    header,
)

pytestmark = pytest.mark.anyio

SECONDS = 0.4
"""For how long each flood lasts."""
BATCH = 1 << 16
"""Bytes that are poured at once."""
PATIENCE = 5
"""Seconds that each call of the others has; it needs milliseconds."""
MOST_GROWN = 400 << 20
"""Bytes by which the server may have grown, which is more than twice what it does."""


# POST, http, path and authority by their places in HPACK's own table.
CALL = b"\x83\x86\x04\x09/Calm/ask\x01\x01h" + header(b"content-type", b"application/grpc") + header(b"te", b"trailers")


def resets() -> Iterator[bytes]:
    """
    Calls that are made and taken back at once (CVE-2023-44487).
    """
    for stream in count(1, 2):
        yield frame(HEADERS, END_STREAM | END_HEADERS, stream, CALL) + frame(RST_STREAM, 0, stream, b"\0\0\0\x08")


def streams() -> Iterator[bytes]:
    """
    Calls that are begun and never ended.
    """
    for stream in count(1, 2):
        yield frame(HEADERS, END_HEADERS, stream, CALL)


def settings() -> Iterator[bytes]:
    """
    New settings, each of which wants to be acknowledged.
    """
    while True:
        yield frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535))


def pings() -> Iterator[bytes]:
    """
    Questions whether anybody is there.
    """
    while True:
        yield frame(PING, 0, 0, b"12345678")


def continuations() -> Iterator[bytes]:
    """
    Headers that never end.
    """
    yield frame(HEADERS, 0, 1, CALL)
    while True:
        yield frame(CONTINUATION, 0, 1, header(b"x-a", b"y" * 100) * 100)


def headers() -> Iterator[bytes]:
    """
    Calls with 300 KiB of headers each.
    """
    for stream in count(1, 2):
        yield frame(HEADERS, 0, stream, CALL)
        yield b"".join(frame(CONTINUATION, 0, stream, header(b"x-a", b"y" * 10_000)) for _ in range(30))
        yield frame(CONTINUATION, END_HEADERS, stream)


def references() -> Iterator[bytes]:
    """
    Calls with 64 MB of headers each, in 16 kB: one header that the table knows, again and again.
    """
    yield frame(HEADERS, END_HEADERS, 1, CALL + header(b"x-a", b"y" * 4000, first=0x40))
    for stream in count(3, 2):
        yield frame(HEADERS, END_STREAM | END_HEADERS, stream, CALL + b"\xbe" * 16_000)


def trifles() -> Iterator[bytes]:
    """
    Frames that say nothing.
    """
    yield frame(HEADERS, END_HEADERS, 1, CALL)
    while True:
        yield frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1") + frame(PRIORITY, 0, 3, b"\0\0\0\0\x10") + frame(DATA, 0, 1)


FLOODS: list[Callable[[], Iterator[bytes]]] = [
    resets, streams, settings, pings, continuations, headers, references, trifles,
]  # fmt: skip

PROGRAM = """
class Calm:
    async def ask(self, number: int) -> int:
        return number
"""


@asynccontextmanager
async def served(tmp_path: Path, backend: str) -> AsyncIterator[tuple[int, int]]:
    """
    The port and the process number of a plugin in a process of its own.
    """
    (tmp_path / "calm.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "remora_cli", "serve", "calm:Calm", "--listen", "grpc://127.0.0.1:0"]
    async with await anyio.open_process([*command, "--backend", backend], cwd=tmp_path, stderr=None) as process:
        assert process.stdout is not None
        said = b""
        try:
            while b"\n" not in said:
                said += await process.stdout.receive()
            yield int(said.split(b"grpc://127.0.0.1:")[1].split()[0].rstrip(b",")), process.pid
        finally:
            process.kill()


def pour(port: int, flood: Iterator[bytes], over: threading.Event) -> None:
    """
    Send as much as the server takes, and read what it says, until the time is over or it has had enough.
    """
    end = time.monotonic() + SECONDS
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as peer, suppress(OSError):
        listener = threading.Thread(target=listen_to, args=(peer,))
        listener.start()
        try:
            peer.sendall(PREFACE + frame(SETTINGS, 0, 0))
            while time.monotonic() < end:
                peer.sendall(batch(flood))
        finally:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            listener.join()
            over.set()


def batch(flood: Iterator[bytes]) -> bytes:
    """
    The next frames of a flood.
    """
    frames = bytearray()
    while len(frames) < BATCH:
        frames += next(flood)
    return bytes(frames)


def listen_to(peer: socket.socket) -> None:
    """
    Read all that comes.
    """
    with suppress(OSError):
        while peer.recv(65536):
            pass


def grown(pid: int) -> int:
    """
    The most memory that a process has had, in bytes.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (most,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return most << 10


@pytest.mark.fault(60)
@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
@pytest.mark.long
async def test_a_flood_of_one_client_is_none_of_the_others(
    flood: Callable[[], Iterator[bytes]], tmp_path: Path, anyio_backend_name: str
) -> None:
    """
    Each of their calls is answered, while it lasts and afterwards; and the server stays as small as it should.
    """
    answered, over = 0, threading.Event()
    patience = 5 * PATIENCE if flood is references else PATIENCE  # gRPC's core reads a megabyte of them in a second
    with anyio.fail_after(30 + patience):
        async with served(tmp_path, anyio_backend_name) as (port, pid):
            async with build(GrpcOptions()).open(Endpoint(f"grpc://127.0.0.1:{port}")) as channel:
                before = grown(pid)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(anyio.to_thread.run_sync, pour, port, flood(), over)
                    while not over.is_set() or answered < 3:
                        call = Call(method="ask", payload=b"1", deadline=anyio.current_time() + patience)
                        assert b"1" == (await channel.call(call)).payload
                        answered += 1
                after = grown(pid)

    assert answered >= 3
    assert after - before < MOST_GROWN
