"""
A server that accepts connections and never says anything, beside one that answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from remora import Manager, serving
from remora.types import Event, HealthChanged, InstanceReady
from tests.core.hosts import Named, Text

pytestmark = [pytest.mark.anyio, pytest.mark.fault(28)]


@asynccontextmanager
async def mute(url: str) -> AsyncIterator[str]:
    """
    A server that listens in the way that a URL says, and says nothing; gives the URL that leads there.
    """
    path = url.partition("://")[2]
    is_unix = path.startswith("/")
    listening = anyio.create_unix_listener(path) if is_unix else anyio.create_tcp_listener(local_host="127.0.0.1")
    async with await listening as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, _read)
        yield url if is_unix else f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        await anyio.wait_all_tasks_blocked()  # else reads are cancelled as their peers close
        tasks.cancel_scope.cancel()


async def _read(stream: SocketStream) -> None:
    async with stream:
        async for _ in stream:
            pass


@pytest.mark.parametrize("scheme", ["http", "unix"])
async def test_a_server_that_never_answers_gets_no_call_while_another_one_answers(
    anyio_backend, tmp_path: Path, scheme: str
) -> None:
    """
    Also before its first probe is over, which takes five seconds by default.
    """
    places = ["http://127.0.0.1:0"] * 2 if scheme == "http" else [f"unix://{tmp_path}/{each}" for each in "ab"]
    with anyio.fail_after(10):
        async with mute(places[0]) as silent, serving(Named("b"), listen=places[1]) as served:
            urls = [silent, served.endpoints[0].url]
            manager = Manager({"plugins": {"p": {"endpoints": urls, "service": "Named"}}})
            with manager.events() as events:
                async with manager:
                    ready, known = await ready_and_known(events)
                    plugin = manager.plugin("p", Text, Text, method="who")
                    answers = {(await plugin.execute(Text(), timeout=1)).text for _ in range(4)}

    assert {*urls} == ready
    assert {urls[1]} == known
    assert {"b"} == answers


async def ready_and_known(events: AsyncIterator[Event]) -> tuple[set[str], set[str]]:
    """
    The instances that are ready, two of them, and those whose health is known by then, at least one.
    """
    ready, known = set(), set()
    async for event in events:
        if isinstance(event, InstanceReady):
            ready.add(event.instance)
        if isinstance(event, HealthChanged):
            known.add(event.instance)
        if len(ready) == 2 and known:
            break
    return ready, known
