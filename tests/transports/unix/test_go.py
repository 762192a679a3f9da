"""
Both roles against containerd's own ttrpc library, in Go.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from remora import Call, Code, DeadlineExceeded, Endpoint, PluginError, Reply, Status
from remora.io import TtrpcChannel
from remora_unix.plugin import Options, build

pytestmark = pytest.mark.anyio

transport = build(Options())


@asynccontextmanager
async def go_server(go_peer: Path, tmp_path: Path) -> AsyncIterator[TtrpcChannel]:
    """
    A channel to a running Go server.
    """
    path = str(tmp_path / "go.sock")
    with anyio.fail_after(10):
        async with await anyio.open_process([str(go_peer), "server", path], stderr=None) as process:
            try:
                assert process.stdout is not None
                await BufferedByteReceiveStream(process.stdout).receive_until(b"ready\n", 100)
                async with transport.open(Endpoint(f"unix://{path}")) as channel:
                    yield channel
            finally:
                process.kill()


def call(method: str, payload: bytes = b"", **more: object) -> Call:
    """
    A call of the Go server's only service.
    """
    return Call(service="acme.Go", method=method, payload=payload, **more)  # type: ignore[arg-type]


async def test_a_go_server_answers(go_peer: Path, tmp_path: Path) -> None:
    """
    It says nothing of a format, so the reply has the request's.
    """
    async with go_server(go_peer, tmp_path) as channel:
        reply = await channel.call(call("Echo", b'{"a": 1}', content_type="application/json"))

    assert Reply(payload=b'{"a": 1}', content_type="application/json") == reply


async def test_a_go_servers_status_is_the_plugins_error(go_peer: Path, tmp_path: Path) -> None:
    """
    With its code and its words.
    """
    async with go_server(go_peer, tmp_path) as channel:
        with pytest.raises(PluginError) as caught:
            await channel.call(call("Fail", b"shoe"))

    assert (Code.NOT_FOUND, "no such thing: shoe") == (caught.value.code, caught.value.message)


async def test_a_go_server_sees_the_deadline(go_peer: Path, tmp_path: Path) -> None:
    """
    Or that there is none.
    """
    async with go_server(go_peer, tmp_path) as channel:
        without = await channel.call(call("Left"))
        left = await channel.call(call("Left", deadline=anyio.current_time() + 60))

    assert b"none" == without.payload
    assert 50_000 < int(left.payload) <= 60_000


async def test_a_go_server_sees_headers_request_id_and_format(go_peer: Path, tmp_path: Path) -> None:
    """
    All of them as metadata.
    """
    seen = []
    async with go_server(go_peer, tmp_path) as channel:
        for key in (b"x-tenant", b"x-request-id", b"content-type"):
            asking = call("Metadata", key, headers={"x-tenant": "acme"}, request_id="r-1", content_type="a/b")
            seen.append((await channel.call(asking)).payload)

    assert [b"acme", b"r-1", b"a/b"] == seen


async def test_a_go_server_is_not_hurt_by_a_cancel_frame(go_peer: Path, tmp_path: Path) -> None:
    """
    Neither after a deadline nor after a cancellation; its late replies reach nobody.
    """
    async with go_server(go_peer, tmp_path) as channel:
        with pytest.raises(DeadlineExceeded):
            await channel.call(call("Wait", b"late", deadline=anyio.current_time() + 0.02))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.call, call("Wait", b"cancelled"))
            await channel.call(call("Echo"))
            tasks.cancel_scope.cancel()
        reply = await channel.call(call("Wait", b"in time"))

    assert b"in time" == reply.payload


async def test_a_go_server_answers_many_calls_at_once(go_peer: Path, tmp_path: Path) -> None:
    """
    Each gets its own reply.
    """
    async with go_server(go_peer, tmp_path) as channel, anyio.create_task_group() as tasks:

        async def one(number: int) -> None:
            payload = b"%d" % number
            assert payload == (await channel.call(call("Wait", payload))).payload

        for number in range(200):
            tasks.start_soon(one, number)


async def test_a_go_server_without_a_health_service_is_healthy(go_peer: Path, tmp_path: Path) -> None:
    """
    It answers, though with UNIMPLEMENTED.
    """
    async with go_server(go_peer, tmp_path) as channel:
        assert Status.HEALTHY == (await channel.probe()).status


async def handle(call: Call, peer: str) -> Reply:
    """
    What the Go client calls.
    """
    if call.method == "Fail":
        raise PluginError("out of shoes", code=Code.RESOURCE_EXHAUSTED, details={"size": 43})
    if call.method == "Hang":
        await anyio.sleep_forever()
    seen = {
        "service": call.service,
        "payload": call.payload.decode(),
        "content_type": call.content_type,
        "headers": dict(call.headers),
        "request_id": call.request_id,
        "has_time": call.deadline is not None and 50 < call.deadline - anyio.current_time() <= 60,
    }
    return Reply(payload=json.dumps(seen).encode(), headers={"x-extra": "skipped by foreign peers"})


async def go_call(go_peer: Path, tmp_path: Path, *arguments: str) -> dict[str, str]:
    """
    The end of one call by the Go client to a listener of ours.
    """
    with anyio.fail_after(10):
        async with transport.listen(Endpoint(f"unix://{tmp_path}/s"), handle) as listener:
            command = [str(go_peer), "client", listener.endpoint.address, "acme.Py", *arguments]
            process = await anyio.run_process(command, stderr=subprocess.STDOUT)
    end: dict[str, str] = json.loads(process.stdout)
    return end


async def test_a_go_client_gets_a_reply_and_is_understood(go_peer: Path, tmp_path: Path) -> None:
    """
    Metadata become headers; without a format in them the dispatcher is to decide.
    """
    end = await go_call(go_peer, tmp_path, "See", "hello", "60000", "x-tenant=acme", "x-request-id=r-1")

    assert "OK" == end["code"]
    assert {
        "service": "acme.Py",
        "payload": "hello",
        "content_type": "",
        "headers": {"x-tenant": "acme"},
        "request_id": "r-1",
        "has_time": True,
    } == json.loads(end["payload"])


async def test_a_go_client_gets_the_error_status(go_peer: Path, tmp_path: Path) -> None:
    """
    With its code and its words.
    """
    end = await go_call(go_peer, tmp_path, "Fail", "", "0")

    assert {"payload": "", "code": "ResourceExhausted", "message": "out of shoes"} == end


async def test_a_go_client_that_runs_out_of_time_hurts_nobody(go_peer: Path, tmp_path: Path) -> None:
    """
    It sends no cancel frame; the handler ends at the deadline by itself.
    """
    end = await go_call(go_peer, tmp_path, "Hang", "", "50")

    assert "DeadlineExceeded" == end["code"]
