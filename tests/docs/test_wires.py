"""
What `docs/wires.md` shows is what really passes: between Remora and Remora, and between Remora and grpcio.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import grpc
import importlib_metadata
import pytest

from remora import Call, Endpoint, PluginError, serving
from remora.protocols import Channel
from tests.docs.pages import ROOT, blocks_of
from tests.docs.tap import Tap
from tests.docs.words import Words

pytestmark = pytest.mark.anyio

SHOWN = {block.words: block.text for block in blocks_of(ROOT / "docs" / "wires.md") if block.language == "text"}
PLUGIN = Path(__file__).with_name("words.py")


async def test_connect_request_reply_and_error(anyio_backend: str) -> None:
    """
    The whole text of two exchanges.
    """
    async with serving(Words(), listen="http:") as served:
        port = int(served.endpoints[0].url.rpartition(":")[2].strip("/"))
        async with Tap(("127.0.0.1", port), listen=("127.0.0.1", 0)) as tap:
            tapped = f"http://127.0.0.1:{tap.address[1]}"
            async with _open("http", tapped) as channel:
                await _ask(channel, "a host and its remora", deadline=True)
                await _ask(channel, "", deadline=True)

    requests = [text for sent, _ in tap.connections for text in _messages(sent, r"(?=POST )")]
    replies = [text for _, received in tap.connections for text in _messages(received, r"(?=HTTP/1\.1 )")]
    seen = {
        "connect-request": [_steady(text, tap) for text in requests if "its remora" in text],
        "connect-reply": [_steady(text, tap) for text in replies if '"words"' in text],
        "connect-error": [_steady(text, tap) for text in replies if "nothing" in text],
    }
    _check({name: texts[0] for name, texts in seen.items()})


async def test_ttrpc_frames(anyio_backend: str, tmp_path: Path) -> None:
    """
    Every byte of a request, of its reply, and of an error.
    """
    async with serving(Words(), listen=f"unix:{tmp_path}/words.sock"):
        async with Tap(f"{tmp_path}/words.sock", listen=f"{tmp_path}/tap.sock") as tap:
            async with _open("unix", f"unix:{tmp_path}/tap.sock") as channel:
                await _ask(channel, "a host and its remora")
                await _ask(channel, "")

    ((sent, received),) = tap.connections
    request, reply, error = (_hex(frame) for frame in [_frames(sent)[0], *_frames(received)])
    _check({"ttrpc-request": request, "ttrpc-reply": reply, "ttrpc-error": error})


async def test_json_lines(anyio_backend: str, tmp_path: Path) -> None:
    """
    What a child process reads and writes.
    """
    script = f"tee {tmp_path}/in | {sys.executable} {PLUGIN} | tee {tmp_path}/out"
    options = {"protocol": "jsonl", "args": ("-c", script)}
    async with _open("exec", "exec:sh", **options) as channel:
        await _ask(channel, "a host and its remora", deadline=True)
        await _ask(channel, "", deadline=True)

    asked = re.sub(r'(?<="timeout_ms":)\d+', "5000", (tmp_path / "in").read_text())
    _check({"jsonl-host": asked, "jsonl-plugin": (tmp_path / "out").read_text()})


async def test_grpc_metadata_of_a_request(anyio_backend: str) -> None:
    """
    As a server of grpcio sees it.
    """
    server = grpc.server(ThreadPoolExecutor(1))
    witness = _Witness()
    server.add_generic_rpc_handlers([witness])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        async with _open("grpc", f"grpc://127.0.0.1:{port}") as channel:
            await _ask(channel, "a host and its remora")
    finally:
        await anyio.to_thread.run_sync(server.stop(0).wait, 5)

    _check({"grpc-request": witness.seen[-1]})


async def test_grpc_trailers_of_an_error(anyio_backend: str) -> None:
    """
    As a client of grpcio sees them.
    """
    async with serving(Words(), listen="grpc:") as served:
        address = served.endpoints[0].url.removeprefix("grpc://")
        seen = await anyio.to_thread.run_sync(_grpc_error, address)

    _check({"grpc-error": seen})


def _check(seen: dict[str, str]) -> None:
    assert {name: SHOWN.get(name) for name in seen} == seen


class _Witness(grpc.GenericRpcHandler):
    """
    Answers every call alike, and writes down what it saw of it.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []

    def service(self, handler_call_details: Any) -> Any:
        metadata = [f"{each.key}: {each.value}" for each in handler_call_details.invocation_metadata]
        ours = sorted(line for line in metadata if not line.startswith("user-agent"))
        self.seen.append("\n".join([f":path: {handler_call_details.method}", *ours, ""]))
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b'{"words":5}')


def _grpc_error(address: str) -> str:
    with grpc.insecure_channel(address) as channel:
        count = channel.unary_unary("/text.v1.Words/count")
        try:
            count(b'{"text":""}', timeout=5)
        except grpc.RpcError as error:
            trailers = [f"{key}: {value!r}" for key, value in error.trailing_metadata()]
            head = [f"grpc-status: {error.code().value[0]}", f"grpc-message: {error.details()}"]
            return "\n".join([*head, *trailers, ""])
    raise AssertionError("the plugin has answered")


@asynccontextmanager
async def _open(name: str, url: str, **options: object) -> AsyncIterator[Channel]:
    (point,) = importlib_metadata.entry_points(group="remora", name=name)
    (spec,) = point.load().remora_register_transports()
    with anyio.fail_after(20):
        async with spec.build(spec.options(**options)).open(Endpoint(url)) as channel:
            yield channel


async def _ask(channel: Channel, text: str, *, deadline: bool = False) -> None:
    call = Call(
        service="text.v1.Words",
        method="count",
        payload=f'{{"text":"{text}"}}'.encode(),
        headers={"x-tenant": "acme"},
        request_id="r-1",
        deadline=anyio.current_time() + 5 if deadline else None,
    )
    with suppress(PluginError):
        await channel.call(call)


def _messages(stream: bytearray, boundary: str) -> list[str]:
    return re.split(boundary, stream.decode().replace("\r\n", "\n"))


def _steady(text: str, tap: Tap) -> str:
    """
    The text without what differs from run to run.
    """
    text = text.replace(f"127.0.0.1:{tap.address[1]}", "127.0.0.1:8000")
    text = re.sub(r"(?<=connect-timeout-ms: )\d+", "5000", text)
    text = re.sub(r"(?<=date: ).+", "Tue, 03 Nov 2026 12:00:00 GMT", text)
    return re.sub(r"user-agent: .+\n", "", text) + "\n"


def _frames(stream: bytearray) -> list[bytes]:
    frames = []
    while stream:
        end = 10 + int.from_bytes(stream[:4])
        frames.append(bytes(stream[:end]))
        stream = stream[end:]
    return frames


def _hex(data: bytes) -> str:
    rows = [data[start : start + 16] for start in range(0, len(data), 16)]
    return "".join(f"{16 * number:04x}  {row.hex(' '):<47}  {_readable(row)}\n" for number, row in enumerate(rows))


def _readable(row: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
