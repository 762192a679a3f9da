"""
Hours in the life of a plugin whose three instances fail in every way there is; seeded, in virtual time.

    REMORA_SEED=7 pytest tests/simulation/test_hours.py -s

draws other hours, and shows them. Every failure names the seed, and the same seed gives the same hours again.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from remora import HealthStatus, RemoraError, Status, Unavailable
from remora.policy import BreakerState
from remora.testing import ScriptedPlugin
from tests.core.scripts import Stage, stage
from tests.simulation.conftest import Replay

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

SEED = int(os.environ.get("REMORA_SEED", "20"))
HOURS = 6
HOUR = 3600.0
RATE = 0.4
"""Calls a second, at random times."""

PATIENCE = 5.0
"""Seconds that a caller waits."""

DIGITS = 3
"""Of the times that are compared: adding up seconds is not exact to the last bit."""

RECOVERY = 300.0
"""Seconds after which all must be as if nothing had happened: the longest that a breaker stays open, and more."""


def _fail(plugin: ScriptedPlugin) -> None:
    plugin.failure = lambda: Unavailable("out of order")


def _hang(plugin: ScriptedPlugin) -> None:
    plugin.is_hanging, plugin.health = True, None


def _be_slow(plugin: ScriptedPlugin) -> None:
    plugin.latency = 3.0


def _fall_ill(plugin: ScriptedPlugin) -> None:
    plugin.health = HealthStatus(status=Status.UNHEALTHY, message="out of memory")


def _go_away(plugin: ScriptedPlugin) -> None:
    plugin.is_refusing = True
    plugin.crash()


def _die(plugin: ScriptedPlugin) -> None:
    plugin.crash()


INCIDENTS: dict[str, Callable[[ScriptedPlugin], None]] = {
    "fails": _fail,
    "hangs": _hang,
    "is slow": _be_slow,
    "falls ill": _fall_ill,
    "goes away": _go_away,
    "dies": _die,
}


@dataclass(frozen=True)
class Incident:
    """
    What happens to which instances, from when to when.
    """

    kind: str
    names: str
    begin: float
    end: float

    @property
    def is_total(self) -> bool:
        """
        Whether nothing is left that could answer, for a minute or more.
        """
        is_down = self.kind in ("fails", "hangs", "goes away")
        return self.names == "abc" and is_down and self.end - self.begin >= 60


@dataclass
class Hours:
    """
    What was seen: incidents, calls (asked at, ended at, how), and arrivals (at, where).
    """

    incidents: list[Incident] = field(default_factory=list)
    calls: list[tuple[float, float, str]] = field(default_factory=list)
    arrivals: list[tuple[float, str]] = field(default_factory=list)
    changes: list[tuple[float, str]] = field(default_factory=list)

    def failed(self, begin: float, end: float) -> Counter[str]:
        """
        How calls ended that fell into a stretch of time and were not answered.
        """
        return Counter(how for asked, ended, how in self.calls if begin <= asked and ended < end and how)

    def quiet(self) -> list[tuple[float, float]]:
        """
        The stretches of time in which the last incident is long over.
        """
        ends = [0.0, *(each.end + RECOVERY for each in self.incidents)]
        begins = [*(each.begin for each in self.incidents), max(ends)]
        return [(end, begin) for end, begin in zip(ends, begins, strict=True) if end < begin]


async def hours(seed: int, count: float) -> Hours:
    """
    So many hours of traffic and incidents.
    """
    rng, seen = random.Random(seed), Hours()
    async with _running(seed) as host:
        begin = host.now
        async with anyio.create_task_group() as group:
            group.start_soon(_incidents, host, random.Random(rng.random()), seen, begin, count * HOUR)
            await _traffic(host, rng, seen, begin, count * HOUR)
        await anyio.sleep(RECOVERY)
        await host.outcomes(20)
        _assert_all_is_well(host)
        seen.arrivals = sorted((round(at - begin, DIGITS), name) for name in "abc" for at, _ in host[name].calls)
        timed = zip(host.recorder.times, host.recorder.events, strict=True)
        seen.changes = sorted((round(at - begin, DIGITS), type(event).__name__) for at, event in timed)
        seen.calls.sort()
    return seen


@asynccontextmanager
async def _running(seed: int) -> AsyncIterator[Stage]:
    async with stage({"endpoints": [f"script:{name}" for name in "abc"], "balancer": "p2c"}, seed=seed) as host:
        for name in "abc":
            host[name].latency = 0.05
        yield host


async def _traffic(host: Stage, rng: random.Random, seen: Hours, begin: float, length: float) -> None:
    async def one() -> None:
        asked = host.now - begin
        outcome = await host.outcome(idempotent=True, timeout=PATIENCE)
        seen.calls.append(
            (round(asked, DIGITS), round(host.now - begin, DIGITS), "" if outcome is None else _named(outcome))
        )

    async with anyio.create_task_group() as group:
        while host.now - begin < length:
            await anyio.sleep(rng.expovariate(RATE))
            group.start_soon(one)


async def _incidents(host: Stage, rng: random.Random, seen: Hours, begin: float, length: float) -> None:
    while True:
        await anyio.sleep(rng.uniform(RECOVERY + 60, 2 * RECOVERY))
        lasts = rng.uniform(20, 240)
        if host.now - begin + lasts > length:
            return
        kind, names = rng.choice(list(INCIDENTS)), rng.choice(["a", "b", "c", "ab", "abc"])
        for name in names:
            INCIDENTS[kind](host[name])
        now = host.now - begin
        seen.incidents.append(Incident(kind, names, round(now, DIGITS), round(now + lasts, DIGITS)))
        await anyio.sleep(lasts)
        for name in names:
            _mend(host[name])


def _mend(plugin: ScriptedPlugin) -> None:
    plugin.failure, plugin.is_hanging, plugin.is_refusing, plugin.latency = None, False, False, 0.05
    plugin.health = HealthStatus(status=Status.HEALTHY)


def _named(error: RemoraError) -> str:
    return type(error).__name__


def _assert_all_is_well(host: Stage) -> None:
    """
    Nothing is held by anybody, nothing is still held against anybody, and all have a part in the traffic.
    """
    assert host.route().calls.is_idle
    for each in host.route().instances:
        assert (0, 0, 0) == (each.in_flight, each.limit.in_use, each.limit.pending)
        assert BreakerState.CLOSED is each.breaker.state
        assert ("ready", Status.HEALTHY) == (each.state, each.condition.status)


@pytest.mark.long
async def test_hours_of_traffic_and_incidents_end_well(replay: Replay, anyio_backend: object) -> None:
    """
    Every call ends in its time; while all is well none fails; what one or two instances do is hardly noticed, and an
    outage of all makes little more traffic than there would be.
    """
    replay(SEED)
    seen = await hours(SEED, HOURS)
    for each in seen.incidents:
        failed, asked = seen.failed(each.begin, each.end), _asked(seen, each)
        print(f"{each.begin:8.1f} s: {each.names} {each.kind} for {each.end - each.begin:.0f} s; of {asked}: {failed}")

    told = f"REMORA_SEED={SEED}"
    assert len(seen.incidents) >= 5 * HOURS, told
    assert {each.kind for each in seen.incidents} == set(INCIDENTS), told
    assert max(ended - asked for asked, ended, _ in seen.calls) <= PATIENCE + 0.001, told
    assert not any(seen.failed(*stretch) for stretch in seen.quiet()), told
    for each in seen.incidents:
        if each.is_total:
            arrived = sum(each.begin <= at < each.end for at, _ in seen.arrivals)
            assert arrived <= 1.3 * _asked(seen, each), (told, each)
        elif each.kind != "hangs" and each.names != "abc":
            assert seen.failed(each.begin, each.end).total() <= 0.1 * _asked(seen, each), (told, each)


def _asked(seen: Hours, each: Incident) -> int:
    return sum(each.begin <= asked < each.end for asked, _, _ in seen.calls)


async def test_hours_can_be_replayed(replay: Replay, anyio_backend: object) -> None:
    """
    The same seed gives the same incidents, calls, arrivals and events at the same times; another one does not.
    """
    replay(SEED)
    first = await hours(SEED, 1)

    replay(SEED)
    assert first == await hours(SEED, 1)
    assert first != await hours(SEED + 1, 1)
