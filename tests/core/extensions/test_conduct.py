"""
Strangers' code that raises, lies or blocks: nobody else suffers, and it is named.
"""

from __future__ import annotations

import logging
import time

import anyio
import pytest

from remora import BalancerSpec, ExtensionError, InterceptorSpec, Manager, hookimpl, serving
from remora._extensions._conduct import Conduct
from remora.testing import MemoryTransport

pytestmark = pytest.mark.anyio


class Echo:
    async def echo(self, text: str) -> str:
        return text


class Observer:
    def __init__(self, act):
        self._act = act

    @hookimpl
    def remora_event(self, event):
        self._act()


class Balancers:
    def __init__(self, balancer):
        self._balancer = balancer

    @hookimpl
    def remora_register_balancers(self):
        return [BalancerSpec(name="odd", build=lambda clock, rng: self._balancer)]


class Interceptors:
    def __init__(self, interceptor):
        self._interceptor = interceptor

    @hookimpl
    def remora_register_interceptors(self):
        return [InterceptorSpec(name="odd", build=lambda plugin: self._interceptor)]


class Balancer:
    """
    Does everything wrong that a balancer can.
    """

    def __init__(self, choice):
        self._choice = choice

    def pick(self, candidates, key):
        return self._choice(candidates)

    def started(self, candidate):
        raise RuntimeError("started")

    def finished(self, candidate, *, latency, ok):
        raise RuntimeError("finished")

    def forget(self, name):
        raise RuntimeError("forget")


async def ask(extension, *, balancer="", calls=1):
    """
    Make calls of a plugin with two instances; returns what is held against the extension.
    """
    transport = MemoryTransport()
    endpoints = ["memory:one", "memory:two"]
    config = {"plugins": {"echo": {"endpoints": endpoints, "balancer": balancer, "retry": {"max_retries": 0}}}}
    extensions = [transport.extension, extension]
    with anyio.fail_after(10):
        async with serving(Echo(), listen=endpoints, extensions=[transport.extension]):
            async with Manager(config, extensions=extensions) as manager:
                await anyio.wait_all_tasks_blocked()
                for _ in range(calls):
                    assert await manager.client("echo", Echo).echo("x") == "x"
                return manager.extension_faults()


def block():
    """
    Hold up the event loop, as a hook that writes to a slow disk would.
    """
    ends = time.monotonic() + 0.15
    while time.monotonic() < ends:
        pass


@pytest.mark.fault(63)
async def test_an_observer_that_holds_up_the_event_loop_is_named(caplog):
    faults = await ask(Observer(block))

    (culprit, fault), *others = faults.items()
    assert "the observer of extension 'passed-2:Observer'" in culprit
    assert (fault.failures, others) == (0, [])
    assert fault.delays >= 1
    assert fault.longest > 0.1
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any(culprit in warning and "held up the event loop for 1" in warning for warning in warnings)


async def test_an_observer_that_raises_is_counted_and_hurts_nobody():
    def fail():
        raise OSError("disk full")

    ((culprit, fault),) = (await ask(Observer(fail))).items()

    assert "Observer" in culprit
    assert fault.failures >= 2
    assert fault.last == "OSError: disk full"
    assert fault.delays == 0


async def test_a_balancer_that_fails_is_counted_with_its_distribution():
    ((culprit, fault),) = (await ask(Balancers(Balancer(lambda offered: offered[0])), balancer="odd", calls=4)).items()

    assert "the balancer 'odd' of Balancers (passed to the manager)" in culprit
    assert (fault.failures, fault.last) == (8, "RuntimeError: finished")


@pytest.mark.fault(63)
async def test_a_balancer_that_holds_up_the_event_loop_is_named():
    def slow(candidates):
        block()
        return candidates[0]

    ((culprit, fault),) = (await ask(Balancers(Balancer(slow)), balancer="odd")).items()

    assert "balancer 'odd'" in culprit
    assert fault.delays == 1


async def test_an_interceptor_that_fails_is_counted_and_named_in_the_error():
    async def fail(call, proceed):
        raise KeyError("tenant")

    with pytest.raises(ExtensionError, match="the interceptor 'odd' of Interceptors .* failed with KeyError"):
        await ask(Interceptors(fail))


def test_quick_code_is_not_mentioned():
    conduct = Conduct()
    with conduct.watching("somebody"):
        pass

    assert conduct.faults() == {}
