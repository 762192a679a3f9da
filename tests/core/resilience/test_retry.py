"""
Further attempts: when there are any, where they go, and how many at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from remora import (
    CircuitOpen,
    Code,
    DeadlineExceeded,
    Draining,
    PluginError,
    RemoraError,
    Unavailable,
    WrongProtocol,
)
from remora.policy._health import SOON
from tests.core.scripts import Stage, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

RETRY: dict[str, Any] = {"max_retries": 3, "random_jitter": False, "initial_interval": 1, "max_interval": 8}


def failing(**facts: Any) -> Callable[[], RemoraError]:
    """
    Makes errors of a plugin that cannot be reached.
    """
    return lambda: Unavailable("ouch", **facts)


@pytest.mark.parametrize(
    ("failure", "idempotent", "attempts"),
    [
        (failing(), True, 4),
        (failing(), False, 1),
        (failing(sent=False), False, 4),
        (lambda: PluginError("later", code=Code.UNAVAILABLE), True, 4),
        (lambda: PluginError("later", code=Code.UNAVAILABLE), False, 1),
        (lambda: PluginError("no", code=Code.NOT_FOUND), True, 1),
        (lambda: WrongProtocol("it speaks something else", sent=False), True, 1),
        (failing(retry_after=-1.0, sent=False), True, 1),
    ],
)
async def test_only_what_may_be_made_twice_is_tried_again(
    failure: Callable[[], RemoraError], idempotent: bool, attempts: int, anyio_backend: object
) -> None:
    """
    Idempotent, or never sent; and an error that may be gone, and no push-back.
    """
    async with stage(table(retry=RETRY)) as host:
        host["a"].failure = failure
        await host.outcome(idempotent=idempotent)

        assert attempts == len(host["a"].calls)


async def test_another_instance_is_preferred(anyio_backend: object) -> None:
    """
    The one that failed is tried again only after all others.
    """
    async with stage(table("abc", retry={**RETRY, "max_retries": 2})) as host:
        host["a"].failure = host["b"].failure = host["c"].failure = failing(sent=False)
        await host.outcome()

        assert [1, 1, 1] == [len(host[each].calls) for each in "abc"]


async def test_deadline_bounds_all_attempts_together(anyio_backend: object) -> None:
    """
    A wait that would end after it is not begun.
    """
    async with stage(table(retry=RETRY)) as host:
        host["a"].failure = failing(sent=False)
        started = host.now
        error = await host.outcome(timeout=2.5)

        assert isinstance(error, Unavailable)
        assert 2 == len(host["a"].calls)
        assert host.now - started <= 2.5


async def test_hanging_attempt_ends_at_the_deadline(anyio_backend: object) -> None:
    """
    The first attempt may use up the time for all of them.
    """
    async with stage(table(retry=RETRY)) as host:
        host["a"].is_hanging = True
        started = host.now
        error = await host.outcome(timeout=2.5, idempotent=True)

        assert isinstance(error, DeadlineExceeded)
        assert (1, 2.5) == (len(host["a"].calls), pytest.approx(host.now - started))


async def test_wish_of_the_plugin_is_obeyed(anyio_backend: object) -> None:
    """
    Its `retry_after` first, then the usual wait on top.
    """
    async with stage(table(retry={**RETRY, "max_retries": 1})) as host:
        host["a"].failure = failing(sent=False, retry_after=5.0)
        await host.outcome()
        (first, _), (second, _) = host["a"].calls

        assert pytest.approx(6) == second - first


async def test_wish_beyond_the_deadline_ends_the_call_at_once(anyio_backend: object) -> None:
    """
    The caller gets to know `retry_after`, and can decide for itself.
    """
    async with stage(table(retry=RETRY)) as host:
        host["a"].failure = failing(sent=False, retry_after=100.0)
        started = host.now
        error = await host.outcome(timeout=10)

        assert error is not None
        assert (100.0, started, 1) == (error.retry_after, host.now, len(host["a"].calls))


async def test_open_breaker_and_draining_end_a_call_at_once(anyio_backend: object) -> None:
    """
    Another attempt would meet the same.
    """
    breaker = {"failure_threshold": 1, "min_request_threshold": 1}
    async with stage(table(retry=RETRY, circuit_breaker=breaker)) as host:
        host["a"].failure = failing()
        await host.outcome()
        started = host.now
        refused = await host.outcome(idempotent=True)
        await host.manager.drain("p", 1)
        drained = await host.outcome(idempotent=True)

        assert (CircuitOpen, Draining) == (type(refused), type(drained))
        assert (started, 1) == (host.now, len(host["a"].calls))


async def test_attempts_are_counted_even_when_there_is_no_instance_to_try(anyio_backend: object) -> None:
    """
    A plugin that cannot be connected to: three more tries, not as many as the deadline allows.
    """
    settings = table(retry=RETRY, connection={"request_timeout": 1000})
    async with stage(settings, script=lambda transport: setattr(transport.plugin("a"), "is_refusing", True)) as host:
        await anyio.sleep(120)
        started = host.now
        error = await host.outcome(timeout=600)

        assert isinstance(error, Unavailable)
        assert "connection refused" in error.message
        assert host.now - started < 4 * 6 + 8


@pytest.mark.parametrize("rate", [2, 30])
@pytest.mark.parametrize("failure", ["fast", "never sent", "hanging", "slow"])
@pytest.mark.long
async def test_outage_of_a_minute_adds_less_than_a_third_of_traffic(
    rate: int, failure: str, anyio_backend: object
) -> None:
    """
    With every policy at its default, and every call willing to be made again.
    """
    async with stage({"endpoint": "script:a"}) as host:
        host["a"].is_hanging = failure == "hanging"
        host["a"].latency = 2.0 if failure == "slow" else 0.01
        host["a"].failure = failing(sent=failure != "never sent")
        outcomes = await host.traffic(60, rate, idempotent=True, timeout=5)

        assert all(outcomes)
        assert len(host["a"].calls) <= 1.3 * len(outcomes)


async def test_budget_bounds_attempts_without_a_breaker(anyio_backend: object) -> None:
    """
    A fifth of the calls, and three a second in any case.
    """
    async with stage(table("ab", retry={"max_retries": 3})) as host:
        host["a"].failure = host["b"].failure = failing()
        outcomes = await host.traffic(30, 50, idempotent=True)
        sent = len(host["a"].calls) + len(host["b"].calls)

        assert 1.1 * len(outcomes) < sent <= 1.3 * len(outcomes)


async def _outage_and_recovery(host: Stage, rate: float) -> list[float]:
    """
    A minute without, then three minutes with a plugin that is slow at first; when calls arrived at it.
    """
    plugin = host["a"]
    plugin.failure, plugin.latency = failing(), 0.05
    await host.traffic(60, rate, idempotent=True, timeout=5)
    plugin.failure, plugin.latency = None, 0.5
    plugin.most_active = 0
    await host.traffic(180, rate, idempotent=True, timeout=5)
    return [at for at, _ in plugin.calls]


async def test_recovery_admits_probes_only(anyio_backend: object) -> None:
    """
    While half-open, two calls arrive at the instance; the herd is let in when both have succeeded.
    """
    async with stage({"endpoint": "script:a", "connection": {"max_connections": 1000}}) as host:
        arrived = await _outage_and_recovery(host, rate=20)
        changes = host.breaker_changes()
        opened = next(at for at, after in changes if after == "open")
        closed = next(at for at, after in changes if after == "closed")
        trials = [at for at, after in changes if after == "half-open"]

        assert trials
        assert sum(opened < at < closed for at in arrived) <= 2 * len(trials)
        assert host["a"].most_active <= 0.5 * 20 + 2  # what is asked for while one call lasts; nobody was waiting


async def test_calls_in_the_queue_are_not_sent_to_an_instance_that_is_out(anyio_backend: object) -> None:
    """
    The breaker is asked when a call gets its place, not when it gets in line.
    """
    breaker = {"failure_threshold": 5}
    async with stage(table(circuit_breaker=breaker, connection={"max_connections": 5})) as host:
        host["a"].latency, host["a"].failure = 1.0, failing()
        outcomes = await host.at_once(200)

        assert len(host["a"].calls) <= 10
        assert sum(isinstance(each, CircuitOpen) for each in outcomes) >= 190


async def test_calls_in_the_queue_of_an_instance_that_is_out_go_to_another(anyio_backend: object) -> None:
    """
    They were never sent, so that needs no retry.
    """
    settings = {"circuit_breaker": {"failure_threshold": 2, "min_request_threshold": 1}}
    async with stage(table("ab", **settings, connection={"max_connections": 2})) as host:
        host["a"].latency, host["a"].failure = 1.0, failing()
        host["b"].latency = 1.5
        outcomes = await host.at_once(40)

        assert len(host["a"].calls) <= 4
        assert sum(each is None for each in outcomes) >= 36


async def test_failing_calls_do_not_make_a_storm_of_probes(anyio_backend: object) -> None:
    """
    Doubt is probed soon, but not more often than that.
    """
    async with stage(table(health_check={"enabled": True})) as host:
        host["a"].failure = failing()
        await host.traffic(30, 30)

        assert len(host["a"].probes) <= 30 / (0.9 * SOON) + 3
