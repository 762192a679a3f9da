"""
A plugin's process is killed under a call, and comes back.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from remora.errors import RemoraError, Unavailable
from remora.types import InstanceLost, InstanceReady
from remora_cli.demo.text import Pause, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remora import Manager
    from remora.types import Event
    from remora_cli.demo.text import TextProcessor

_LIMIT = 20.0


@dataclass(slots=True)
class Crash:
    """
    What was seen.

    Attributes:
        killed_pid: The process that was killed.
        new_pid: The one that took its place.
        seconds: From the kill until the plugin was ready again.
        call_under_way: How the call ended that was under way.
        events: What the manager reported, a line for each.
        failure: What should not have happened; empty when nothing did.
    """

    killed_pid: int = 0
    new_pid: int = 0
    seconds: float = 0.0
    call_under_way: str = ""
    events: list[str] = field(default_factory=list)
    failure: str = ""


async def run_crash(manager: Manager, plugin: str, client: TextProcessor) -> Crash:
    """
    Kill the process of a plugin while it answers a call, wait until it is back, and call it again.
    """
    crash = Crash()
    async with anyio.create_task_group() as group:
        with anyio.move_on_after(_LIMIT) as limit, manager.events() as events:
            try:
                group.start_soon(_long_call, client, crash)
                await _under_way(manager, plugin)
                await _kill(client, crash)
                await _watch(events, plugin, crash)
                await _call_again(client, crash)
            except RemoraError as error:
                crash.failure = str(error)
        if limit.cancelled_caught:
            crash.failure = f"the plugin was not back within {_LIMIT:g} s"
        group.cancel_scope.cancel()
    return crash


async def _long_call(client: TextProcessor, crash: Crash) -> None:
    try:
        process = await client.pause(Pause(_LIMIT))
        crash.call_under_way = f"answered by pid {process.pid}"
    except RemoraError as error:
        crash.call_under_way = f"{type(error).__name__}: {error.message}"


async def _under_way(manager: Manager, plugin: str) -> None:
    while not manager.active_requests(plugin):  # which it is after a step or two of the event loop
        await checkpoint()


async def _kill(client: TextProcessor, crash: Crash) -> None:
    pid = (await client.process()).pid  # it is sent after the long call, so that one has arrived too
    if pid <= 1 or pid == os.getpid():
        raise Unavailable(f"the plugin says that it is process {pid}, which is not to be killed")
    os.kill(pid, signal.SIGKILL)
    crash.killed_pid = pid
    crash.seconds = -anyio.current_time()


async def _watch(events: AsyncIterator[Event], plugin: str, crash: Crash) -> None:
    """
    Wait until the plugin's instance has been lost and is ready again.
    """
    is_lost = False
    async for event in events:
        if not isinstance(event, InstanceLost | InstanceReady) or event.plugin != plugin:
            continue
        crash.events.append(_describe(event))
        is_lost = is_lost or isinstance(event, InstanceLost)
        if is_lost and isinstance(event, InstanceReady):
            crash.seconds += anyio.current_time()
            return


def _describe(event: InstanceLost | InstanceReady) -> str:
    if isinstance(event, InstanceLost):
        return f"InstanceLost: {event.cause}; next start in {event.retry_in:.1f} s"
    return f"InstanceReady: start number {event.starts} took {event.start_time:.1f} s"


async def _call_again(client: TextProcessor, crash: Crash) -> None:
    crash.new_pid = (await client.process()).pid
    answer = await client.upper(Text("back again"))
    if answer != Text("BACK AGAIN") or crash.new_pid == crash.killed_pid:
        crash.failure = f"pid {crash.new_pid} answered {answer}"
