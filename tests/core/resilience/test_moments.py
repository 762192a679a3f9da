"""
Reloads, restarts, drains and cancellations at moments when one does not think of them, in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from remora import CircuitOpen, Draining, DrainTimeout, RemoraError, Unavailable
from remora.config import structure_config
from remora.policy import BreakerState
from remora.types import BreakerChanged, DrainLifted, InstanceReady, Status
from tests.core.scripts import Stage, ouch, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

TRIGGER: dict[str, Any] = {"enabled": True, "failure_threshold": 1, "min_request_threshold": 1, "success_threshold": 2}


def states(host: Stage) -> list[str]:
    """
    What the breakers do.
    """
    return [str(each.breaker.state) for each in host.route().instances]


async def opened(host: Stage, *addresses: str) -> None:
    """
    Open the breakers of some plugins, which are well from then on.
    """
    for each in addresses:
        host[each].failure = ouch
    await host.outcomes(2 * len(addresses))
    for each in addresses:
        host[each].failure = None


async def reload(host: Stage, addresses: str = "a", **settings: Any) -> None:
    """
    Another table.
    """
    report = await host.manager.reload({"plugins": {"p": table(addresses, **settings)}})
    assert report.applied


def tuned(**keys: Any) -> dict[str, Any]:
    """
    A breaker that is quick to open, with other values for some keys.
    """
    return {"circuit_breaker": {**TRIGGER, **keys}}


async def test_lowered_recovery_timeout_holds_for_a_breaker_that_is_open(anyio_backend: object) -> None:
    """
    Who has written an hour by mistake need not wait for it; a longer one holds as well.
    """
    async with stage(table(**tuned(recovery_timeout=3600))) as host:
        await opened(host, "a")
        await anyio.sleep(10)
        await reload(host, **tuned(recovery_timeout=20))
        assert isinstance(await host.outcome(), CircuitOpen)
        await anyio.sleep(10)
        assert await host.outcome() is None

    async with stage(table(**tuned(recovery_timeout=5))) as host:
        await opened(host, "a")
        await reload(host, **tuned(recovery_timeout=50))
        await anyio.sleep(40)
        assert isinstance(await host.outcome(), CircuitOpen)


@pytest.mark.parametrize(
    ("after", "state", "let_through"),
    [
        ({"success_threshold": 5}, "half-open", 4),
        ({"success_threshold": 1}, "half-open", 0),
        ({"window": 5}, "half-open", 1),
        ({"recovery_timeout": 1}, "half-open", 1),
        ({"enabled": False}, "closed", 10),
    ],
)
async def test_reload_while_probes_are_under_way_keeps_count_of_them(
    after: dict[str, Any], state: str, let_through: int, anyio_backend: object
) -> None:
    """
    As many more are let through as the new configuration wants; and in the end it closes.
    """
    async with stage(table(**tuned())) as host:
        await opened(host, "a")
        await anyio.sleep(30)
        host["a"].latency = 0.5
        async with anyio.create_task_group() as group:
            group.start_soon(host.outcome)
            await anyio.sleep(0.1)
            await reload(host, **tuned(**after))
            assert [state] == states(host)
            outcomes = await host.at_once(10)
        assert let_through == outcomes.count(None)
        await host.outcomes(5)

        assert ["closed"] == states(host)


async def test_probe_whose_instance_a_reload_takes_away_harms_nobody(anyio_backend: object) -> None:
    """
    It is answered, and the breaker of the new instance knows nothing of it.
    """
    async with stage(table(**tuned())) as host:
        await opened(host, "a")
        await anyio.sleep(30)
        host["a"].latency, outcomes = 0.5, list[RemoraError | None]()

        async def probe() -> None:
            outcomes.append(await host.outcome())

        async with anyio.create_task_group() as group:
            group.start_soon(probe)
            await anyio.sleep(0.1)
            await reload(host, "b", **tuned())
            assert await host.outcome() is None

        assert ([None], ["closed"]) == (outcomes, states(host))


async def test_restart_while_draining_ends_the_draining_and_cuts_nobody(anyio_backend: object) -> None:
    """
    Calls that are let in again are not those that a drain may force to end.
    """
    async with stage(table()) as host:
        host["a"].latency, ends = 5.0, list[RemoraError | None]()

        async def call() -> None:
            ends.append(await host.outcome())

        async def drain() -> None:
            with pytest.raises(DrainTimeout, match="a restart has let calls in again") as caught:
                await host.manager.drain("p", 30, force=True)
            assert (1, 0, pytest.approx(1)) == (caught.value.remaining, caught.value.cancelled, host.now - begun)

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await anyio.sleep(1)
            begun = host.now
            group.start_soon(drain)
            await anyio.sleep(0.5)
            assert isinstance(await host.outcome(), Draining)
            await anyio.sleep(0.5)
            host.manager.restart("p")
            for _ in range(20):
                await anyio.sleep(2)
                group.start_soon(call)

        assert [None] * 20 == ends[-20:]
        assert ["a restart was asked for"] == [each.cause for each in host.events(DrainLifted)]
        assert "a restart was asked for" == host.events(InstanceReady)[-1].cause


async def test_plugin_that_was_closed_by_force_is_offline_until_it_is_restarted(anyio_backend: object) -> None:
    """
    Whatever the last probe said.
    """
    async with stage(table(health_check={"enabled": True})) as host:
        host["a"].is_hanging = True
        async with anyio.create_task_group() as group:
            group.start_soon(host.outcome)
            await anyio.sleep(1)
            assert Status.HEALTHY is (await host.manager.health())["p"].status
            with pytest.raises(DrainTimeout):
                await host.manager.drain("p", 1, force=True)
        health = (await host.manager.health())["p"]
        assert (Status.OFFLINE, "stopped") == (health.status, health.message)
        host["a"].is_hanging = False
        host.manager.restart("p")
        await anyio.sleep(0.01)

        assert (None, Status.HEALTHY) == (await host.outcome(), (await host.manager.health())["p"].status)


async def test_restart_while_a_plugin_is_being_closed_by_force_opens_it_again(anyio_backend: object) -> None:
    """
    Also when who had it closed does not wait to the end. Calls wait for it.
    """
    async with stage(table()) as host:
        host["a"].is_hanging, host["a"].stop_time = True, 5
        async with anyio.create_task_group() as group:
            group.start_soon(host.outcome)
            await anyio.sleep(1)
            with anyio.move_on_after(1) as waiting:
                await host.manager.drain("p", 0.5, force=True)
            assert waiting.cancelled_caught
        host["a"].is_hanging = False
        host.manager.restart("p")
        begun = host.now

        assert (None, pytest.approx(4.5)) == (await host.outcome(), host.now - begun)


async def test_hurry_reaches_an_instance_that_is_closing_and_is_to_be_opened_again(anyio_backend: object) -> None:
    """
    So that the end of the manager does not wait for it either.
    """
    async with stage(table()) as host:
        host["a"].is_hanging, host["a"].stop_time = True, 20
        async with anyio.create_task_group() as group:
            group.start_soon(host.outcome)
            await anyio.sleep(1)
            with anyio.move_on_after(1):
                await host.manager.drain("p", 0.5, force=True)
        host.manager.restart("p")
        await anyio.lowlevel.checkpoint()
        host.manager.hurry()
        begun = host.now

    assert pytest.approx(begun) == anyio.current_time()


async def test_calls_wait_for_an_instance_that_comes_back_while_the_others_are_out(anyio_backend: object) -> None:
    """
    As they do when there is only the one.
    """
    async with stage(table("ab", **tuned())) as host:
        await opened(host, "a")
        host["b"].crash()
        await anyio.sleep(0.01)
        started = host.now

        assert await host.outcome() is None
        assert 0.1 < host.now - started < 0.25


async def test_calls_do_not_wait_for_an_instance_that_does_not_come_back(anyio_backend: object) -> None:
    """
    Once its first start has failed they are told why all are out, and when it is worth trying.
    """
    async with stage(table("ab", **tuned())) as host:
        await opened(host, "a")
        host["b"].is_refusing = True
        host["b"].crash()
        await anyio.sleep(0.01)
        error = await host.outcome()

        assert isinstance(error, CircuitOpen)
        assert "its circuit breaker is open" in str(error)
        assert "script:b: connection refused" in str(error)
        assert error.retry_after is not None
        assert error.retry_after < 1


async def test_plugin_is_taken_out_while_it_waits_to_be_started_again(anyio_backend: object) -> None:
    """
    At once, and those who wait for it are told.
    """
    async with stage(table("a"), q=table("q")) as host:
        host["a"].is_refusing = True
        host["a"].crash()
        await anyio.sleep(20)
        tries, started = len(host["a"].tries), host.now
        await host.manager.unregister("p")
        assert started == host.now
        await anyio.sleep(100)

        assert tries == len(host["a"].tries)
        with pytest.raises(RemoraError, match="no plugin named 'p'"):
            await host.call()


async def test_plugin_is_taken_out_and_put_back_while_a_call_waits_between_attempts(anyio_backend: object) -> None:
    """
    The waiting call ends with an error or an answer; new ones find the new plugin.
    """
    async with stage(table("a", retry={"max_retries": 3, "initial_interval": 5, "max_interval": 5})) as host:
        host["a"].failure, ends = (lambda: Unavailable("ouch", sent=False)), list[object]()

        async def call() -> None:
            ends.append(await host.outcome(timeout=20))

        config = structure_config({"plugins": {"p": table("b")}}).plugins["p"]
        with anyio.fail_after(25):
            async with anyio.create_task_group() as group:
                group.start_soon(call)
                await anyio.sleep(0.1)
                await host.manager.unregister("p", drain=False)
                await host.manager.register(config)
                assert await host.outcome() is None

        assert 1 == len(ends)


@pytest.mark.parametrize("moment", [0.05, 0.15, 0.3, 0.6])
@pytest.mark.parametrize("act", ["restart", "drain", "reload", "unregister", "crash", "leave"])
async def test_whatever_is_done_while_calls_are_under_way_every_call_ends_in_its_time(
    act: str, moment: float, anyio_backend: object
) -> None:
    """
    With breakers that open and close, a queue, a limit, retries and a fallback.
    """
    settings: dict[str, Any] = {
        "circuit_breaker": {**TRIGGER, "recovery_timeout": 0.2},
        "retry": {"max_retries": 2, "initial_interval": 0.05},
        "connection": {"max_connections": 2, "max_pending": 20},
        "rate_limit": {"enabled": True, "requests_per_second": 40, "burst_size": 5, "mode": "wait"},
    }
    ends: list[float] = []
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            async with stage(table("ab", **settings)) as host:
                host["a"].latency, host["b"].latency, host["a"].failure = 0.1, 0.02, ouch

                async def call() -> None:
                    started = anyio.current_time()
                    try:
                        await host.outcome(idempotent=True, timeout=2)
                    finally:
                        ends.append(anyio.current_time() - started)

                for _ in range(30):
                    group.start_soon(call)
                await anyio.sleep(moment)
                if act != "leave":
                    await _do(host, act, settings)
                    await anyio.sleep(3)
                    _nothing_is_held(host)

    assert 30 == len(ends)
    assert max(ends) <= 2.001


async def _do(host: Stage, act: str, settings: dict[str, Any]) -> None:
    acts: dict[str, Callable[[], Any]] = {
        "restart": lambda: host.manager.restart("p"),
        "crash": lambda: host["b"].crash(),
        "drain": lambda: _drained(host),
        "reload": lambda: host.manager.reload({"plugins": {"p": table("bc", **settings)}}),
        "unregister": lambda: host.manager.unregister("p"),
    }
    done = acts[act]()
    if done is not None:
        await done


async def _drained(host: Stage) -> None:
    try:
        await host.manager.drain("p", 0.1, force=True)
    except DrainTimeout as error:
        assert error.cancelled


def _nothing_is_held(host: Stage) -> None:
    for name in host.manager.list_plugins():
        assert host.route(name).calls.is_idle
        for each in host.route(name).instances:
            assert (0, 0, 0) == (each.in_flight, each.limit.in_use, each.limit.pending)
            assert not each.breaker._probes


async def test_all_instances_out_and_back_by_restart(anyio_backend: object) -> None:
    """
    An operator who knows better need not wait for any recovery time.
    """
    async with stage(table("abc", **tuned(recovery_timeout=3600))) as host:
        await opened(host, "a", "b", "c")
        assert isinstance(await host.outcome(), CircuitOpen)
        host.manager.restart("p")

        assert [None] * 6 == await host.outcomes(6)
        assert [BreakerState.CLOSED] * 3 == states(host)
        assert {"the instance was started anew"} == {each.cause for each in host.events(BreakerChanged)[-3:]}


async def test_fallback_may_be_a_plugin_that_is_started_by_it(anyio_backend: object) -> None:
    """
    Lazily: a stand-in that is never needed is never started.
    """
    async with stage(table(fallback={"plugin": "q"}), q=table("q", start="lazy")) as host:
        await host.call()
        assert 0 == host["q"].opened
        host["a"].failure = ouch

        assert ("hello", 1) == (await host.call(), host["q"].opened)
