"""
On asyncio, awaiting a cancelled task raises what a cancellation raises. Where nobody has cancelled the caller, it
is a fault of whoever has awaited it; where somebody has, it stays a cancellation. On trio there is no such doubt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from remora import Call, ExtensionError, HealthStatus, Manager, Reply, TransportSpec, hookimpl
from remora.types import Event, InstanceLost, Status
from tests.core.hosts import NoOptions, Text

CONFIG = {"plugins": {"odd": {"endpoint": "stray:x", "retry": {"max_retries": 0}}}}


class Stray:
    """
    A transport that cancels a task of its own and awaits it, while a call is under way or while it opens.
    """

    def __init__(self, *, opens: bool = True) -> None:
        self._opens = opens
        self.entered = anyio.Event()

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[Any]]:
        return [TransportSpec(name="stray", schemes=("stray",), options=NoOptions, build=lambda options: self)]  # type: ignore[arg-type, return-value]

    @asynccontextmanager
    async def open(self, endpoint: object, /) -> AsyncIterator[Stray]:
        if not self._opens:
            await _stray()
        yield self

    async def call(self, call: Call, /) -> Reply:
        self.entered.set()
        if call.method == "wait":
            await anyio.sleep_forever()
        await _stray()
        return Reply(payload=call.payload)

    async def probe(self) -> HealthStatus:
        return HealthStatus(status=Status.HEALTHY)

    def listen(self, endpoint: object, dispatch: object, /) -> Any:
        raise NotImplementedError


async def _stray() -> None:
    task = asyncio.ensure_future(asyncio.Event().wait())
    task.cancel()
    await task


def test_a_task_that_a_transport_cancels_is_no_cancellation_of_the_caller() -> None:
    """
    The caller gets an error that names the transport, and the transport is held to account.
    """

    async def main() -> None:
        with anyio.fail_after(10):
            async with Manager(CONFIG, extensions=[Stray()]) as manager:
                with pytest.raises(ExtensionError) as caught:
                    await manager.plugin("odd", Text, Text).execute(Text("x"))
                faults = manager.extension_faults()

        assert "the transport of " in str(caught.value)
        assert "failed with CancelledError" in str(caught.value)
        assert [1] == [each.failures for each in faults.values()]

    anyio.run(main, backend="asyncio")


def test_a_task_that_a_transport_cancels_as_it_opens_does_not_end_the_host() -> None:
    """
    The plugin is not ready, and says why.
    """

    async def main() -> None:
        lost = anyio.Event()

        class Seen:
            @hookimpl
            def remora_event(self, event: Event) -> None:
                if isinstance(event, InstanceLost):
                    lost.set()

        with anyio.fail_after(10):
            async with Manager(CONFIG, extensions=[Stray(opens=False), Seen()]) as manager:
                await lost.wait()
                health = (await manager.health())["odd"]

        assert "failed with CancelledError" in health.message

    anyio.run(main, backend="asyncio")


@pytest.mark.parametrize("how", ["scope", "task"])
def test_a_caller_that_is_cancelled_stays_cancelled(how: str) -> None:
    """
    By a cancel scope, or as a task of asyncio; nobody is blamed.
    """

    async def main() -> None:
        transport = Stray()
        with anyio.fail_after(10):
            async with Manager(CONFIG, extensions=[transport]) as manager:
                plugin = manager.plugin("odd", Text, Text, method="wait")
                if how == "scope":
                    async with anyio.create_task_group() as group:
                        group.start_soon(plugin.execute, Text("x"))
                        await transport.entered.wait()
                        group.cancel_scope.cancel()
                else:
                    task = asyncio.ensure_future(plugin.execute(Text("x")))
                    await transport.entered.wait()
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                faults = manager.extension_faults()

        assert {} == faults

    anyio.run(main, backend="asyncio")
