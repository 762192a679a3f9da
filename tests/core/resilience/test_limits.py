"""
Breaker, places and tokens: what they let through, in which order, and that nothing of them is ever lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from remora import CircuitOpen, DeadlineExceeded, Overloaded, RateLimited, RemoraError, Unavailable
from remora.policy import BreakerState
from remora.types import BreakerChanged
from tests.core.scripts import Stage, endpoint, ouch, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

TRIGGER = {"failure_threshold": 2, "min_request_threshold": 1}


async def _opened(host: Stage) -> None:
    host["a"].failure = ouch
    await host.outcomes(2)
    host["a"].failure = None
    assert host.route().instances[0].breaker.state is BreakerState.OPEN


async def test_opening_is_told_once_with_its_cause(anyio_backend: object) -> None:
    """
    However many calls fail at the same time.
    """
    async with stage(table(circuit_breaker=TRIGGER)) as host:
        host["a"].failure = ouch
        await host.at_once(10)
        (event,) = host.events(BreakerChanged)

        assert ("p", "script:a", "closed", "open") == (event.plugin, event.instance, event.before, event.after)
        assert "calls failed: ouch" in event.cause


async def test_failures_of_calls_sent_before_the_opening_change_nothing(anyio_backend: object) -> None:
    """
    They come in late, while the breaker is half-open.
    """
    async with stage(table(circuit_breaker={**TRIGGER, "recovery_timeout": 5})) as host:
        host["a"].latency, host["a"].failure = 20.0, ouch
        async with anyio.create_task_group() as group:
            group.start_soon(host.outcome)
            await anyio.sleep(1)
            host["a"].latency = 0.0
            await host.outcomes(2)
            await anyio.sleep(10)
            host["a"].failure = None
            await host.call()
            host["a"].failure = ouch  # what the late one ends with
            await anyio.sleep(15)
            host["a"].failure = None
            await host.call()

        assert ["open", "half-open", "closed"] == [after for _, after in host.breaker_changes()]


async def test_never_all_out_by_percentage(anyio_backend: object) -> None:
    """
    Where all instances are slow, one of them goes on; where one has died, the other one does.
    """
    breaker = {"slow_call_duration": 0.5, "slow_call_rate": 0.5, "recovery_timeout": 1000}
    async with stage(table("abc", circuit_breaker=breaker)) as host:
        for name in "abc":
            host[name].latency = 1.0
        assert [None] * 100 == await host.outcomes(100)
        assert 2 == len(host.events(BreakerChanged))
        states = [each.breaker.state for each in host.route().instances]
        left = host.route().instances[states.index(BreakerState.CLOSED)]
        assert [None] * 20 == await host.outcomes(20)

        host[left.endpoint.address].failure = lambda: Unavailable("ouch")
        assert isinstance((await host.outcomes(20))[-1], CircuitOpen)


async def test_cancelled_probes_free_their_places(anyio_backend: object) -> None:
    """
    Half-open cannot stick: the next calls are probes again, at once.
    """
    async with stage(table(circuit_breaker=TRIGGER)) as host:
        await _opened(host)
        await anyio.sleep(30)
        host["a"].is_hanging = True
        for _ in range(5):
            with anyio.move_on_after(0.1):
                await host.at_once(2)
        host["a"].is_hanging = False
        before = host.now

        assert [None, None] == await host.outcomes(2)
        assert before == host.now
        assert BreakerState.CLOSED is host.route().instances[0].breaker.state


async def test_probes_beyond_the_admitted_ones_learn_when_to_come_back(anyio_backend: object) -> None:
    """
    Soon: probes should not take long.
    """
    async with stage(table(circuit_breaker=TRIGGER)) as host:
        await _opened(host)
        await anyio.sleep(30)
        host["a"].latency = 0.5
        outcomes = await host.at_once(10)
        refused = [each for each in outcomes if each]

        assert 8 == len(refused)
        assert all(isinstance(each, CircuitOpen) and 0 < (each.retry_after or 0) <= 1 for each in refused)


async def test_error_says_which_instances_are_out_why_and_until_when(anyio_backend: object) -> None:
    """
    One is offline, one refuses, one cannot be connected to.
    """
    health = {"enabled": True, "failure_limit": 1, "timeout": 1, "interval": 20}
    async with stage(table("abc", circuit_breaker=TRIGGER, health_check=health)) as host:
        host["a"].health = None
        host["c"].is_refusing = True
        host["c"].crash()
        host["b"].failure = ouch
        await anyio.sleep(25)
        await host.outcomes(4)
        error = await host.outcome()

        assert isinstance(error, CircuitOpen)
        assert "script:a: offline: no answer within 1 s; script:b: its circuit breaker is open for another" in str(
            error
        )
        assert "script:c: connection refused (next try in" in str(error)
        assert error.retry_after is not None
        assert 0 <= error.retry_after <= 20


async def test_offline_error_tells_the_time_of_the_next_probe(anyio_backend: object) -> None:
    """
    Not just how long the interval is.
    """
    health = {"enabled": True, "failure_limit": 1, "timeout": 1, "interval": 100}
    async with stage(table(health_check=health), script=lambda t: setattr(t.plugin("a"), "health", None)) as host:
        await anyio.sleep(61)
        error = await host.outcome()

        assert isinstance(error, Unavailable)
        assert error.retry_after is not None
        assert 25 < error.retry_after < 55
        probed = len(host["a"].probes)
        await anyio.sleep(error.retry_after + 0.01)
        assert probed + 1 == len(host["a"].probes)


async def test_best_priority_is_used_while_it_can_be(anyio_backend: object) -> None:
    """
    Calls fall over to the second, and fall back as soon as the first has recovered.
    """
    settings = {"circuit_breaker": TRIGGER, "retry": {"max_retries": 1}}
    async with stage(table((endpoint("a", priority=2), endpoint("b")), **settings)) as host:
        await host.outcomes(10)
        assert (10, 0) == (len(host["a"].calls), len(host["b"].calls))

        host["a"].failure = lambda: Unavailable("ouch", sent=False)
        assert [None] * 10 == await host.outcomes(10)
        assert (12, 10) == (len(host["a"].calls), len(host["b"].calls))

        host["a"].failure = None
        await anyio.sleep(30)
        assert [None] * 10 == await host.outcomes(10)
        assert (22, 10) == (len(host["a"].calls), len(host["b"].calls))


async def test_hundred_callers_never_take_more_than_the_places(anyio_backend: object) -> None:
    """
    The places are all used, too: ten rounds of ten.
    """
    async with stage(table(connection={"max_connections": 10})) as host:
        host["a"].latency = 1.0
        started = host.now
        outcomes = await host.at_once(100)

        assert [None] * 100 == outcomes
        assert (10, pytest.approx(10)) == (host["a"].most_active, host.now - started)


async def test_places_are_given_in_the_order_of_asking(anyio_backend: object) -> None:
    """
    Nobody overtakes the queue.
    """
    async with stage(table(connection={"max_connections": 3})) as host:
        host["a"].latency = 1.0
        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(lambda number=number: host.call(text=f"{number:02}"))
                await anyio.sleep(0.001)
        arrived = [call.payload for _, call in host["a"].calls]

        assert sorted(arrived) == arrived


async def test_full_queue_refuses_at_once(anyio_backend: object) -> None:
    """
    With the numbers in the message.
    """
    async with stage(table(connection={"max_connections": 2, "max_pending": 3})) as host:
        host["a"].latency = 1.0
        outcomes = await host.at_once(10)
        refused = [each for each in outcomes if each]

        assert 5 == len(refused)
        assert all(isinstance(each, Overloaded) and not each.sent for each in refused)
        assert "2 calls are under way and 3 wait" in str(refused[0])


async def test_time_in_the_queue_counts(anyio_backend: object) -> None:
    """
    Who waits too long was never sent, and blames nobody.
    """
    async with stage(table(connection={"max_connections": 1}, circuit_breaker=TRIGGER)) as host:
        host["a"].latency = 10.0
        async with anyio.create_task_group() as group:
            group.start_soon(host.outcome)
            await anyio.sleep(0.1)
            started = host.now
            outcomes = await host.at_once(5, timeout=2)

            assert [(DeadlineExceeded, False)] * 5 == [(type(each), each.sent) for each in outcomes if each]
            assert pytest.approx(2) == host.now - started

        assert [] == host.events(BreakerChanged)
        assert 1 == len(host["a"].calls)


async def test_rate_limit_refuses_what_is_above_it_and_says_how_long(anyio_backend: object) -> None:
    """
    A burst, then the rate.
    """
    async with stage(table(rate_limit={"enabled": True, "requests_per_second": 50, "burst_size": 5})) as host:
        outcomes = await host.traffic(10, 200)
        refused = [each for each in outcomes if each]

        assert 505 == pytest.approx(len(host["a"].calls), abs=2)
        assert all(isinstance(each, RateLimited) and 0 < (each.retry_after or 0) <= 0.02 for each in refused)


async def test_rate_limit_that_waits_is_fair_and_even(anyio_backend: object) -> None:
    """
    In the order of asking, one every fifth of a second after the burst.
    """
    limit = {"enabled": True, "requests_per_second": 5, "burst_size": 1, "mode": "wait"}
    async with stage(table(rate_limit=limit)) as host:
        started = host.now
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(lambda number=number: host.call(text=f"{number:02}"))
                await anyio.sleep(0.001)
        arrived = [call.payload for _, call in host["a"].calls]

        assert sorted(arrived) == arrived
        assert [pytest.approx(number / 5, abs=1e-6) for number in range(20)] == [
            at - started for at, _ in host["a"].calls
        ]


async def test_rate_limit_does_not_make_calls_wait_that_have_no_time(anyio_backend: object) -> None:
    """
    They are refused at once, with the time that it would take.
    """
    limit = {"enabled": True, "requests_per_second": 1, "burst_size": 1, "mode": "wait"}
    async with stage(table(rate_limit=limit)) as host:
        started = host.now
        outcomes = await host.at_once(5, timeout=2.5)

        assert 3 == outcomes.count(None)
        assert [RateLimited] * 2 == [type(each) for each in outcomes if each]
        assert pytest.approx(2) == host.now - started


WAITING = {"enabled": True, "requests_per_second": 1, "burst_size": 1, "mode": "wait"}


async def _reloaded_after(host: Stage, seconds: float, count: int, timeout: float, **after: Any) -> list[Any]:
    """
    How so many calls end, and after how long, when another limit comes while they wait for their turn.
    """
    await host.call()
    ends: list[tuple[float, RemoraError | None]] = []
    started = host.now

    async def ask() -> None:
        outcome = await host.outcome(timeout=timeout)
        ends.append((round(host.now - started, 2), outcome))

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(ask)
        await anyio.sleep(seconds)
        await host.manager.reload({"plugins": {"p": table(rate_limit={**WAITING, **after})}})
    return ends


@pytest.mark.parametrize(
    ("after", "turns"),
    [
        ({"requests_per_second": 10}, [1, 2, 2.55, 2.65, 2.75]),
        ({"requests_per_second": 0.5}, [1, 2, 3.5, 5.5, 7.5]),
        ({"enabled": False}, [1, 2, 2.5, 2.5, 2.5]),
        ({"mode": "reject"}, [1, 2, 3, 4, 5]),
    ],
)
async def test_calls_that_wait_for_their_turn_follow_a_reload(
    after: dict[str, Any], turns: list[float], anyio_backend: object
) -> None:
    """
    Five calls at one a second; the rate changes after two and a half.
    """
    async with stage(table(rate_limit=WAITING)) as host:
        ends = await _reloaded_after(host, 2.5, 5, 30, **after)

        assert [(pytest.approx(each, abs=0.011), None) for each in turns] == ends


async def test_calls_that_cannot_wait_for_a_lowered_rate_are_refused_at_once(anyio_backend: object) -> None:
    """
    With the time that it would take; others wait.
    """
    async with stage(table(rate_limit=WAITING)) as host:
        ends = await _reloaded_after(host, 0.5, 5, 5.5, requests_per_second=0.25)
        refused = [(at, each) for at, each in ends if each is not None]

        assert (pytest.approx(2.5, abs=0.011), None) == next(end for end in ends if end[1] is None)
        assert 4 == len(refused)
        assert all(at <= 0.51 and isinstance(each, RateLimited) and (each.retry_after or 0) > 5 for at, each in refused)


async def test_call_that_waits_for_its_turn_is_under_way(anyio_backend: object) -> None:
    """
    Draining waits for it.
    """
    limit = {"enabled": True, "requests_per_second": 1, "burst_size": 1, "mode": "wait"}
    async with stage(table(rate_limit=limit)) as host:
        async with anyio.create_task_group() as group:
            group.start_soon(host.call)
            group.start_soon(host.call)
            await anyio.sleep(0.1)
            assert 1 == host.manager.active_requests("p")

            await host.manager.drain("p", 5)

        assert 2 == len(host["a"].calls)


def _failing(host: Stage) -> None:
    host["a"].failure = lambda: Unavailable("ouch", sent=False)


def _lost(host: Stage) -> None:
    host["a"].is_refusing = True
    host["a"].crash()


SCENES: dict[str, tuple[dict[str, Any], Callable[[Stage], None] | None]] = {
    "sending": ({}, None),
    "in the queue": ({"connection": {"max_connections": 2}}, None),
    "between attempts": ({"retry": {"max_retries": 3}}, _failing),
    "waiting for a turn": (
        {"rate_limit": {"enabled": True, "requests_per_second": 4, "burst_size": 2, "mode": "wait"}},
        None,
    ),
    "while the instance is gone": ({"connection": {"max_connections": 2}}, _lost),
    "asking a fallback": ({"fallback": {"plugin": "q"}}, _failing),
    "with a balancer": ({"balancer": "least-latency", "connection": {"max_connections": 3}}, None),
}


@pytest.mark.parametrize("scene", SCENES)
async def test_call_cancelled_at_any_moment_leaves_nothing_behind(scene: str, anyio_backend: object) -> None:
    """
    No place, no place in the queue, no probe, no turn, no count of calls under way.
    """
    settings, prepare = SCENES[scene]
    async with stage(table("ab", **settings), q=table("q")) as host:
        host["a"].latency = host["b"].latency = host["q"].latency = 0.5
        if prepare is not None:
            prepare(host)
        for step in range(40):
            with anyio.move_on_after(step * 0.05):
                await host.at_once(8, timeout=1.7, idempotent=True)
            _assert_nothing_is_held(host)
        await anyio.sleep(1000)

        assert pytest.approx(20 if "turn" not in scene else 2) == host.route().bucket.level


@pytest.mark.parametrize("step", range(12))
async def test_probe_cancelled_at_any_moment_is_given_back(step: int, anyio_backend: object) -> None:
    """
    Also one that waits for a place.
    """
    settings = {"circuit_breaker": {**TRIGGER, "success_threshold": 3}, "connection": {"max_connections": 1}}
    async with stage(table(**settings)) as host:
        await _opened(host)
        await anyio.sleep(30)
        host["a"].latency = 0.5
        with anyio.move_on_after(step * 0.125):
            await host.at_once(5)
        _assert_nothing_is_held(host)

        assert [None] * 3 == await host.outcomes(3)
        assert BreakerState.CLOSED is host.route().instances[0].breaker.state


def _assert_nothing_is_held(host: Stage) -> None:
    for name in host.manager.list_plugins():
        route = host.route(name)
        assert route.calls.is_idle
        for each in route.instances:
            assert (0, 0, 0) == (each.in_flight, each.limit.in_use, each.limit.pending)
            assert not each.breaker._probes


async def test_turns_of_cancelled_calls_go_to_those_who_wait(anyio_backend: object) -> None:
    """
    The tokens of a hundred impatient callers are not lost.
    """
    limit = {"enabled": True, "requests_per_second": 1, "burst_size": 1, "mode": "wait"}
    async with stage(table(rate_limit=limit, connection={"request_timeout": 1000})) as host:
        await host.call()
        with anyio.move_on_after(0.5):
            await host.at_once(100)
        started = host.now
        await host.call()

        assert pytest.approx(0.5) == host.now - started
