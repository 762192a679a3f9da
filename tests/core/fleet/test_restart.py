"""
What a restart that is asked for does to the calls in progress.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import anyio
import pytest

from remora import CallOptions, ConnectionLost, Manager, serving
from remora.testing import EventRecorder
from remora.types import Call, InstanceReady, Reply
from tests.core.hosts import PlainChannel, Stranger

pytestmark = pytest.mark.anyio


class Held:
    """
    Answers when it is told to.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.release = anyio.Event()
        self._news = anyio.Event()

    async def hold(self, name: str) -> str:
        """
        Wait for the release.
        """
        self.begun.append(name)
        self._news.set()
        await self.release.wait()
        return name

    async def until_begun(self, count: int) -> None:
        """
        Wait for so many calls.
        """
        while len(self.begun) < count:
            self._news = anyio.Event()
            await self._news.wait()


class Stage:
    """
    A host, a plugin, and the outcomes of calls.
    """

    def __init__(self, manager: Manager, plugin: Held, recorder: EventRecorder) -> None:
        self.manager = manager
        self.plugin = plugin
        self.recorder = recorder
        self.outcomes: list[str | ConnectionLost] = []

    async def call(self, name: str, *, idempotent: bool = False) -> None:
        """
        Make a call, and note how it ends.
        """
        options = CallOptions(idempotent=idempotent)
        try:
            self.outcomes.append(await self.manager.execute("p", name, str, method="hold", options=options))
        except ConnectionLost as error:
            self.outcomes.append(error)


@asynccontextmanager
async def stage(listen: str) -> AsyncIterator[Stage]:
    """
    A host with a plugin.
    """
    plugin, recorder = Held(), EventRecorder()
    async with serving(plugin, listen=listen) as served:
        table = {"endpoint": served.endpoints[0].url, "service": "Held"}
        with anyio.fail_after(10):
            async with Manager({"plugins": {"p": table}}, extensions=[recorder]) as manager:
                yield Stage(manager, plugin, recorder)


@pytest.mark.parametrize("listen", ["unix:", "http://127.0.0.1:0", "grpc://127.0.0.1:0"])
async def test_restart_lets_calls_end_that_are_under_way(listen: str) -> None:
    """
    New ones wait for the next connection.
    """
    async with stage(listen) as host, anyio.create_task_group() as group:
        group.start_soon(host.call, "first")
        await host.plugin.until_begun(1)
        host.manager.restart("p")
        group.start_soon(host.call, "second")
        await anyio.wait_all_tasks_blocked()
        begun = list(host.plugin.begun)
        host.plugin.release.set()
        again = await host.recorder.wait_for(InstanceReady, count=2)

    assert begun == ["first"]
    assert host.outcomes == ["first", "second"]
    assert again.cause == "a restart was asked for"


@pytest.mark.parametrize("listen", ["unix:", "http://127.0.0.1:0", "grpc://127.0.0.1:0"])
async def test_second_restart_does_not_wait(listen: str) -> None:
    """
    Calls that end by it say why; those that may be made twice go to the next connection.
    """
    async with stage(listen) as host, anyio.create_task_group() as group:
        group.start_soon(host.call, "once")
        await host.plugin.until_begun(1)
        group.start_soon(lambda: host.call("twice", idempotent=True))
        await host.plugin.until_begun(2)
        host.manager.restart("p")
        host.manager.restart("p")
        await host.plugin.until_begun(3)
        host.plugin.release.set()

    assert host.plugin.begun == ["once", "twice", "twice"]
    assert isinstance(host.outcomes[0], ConnectionLost)
    assert "a restart was asked for" in host.outcomes[0].message
    assert host.outcomes[1] == "twice"


class Late(PlainChannel):
    """
    A channel whose calls are told late that it was closed.
    """

    def __init__(self) -> None:
        self.begun, self.told = anyio.Event(), anyio.Event()

    async def call(self, call: Call, /) -> Reply:
        """
        Wait until it is told.
        """
        self.begun.set()
        await self.told.wait()
        raise ConnectionLost("the channel was closed")


async def test_a_call_says_that_a_restart_ended_it_though_the_next_connection_is_ready_by_then() -> None:
    channel, recorder = Late(), EventRecorder()
    stranger = Stranger(lambda _: nullcontext(channel), native_deadline=True)
    table = {"endpoint": "strange:x", "retry": {"max_retries": 0}}
    async with Manager({"plugins": {"p": table}}, extensions=[stranger, recorder]) as manager:
        host = Stage(manager, Held(), recorder)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                for ready in (2, 3):
                    group.start_soon(host.call, "late")
                    await channel.begun.wait()
                    manager.restart("p")
                    manager.restart("p")
                    await recorder.wait_for(InstanceReady, count=ready)
                    channel.told.set()
                    await anyio.wait_all_tasks_blocked()
                    channel.begun, channel.told = anyio.Event(), anyio.Event()
                group.start_soon(host.call, "lost")
                await channel.begun.wait()
                channel.told.set()

    ends = [each.message for each in host.outcomes if isinstance(each, ConnectionLost)]
    assert ["a restart was asked for" in each for each in ends] == [True, True, False]
