"""
More calls than can be answered, plugins that hang beside others that do not, and nobody left to ask.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress

import anyio
import anyio.lowlevel
import httpx
import pytest

from remora import CircuitOpen, Code, PluginError, PluginNotFound, RemoraError, current_call, serving
from remora.config import structure_config
from remora.errors import Overloaded
from tests.architecture.sources import ROOT
from tests.faults.peers import ask, manager_of

pytestmark = pytest.mark.anyio


class Gate:
    """
    Answers when it is opened.
    """

    def __init__(self) -> None:
        self.entered = 0
        self.remaining: list[float] = []
        self.opened = anyio.Event()

    async def pass_(self, number: int) -> int:
        self.entered += 1
        self.remaining.append(current_call().remaining or 0.0)
        await self.opened.wait()
        return number


@pytest.mark.fault(59)
async def test_a_plugin_that_hangs_slows_no_other(anyio_backend, program) -> None:
    """
    Ninety-nine of a hundred calls of the other one are as quick as before.
    """
    body = "def answer(request): return os.getpid()"
    hanging, quick = program(body, options={"stop_grace": 0.1, "term_grace": 0.1}), program(body)

    async def slowest() -> float:
        times = []
        for _ in range(100):
            started = anyio.current_time()
            await ask(manager, "quick")
            times.append(anyio.current_time() - started)
        return sorted(times)[-2]

    async def hang() -> None:
        with suppress(RemoraError):  # those that waited in the queue may be answered by the next process
            await ask(manager, "hanging", "x" * 10_000, timeout=20)

    with anyio.fail_after(60):
        async with manager_of(hanging=hanging, quick=quick) as manager:
            pid = await ask(manager, "hanging")
            before = await slowest()
            os.kill(pid, signal.SIGSTOP)
            async with anyio.create_task_group() as tasks:
                for _ in range(200):
                    tasks.start_soon(hang)
                await anyio.wait_all_tasks_blocked()
                beside = await slowest()
                os.kill(pid, signal.SIGKILL)

    assert beside < 5 * before + 0.1


@pytest.mark.fault(60)
async def test_what_is_over_the_queue_is_refused_at_once(anyio_backend, tmp_path) -> None:
    """
    Of fifty calls two are answered at a time, five wait, the others know it at once; the deadline travels along.
    """
    gate, url = Gate(), f"unix:{tmp_path}/gate"
    answered, refused = [], []

    async def call(number: int) -> None:
        try:
            answered.append(await ask(manager, "gate", number, timeout=8))
        except Overloaded as error:
            refused.append(error)

    limits = {"connection": {"max_connections": 2, "max_pending": 5}}
    with anyio.fail_after(10):
        async with serving(gate, listen=url), manager_of(gate={"endpoint": url, **limits}) as manager:
            async with anyio.create_task_group() as tasks:
                for number in range(50):
                    tasks.start_soon(call, number)
                while len(refused) < 43:
                    await anyio.sleep(0.01)
                gate.opened.set()

    assert len(answered) == 7
    assert {error.code for error in refused} == {Code.RESOURCE_EXHAUSTED}
    assert not any(error.sent for error in refused)
    assert gate.entered == 7
    assert all(0 < remaining <= 8 for remaining in gate.remaining)


class Broken:
    """
    Is never able.
    """

    def __init__(self) -> None:
        self.asked = 0

    async def fail(self) -> None:
        self.asked += 1
        raise PluginError("no database", code=Code.UNAVAILABLE)


@pytest.mark.fault(61)
async def test_when_all_instances_are_out_nothing_is_sent(anyio_backend, tmp_path) -> None:
    """
    It fails closed: the error names every instance, its reason, and when to come back.
    """
    urls, broken = [f"unix:{tmp_path}/one", f"unix:{tmp_path}/two"], Broken()
    table = {"endpoints": urls, "circuit_breaker": {"failure_threshold": 3, "min_request_threshold": 1}}
    with anyio.fail_after(10):
        async with serving(broken, listen=urls), manager_of(broken=table) as manager:
            with pytest.raises(CircuitOpen) as caught:
                for _ in range(20):
                    with pytest.raises(PluginError):
                        await ask(manager, "broken")
            asked = broken.asked
            for _ in range(5):
                with pytest.raises(CircuitOpen):
                    await ask(manager, "broken")

    assert broken.asked == asked == 6
    assert all(url in str(caught.value) for url in urls)
    assert caught.value.retry_after
    assert not caught.value.sent


class Echo:
    async def echo(self, number: int) -> int:
        await anyio.lowlevel.checkpoint()
        return number


@pytest.mark.fault(50)
async def test_plugins_that_come_and_go_lose_no_call(anyio_backend, tmp_path) -> None:
    """
    Every call is answered, or was refused before it was sent.
    """
    url, ends = f"unix:{tmp_path}/echo", {"answered": 0, "refused": 0}
    table = structure_config({"plugins": {"moving": {"endpoint": url}}}).plugins["moving"]

    async def call() -> None:
        while not is_over:
            try:
                assert await ask(manager, "moving", 7) == 7
                ends["answered"] += 1
            except (PluginNotFound, RemoraError) as error:
                assert not error.sent
                ends["refused"] += 1
                await anyio.sleep(0.001)

    is_over = False
    with anyio.fail_after(30):
        async with serving(Echo(), listen=url), manager_of(steady={"endpoint": url}) as manager:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(call)
                for _ in range(20):
                    await manager.register(table)
                    assert await ask(manager, "moving", 1) == 1
                    assert await ask(manager, "steady", 1) == 1
                    await manager.unregister("moving")
                is_over = True
            assert manager.active_requests() == 0

    assert ends["answered"] > 20


@pytest.mark.fault(21, 60)
def test_more_connections_than_descriptors_are_a_few_lines_in_the_log(anyio_backend_name) -> None:
    """
    Not thousands; and when they are gone, calls are answered as before.
    """
    command = [sys.executable, "-m", "tests.faults.crowd", anyio_backend_name]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        url = server.stdout.readline().strip()
        host, _, port = url.removeprefix("http://").partition(":")
        with ExitStack() as crowd:
            for _ in range(100):
                crowd.enter_context(socket.create_connection((host, int(port)), timeout=10))
            complaint = server.stderr.readline()
            while "Too many open files" not in complaint:
                complaint = server.stderr.readline()
        answer = httpx.post(f"{url}/Small/ask", json=None, timeout=20)
        _, log = server.communicate(timeout=20)

    assert answer.json() == "still here"
    assert log.count("Too many open files") < 100
