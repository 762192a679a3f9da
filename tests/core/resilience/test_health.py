"""
Health as calls and operators see it: who is probed when, who gets calls, and what is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from remora import Code, HealthStatus, PluginError, Status
from remora.types import HealthChanged
from tests.core.hosts import PlainChannel, Stranger
from tests.core.scripts import Stage, endpoint, ouch, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

CHECK = {"enabled": True, "interval": 10, "timeout": 2}
WELL = HealthStatus(status=Status.HEALTHY)
WEAK = HealthStatus(status=Status.DEGRADED, message="the cache is cold")
ILL = HealthStatus(status=Status.UNHEALTHY, message="the disk is full")


def statuses(host: Stage, instance: str = "script:a") -> list[str]:
    """
    What the health of an instance changed to.
    """
    return [str(each.after) for each in host.events(HealthChanged) if each.instance == instance]


async def test_offline_instance_gets_no_calls_but_is_probed(anyio_backend: object) -> None:
    """
    With others there, and with none.
    """
    async with stage(table("ab", health_check=CHECK)) as host:
        host["a"].health = ILL
        await anyio.sleep(40)
        calls, probes = len(host["a"].calls), len(host["a"].probes)
        await host.outcomes(20)
        await anyio.sleep(60)

        assert (calls, 20) == (len(host["a"].calls), len(host["b"].calls))
        assert 4 <= len(host["a"].probes) - probes <= 8
        assert ["healthy", "unhealthy", "offline"] == statuses(host)

    async with stage(table(health_check=CHECK)) as host:
        host["a"].health = ILL
        await anyio.sleep(40)
        error = await host.outcome()

        assert error is not None
        assert "offline: the disk is full" in error.message


async def test_recovery_goes_by_way_of_degraded(anyio_backend: object) -> None:
    """
    The first good probe, then soon the second.
    """
    async with stage(table("ab", health_check=CHECK)) as host:
        host["a"].health = ILL
        await anyio.sleep(40)
        host["a"].health = WELL
        await anyio.sleep(13)

        assert ["healthy", "unhealthy", "offline", "degraded", "healthy"] == statuses(host)
        await host.outcomes(10)
        assert 5 == len(host["a"].calls)


async def test_degraded_instance_gets_calls_only_when_no_healthy_one_can(anyio_backend: object) -> None:
    """
    Even one of a lower priority is preferred.
    """
    places: dict[str, Any] = {"circuit_breaker": {"failure_threshold": 1, "min_request_threshold": 1}}
    async with stage(table((endpoint("a", priority=2), endpoint("b")), health_check=CHECK, **places)) as host:
        host["a"].health = WEAK
        await anyio.sleep(15)
        await host.outcomes(10)
        assert (0, 10) == (len(host["a"].calls), len(host["b"].calls))

        host["b"].failure = ouch
        await host.outcomes(10)
        assert (9, 11) == (len(host["a"].calls), len(host["b"].calls))


async def test_failing_calls_have_the_instance_probed_soon(anyio_backend: object) -> None:
    """
    An hour is not waited for.
    """
    async with stage(table(health_check={**CHECK, "interval": 3600})) as host:
        await anyio.sleep(100)
        probed = len(host["a"].probes)
        host["a"].failure = ouch
        await host.outcomes(3)
        await anyio.sleep(0.01)

        assert probed + 1 == len(host["a"].probes)
        assert ["healthy", "unhealthy", "degraded"] == statuses(host)


async def test_instance_that_wavers_is_probed_once_a_second_at_most(anyio_backend: object) -> None:
    """
    However often calls give reason to doubt it; else they would drive the probes.
    """
    check = {**CHECK, "interval": 3600}
    off: dict[str, Any] = {"circuit_breaker": {"enabled": False}, "retry": {"max_retries": 0}}
    async with stage(table(health_check=check, **off)) as host:
        await anyio.sleep(100)
        probed = len(host["a"].probes)
        for _ in range(100):  # ten seconds
            host["a"].failure = ouch
            await host.outcomes(3)
            host["a"].failure = None
            await host.outcome()
            await anyio.sleep(0.1)

        assert 9 <= len(host["a"].probes) - probed <= 11


async def test_answered_no_is_no_reason_to_doubt(anyio_backend: object) -> None:
    """
    The plugin is well; it says so.
    """
    async with stage(table(health_check=CHECK)) as host:
        host["a"].failure = lambda: PluginError("no such user", code=Code.NOT_FOUND)
        await host.outcomes(20)

        assert ["healthy"] == statuses(host)


async def test_health_is_asked_for_and_told_by_plugin(anyio_backend: object) -> None:
    """
    One that is half out is degraded, and says how far.
    """
    async with stage(table("ab", health_check=CHECK), q=table("q", health_check=CHECK)) as host:
        assert {"p": Status.HEALTHY, "q": Status.HEALTHY} == {
            name: each.status for name, each in (await host.manager.health()).items()
        }
        assert Status.HEALTHY is (await host.manager.overall_health()).status

        host["a"].health = ILL
        health = await host.manager.health()
        assert (Status.DEGRADED, "1 of 2 instances are healthy") == (health["p"].status, health["p"].message)
        assert health["q"].last_check is not None
        overall = await host.manager.overall_health()
        assert (Status.DEGRADED, "p is degraded") == (overall.status, overall.message)

        await host.manager.unregister("q")
        overall = await host.manager.overall_health()
        assert (Status.DEGRADED, "p is degraded") == (overall.status, overall.message)

        host["b"].health = None
        overall = await host.manager.overall_health()
        assert Status.UNHEALTHY is overall.status


async def test_an_instance_that_starts_is_told_from_an_ill_one(anyio_backend: object) -> None:
    """
    Half of them may be missing because they have only just been asked for.
    """

    @asynccontextmanager
    async def slowly(attempt: int) -> AsyncIterator[PlainChannel]:
        await anyio.sleep(5)
        yield PlainChannel()

    async with stage(table(["a", {"url": "strange:late"}]), extensions=[Stranger(slowly)]) as host:
        health = (await host.manager.health())["p"]
        assert (Status.DEGRADED, "1 of 2 instances are healthy, 1 starting") == (health.status, health.message)

        await anyio.sleep(5)
        assert Status.HEALTHY is (await host.manager.overall_health()).status


async def test_asking_for_health_is_bounded_by_the_timeout(anyio_backend: object) -> None:
    """
    A plugin that answers no probes holds nobody up.
    """
    async with stage(table("abc", health_check=CHECK)) as host:
        for each in "abc":
            host[each].health = None
        started = host.now
        await host.manager.health()

        assert pytest.approx(2) == host.now - started


async def test_without_probes_nothing_that_health_says_keeps_calls_away(anyio_backend: object) -> None:
    """
    Nobody would find out that it is well again; the breaker is there for it.
    """
    async with stage(table("ab")) as host:
        host["a"].health = ILL
        for _ in range(5):
            await host.manager.health()
        host["a"].failure = ouch
        await host.outcomes(10)
        host["a"].failure = None
        await host.outcomes(10)

        assert 10 == len(host["a"].calls)


async def test_probes_of_several_instances_are_spread(anyio_backend: object) -> None:
    """
    They begin together, and do not stay together.
    """
    async with stage(table("abcd", health_check=CHECK)) as host:
        await anyio.sleep(100)
        last = sorted(host[each].probes[-1] for each in "abcd")

        assert last[-1] - last[0] > 0.1
        assert 4 == len(set(last))


async def test_lost_instance_is_offline_until_it_is_there_again(anyio_backend: object) -> None:
    """
    And then it is asked anew.
    """
    async with stage(table("ab", health_check=CHECK)) as host:
        host["a"].is_refusing = True
        host["a"].crash()
        await anyio.sleep(3)
        assert [None] * 10 == await host.outcomes(10)
        assert Status.DEGRADED is (await host.manager.health())["p"].status

        host["a"].is_refusing = False
        await anyio.sleep(10)
        assert ["healthy", "offline", "unknown", "healthy"] == statuses(host)
        assert Status.HEALTHY is (await host.manager.health())["p"].status
