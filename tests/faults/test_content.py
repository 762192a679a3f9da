"""
Bytes that are meant to do harm: bombs, forged lines, signposts to other places.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import anyio
import importlib_metadata
import pytest
from anyio.abc import SocketStream

from remora import Call, Code, Endpoint, InvalidReply, InvalidRequest, PluginError, Reply, serving
from remora.protocols import Transport
from tests.architecture.sources import ROOT
from tests.faults.peers import ask, http_answer, http_request, manager_of

pytestmark = pytest.mark.anyio

WIRES = ["http", "unix", "grpc"]
BOMBS = {
    "deep": b"[" * 100_000,
    "deep and whole": b"[" * 50_000 + b"]" * 50_000,
    "number": b"[" + b"9" * 50_000 + b"]",
    "float": b"1e999999999",
    "nan": b"NaN",
}


def transport_of(name: str) -> Transport:
    """
    An installed transport without any option.
    """
    (entry,) = importlib_metadata.entry_points(group="remora", name=name)
    (spec,) = entry.load().remora_register_transports()
    transport: Transport = spec.build(spec.options())
    return transport


class Sum:
    def add(self, numbers: list[int]) -> int:
        return sum(numbers)


@pytest.mark.fault(64)
@pytest.mark.parametrize("side", ["host", "plugin"])
@pytest.mark.long
def test_a_bomb_takes_less_than_64_mib(anyio_backend: str, side: str) -> None:
    """
    300 MiB in 300 kB, in a process of its own, whose memory the kernel has measured.
    """
    command = [sys.executable, "-m", "tests.faults.bomb", anyio_backend, side]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=ROOT)
    report = json.loads(done.stdout)

    assert report["code"] == "RESOURCE_EXHAUSTED"
    assert report["grown"] < 64 << 20


@pytest.mark.fault(65)
@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("wire", WIRES)
async def test_a_request_that_is_a_json_bomb_is_refused(anyio_backend, wire: str, bomb: str) -> None:
    """
    By its content, on every wire; the next call is answered.
    """
    with anyio.fail_after(15):
        async with serving(Sum(), listen=f"{wire}:") as served:
            async with transport_of(wire).open(served.endpoints[0]) as channel:
                deadline = anyio.current_time() + 10
                with pytest.raises(PluginError) as caught:
                    await channel.call(Call(method="add", payload=BOMBS[bomb], deadline=deadline))
                reply = await channel.call(Call(method="add", payload=b"[1,2]", deadline=deadline))

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert len(str(caught.value)) < 500
    assert reply.payload == b"3"


@pytest.mark.fault(65)
@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("wire", WIRES)
async def test_a_reply_that_is_a_json_bomb_is_an_invalid_reply(anyio_backend, wire: str, bomb: str) -> None:
    """
    A typed error of the host, on every wire.
    """

    async def dispatch(call: Call, peer: str) -> Reply:
        return Reply(payload=BOMBS[bomb])

    with anyio.fail_after(15):
        async with transport_of(wire).listen(Endpoint(f"{wire}:"), dispatch) as listener:
            async with manager_of(bomb={"endpoint": listener.endpoint.url}) as manager:
                with pytest.raises(InvalidReply) as caught:
                    await manager.plugin("bomb", object, list[int]).execute(None)

    assert len(str(caught.value)) < 500


@pytest.mark.fault(65)
@pytest.mark.parametrize("bomb", ["deep", "deep and whole", "number", "nan"])
async def test_a_line_that_is_a_json_bomb_is_an_invalid_reply(anyio_backend, program, bomb: str) -> None:
    """
    At once, by the identifier at its beginning; the program's next line is read as ever.
    """
    body = f"""
        def answer(request):
            if request["payload"] == "bomb":
                text = {BOMBS[bomb].decode()[:1]!r} * 50000 if {bomb != "nan"} else "NaN"
                print('{{"id":%d,"result":%s}}' % (request["id"], text), flush=True)
            return "fine"
    """
    with anyio.fail_after(15):
        async with manager_of(loud=program(body)) as manager:
            with pytest.raises(InvalidReply) as caught:
                await ask(manager, "loud", "bomb")
            assert await ask(manager, "loud", "next") == "fine"

    assert "the answer is not JSON" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.fault(66)
@pytest.mark.parametrize("evil", ["a\r\nx-admin: 1", "a\nb", "a\rb", "a\0b"])
async def test_a_line_break_is_refused_wherever_it_stands(anyio_backend, evil: str) -> None:
    """
    Before anything is sent, and for every wire alike; a header's value is not repeated.
    """
    with anyio.fail_after(5):
        async with manager_of(text={"endpoint": "http://127.0.0.1:9"}) as manager:
            plugin = manager.plugin("text", object, object)
            for options in ({"headers": {"x-a": evil}}, {"headers": {evil: "1"}}, {"request_id": evil}):
                with pytest.raises(InvalidRequest) as caught:
                    await plugin.execute(None, **options)
                assert "\n" not in str(caught.value)
            for names in ({"service": evil}, {"method": evil}):
                with pytest.raises(InvalidRequest):
                    manager.plugin("text", object, object, **names)


ELSEWHERE = [
    "http://{elsewhere}/",
    "/elsewhere",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://2852039166/",
    "http://localhost.:{port}/",
    "unix:///run/docker.sock",
    "file:///etc/passwd",
]


@pytest.mark.fault(67, 68, 69)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Again", "308 For Good"])
@pytest.mark.parametrize("where", ELSEWHERE)
async def test_a_redirect_leads_nowhere(anyio_backend, tcp_peer, status: str, where: str) -> None:
    """
    So no credentials can follow one, to whatever address; the error says where it would have led.
    """
    visitors, posts = [], []

    async def elsewhere(stream: SocketStream) -> None:
        visitors.append(await http_request(stream))

    async def here(stream: SocketStream) -> None:
        while request := await http_request(stream):
            if request.startswith(b"POST"):
                posts.append(request)
            await stream.send(http_answer(b"{}", status, f"Location: {target}"))

    with anyio.fail_after(10):
        async with tcp_peer(elsewhere) as other, tcp_peer(here) as place:
            target = where.format(elsewhere=other, port=other.rpartition(":")[2])
            async with manager_of(moved={"endpoint": f"http://{place}"}) as manager:
                with pytest.raises(PluginError, match="redirects are not followed") as caught:
                    await ask(manager, "moved", headers={"x-api-key": "secret"})

    assert target in str(caught.value)
    assert len(posts) == 1
    assert visitors == []


@pytest.mark.fault(70)
async def test_proxies_of_the_environment_see_nothing(anyio_backend, tcp_peer, monkeypatch) -> None:
    """
    Unless the configuration asks for them.
    """
    seen: list[bytes] = []

    async def proxy(stream: SocketStream) -> None:
        seen.append(await http_request(stream))
        await stream.send(http_answer(b'"proxy"'))

    async def plugin(stream: SocketStream) -> None:
        await http_request(stream)
        await stream.send(http_answer(b'"plugin"'))

    answers: list[Any] = []
    with anyio.fail_after(10):
        async with tcp_peer(proxy) as between, tcp_peer(plugin) as place:
            for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, f"http://{between}")
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            url = f"http://{place}"
            async with manager_of(a={"endpoint": url}, b={"endpoint": url, "options": {"trust_env": True}}) as manager:
                answers.append(await ask(manager, "a"))
                assert seen == []
                answers.append(await ask(manager, "b"))

    assert answers == ["plugin", "proxy"]
