"""
The promise to application developers: another transport is another `endpoint`, and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskStatus

from remora import Code, ConfigError, Manager, PluginError, serving
from remora.testing._contract import Contract, Failure, Number, Seen, Text
from tests.contract.health import until_healthy

pytestmark = pytest.mark.anyio

CONFIG = """
[plugins.peer]
endpoint = "{endpoint}"
service = "remora.testing.v1.Contract"
method = "echo"
labels = {{ team = "tests" }}
"""


class Peer(Protocol):
    """
    What the host knows of the plugin.
    """

    async def echo(self, request: Text) -> Text: ...

    async def look(self, request: Text) -> Seen: ...

    async def fail(self, request: Failure) -> Text: ...

    async def repeat(self, request: Number) -> Text: ...


@asynccontextmanager
async def _endpoint(scheme: str, directory: Path) -> AsyncIterator[str]:
    """
    Where the contract's service can be called over one of the transports.
    """
    if scheme == "exec":
        program = directory / "peer"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} -m remora.testing\n")
        program.chmod(0o755)
        yield f"exec:{program}"
        return
    async with serving(Contract(), listen=f"{scheme}:") as served:
        yield served.endpoints[0].url


@pytest.mark.parametrize("scheme", ["unix", "http", "grpc", "exec", "tcp"])
async def test_only_the_endpoint_tells_the_transports_apart(scheme: str, anyio_backend: str, tmp_path: Path) -> None:
    """
    The same file, the same typed client, the same answers and errors.
    """
    with anyio.fail_after(30):
        async with _endpoint(scheme, tmp_path) as endpoint:
            file = tmp_path / "remora.toml"
            file.write_text(CONFIG.format(endpoint=endpoint))
            async with Manager.from_file(file) as manager:
                peer = manager.client("peer", Peer)
                handle = manager.plugin("peer", Text, Text)

                assert await handle.execute(Text("hello ü")) == Text("hello ü")
                assert await peer.repeat(Number(5)) == Text("xxxxx")

                seen = await peer.look(Text())
                assert (seen.service, seen.method) == ("remora.testing.v1.Contract", "look")
                assert seen.request_id
                assert seen.remaining is not None

                with pytest.raises(PluginError) as caught:
                    await peer.fail(Failure(Code.NOT_FOUND, "no such user", {"user": 7}))
                error = caught.value
                assert (error.code, error.message, error.details) == (Code.NOT_FOUND, "no such user", {"user": 7})
                assert (error.plugin, error.instance) == ("peer", endpoint)

                assert (await manager.info("peer")).version == "1.0"
                assert (await manager.overall_health()).status == "healthy"


async def test_keys_of_processes_do_not_stand_in_the_way(
    anyio_backend: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """
    The arguments of a program may stay when the endpoint becomes a server's; a warning says that they are not used.
    """
    table = {"args": ["-m", "remora.testing"], "work_dir": str(tmp_path), "env": {"A": "b"}}
    with anyio.fail_after(30):
        async with serving(Contract(), listen="unix:") as served:
            for endpoint in (f"exec:{sys.executable}", served.endpoints[0].url):
                caplog.clear()
                async with Manager({"plugins": {"peer": {**table, "endpoint": endpoint}}}) as manager:
                    assert await manager.client("peer", Contract).echo(Text("hello")) == Text("hello")

    assert "plugins.peer: the transport unix does not use args, env, work_dir" in caplog.messages


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("http://", "names no host"),
        ("http://a b", "'a b' is not the name of a host"),
        ("https://h:99999", "is malformed: Port out of range"),
        ("grpc://host", "needs the form grpc://HOST:PORT"),
        ("unix:", "'unix:': the path of the socket is missing"),
        ("unix::", "'unix::' has two colons"),
        ("unix://run/x.sock", "write the path after three slashes"),
        ("unix:@x", "abstract sockets are not supported"),
    ],
)
async def test_an_endpoint_that_can_never_be_called_is_refused_before_anything_starts(
    endpoint: str, problem: str
) -> None:
    """
    With the key that it stands at; beside a good one, too.
    """
    with pytest.raises(ConfigError, match=f"plugins.p.endpoint: .*{problem}"):
        Manager({"plugins": {"p": {"endpoint": endpoint}}})
    with pytest.raises(ConfigError, match=f"plugins.p.endpoints: .*{problem}"):
        Manager({"plugins": {"p": {"endpoints": ["http://127.0.0.1:8000", endpoint]}}})


async def test_one_plugin_may_be_reached_over_several_transports(anyio_backend: str) -> None:
    """
    Endpoints of one plugin need not have one scheme; calls take turns.
    """
    with anyio.fail_after(30):
        async with serving(Contract(), listen=["unix:", "http:", "grpc:"]) as served:
            endpoints = [endpoint.url for endpoint in served.endpoints]
            async with Manager({"plugins": {"peer": {"endpoints": endpoints}}}) as manager:
                peer = manager.client("peer", Contract)
                await manager.health()
                seen = [await peer.look(Text()) for _ in range(9)]

                assert len({each.peer.partition(":")[0] for each in seen}) > 1


async def test_what_is_left_of_mixed_transports_takes_over_when_one_dies(anyio_backend: str, tmp_path: Path) -> None:
    """
    A socket, a URL and a program in one plugin: all three answer; without the socket's server the others do, and every
    call is answered.
    """
    with anyio.fail_after(30):
        async with AsyncExitStack() as stack:
            others = [await stack.enter_async_context(_endpoint(each, tmp_path)) for each in ("http", "exec")]
            mortals = await stack.enter_async_context(anyio.create_task_group())
            unix = await mortals.start(_serve_a_while, end := anyio.Event(), dead := anyio.Event())
            config = {"plugins": {"peer": {"endpoints": [unix, *others]}}}
            manager = await stack.enter_async_context(Manager(config))
            peer = manager.client("peer", Contract)
            await until_healthy(manager)
            assert [Text(str(n)) for n in range(9)] == [await peer.echo(Text(str(n))) for n in range(9)]
            together = _answered(manager)

            end.set()
            await dead.wait()
            assert [Text(str(n)) for n in range(8)] == [await peer.echo(Text(str(n))) for n in range(8)]
            later = _answered(manager)

    assert {unix: 3, others[0]: 3, others[1]: 3} == together
    assert {unix: 0, others[0]: 4, others[1]: 4} == {name: later[name] - together[name] for name in together}


async def _serve_a_while(end: anyio.Event, dead: anyio.Event, *, task_status: TaskStatus[str]) -> None:
    async with serving(Contract(), listen="unix:") as served:
        task_status.started(served.endpoints[0].url)
        await end.wait()
    dead.set()


def _answered(manager: Manager) -> dict[str, int]:
    """
    How many calls each instance has answered.
    """
    instances = manager.observability().plugin_metrics["peer"].instances
    return {name: each.total_requests - sum(each.errors.values()) for name, each in instances.items()}
