"""
Balancers of strangers that go wrong, and instances that go away from under their calls.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from remora import BalancerSpec, Cancelled, Code, ExtensionError, hookimpl
from remora.types import BreakerChanged
from tests.core.scripts import stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


@dataclass(eq=False)
class Balancing:
    """
    An extension with a balancer that goes wrong in one of its methods.
    """

    wrong: str

    @hookimpl
    def remora_register_balancers(self) -> list[BalancerSpec]:
        """
        The balancer.
        """
        return [BalancerSpec("acme", lambda clock, rng: self)]

    def pick(self, candidates: Any, key: str) -> Any:
        """
        The first, or something else altogether.
        """
        self._fail("pick")
        return "any" if self.wrong == "choice" else candidates[0]

    def started(self, candidate: object) -> None:
        """
        Nothing.
        """
        self._fail("started")

    def finished(self, candidate: object, *, latency: float, ok: bool | None) -> None:
        """
        Nothing.
        """
        self._fail("finished")

    def forget(self, name: str) -> None:
        """
        Nothing.
        """

    def _fail(self, method: str) -> None:
        if self.wrong == method:
            raise LookupError("lost count")


@pytest.mark.parametrize("wrong", ["pick", "choice"])
async def test_balancer_that_cannot_choose_is_named(wrong: str, anyio_backend: object) -> None:
    """
    By an error of Remora, once, without further attempts.
    """
    async with stage(table("ab", balancer="acme"), extensions=[Balancing(wrong)]) as host:
        error = await host.outcome()

        assert isinstance(error, ExtensionError)
        assert Code.INTERNAL is error.code
        assert "the balancer 'acme' of " in str(error)
        assert " failed with " in str(error)


@pytest.mark.parametrize("wrong", ["started", "finished"])
async def test_balancer_that_cannot_learn_spoils_no_call(wrong: str, anyio_backend: object) -> None:
    """
    It is logged, and the call goes on.
    """
    async with stage(table("ab", balancer="acme"), extensions=[Balancing(wrong)]) as host:
        assert [None] * 5 == await host.outcomes(5)
        assert 0 == host.route().instances[0].in_flight


async def test_calls_in_the_queue_end_when_the_plugin_is_taken_out(anyio_backend: object) -> None:
    """
    With those that are answered: nobody waits for what will never come.
    """
    async with stage(table(connection={"max_connections": 2})) as host:
        host["a"].latency = 1.0
        async with anyio.create_task_group() as group:
            found: list[object] = []

            async def callers() -> None:
                found.extend(await host.at_once(20))

            group.start_soon(callers)
            await anyio.sleep(0.1)
            await host.manager.unregister("p", drain=False)

        assert {Cancelled: 20} == Counter(map(type, found))


async def test_calls_in_the_queue_outlive_a_restart(anyio_backend: object) -> None:
    """
    They wait for the instance to be back, and it is blamed for nothing.
    """
    breaker = {"failure_threshold": 1, "min_request_threshold": 1}
    async with stage(table(connection={"max_connections": 2}, circuit_breaker=breaker)) as host:
        host["a"].latency, host["a"].start_time = 0.5, 3.0
        async with anyio.create_task_group() as group:
            found: list[object] = []

            async def callers() -> None:
                found.extend(await host.at_once(20))

            group.start_soon(callers)
            await anyio.sleep(0.1)
            host.manager.restart("p")

        assert [None] * 20 == found
        assert [] == host.events(BreakerChanged)
        assert 2 == host["a"].opened
