"""
How each strategy spreads traffic over a slow instance, one that fails fast, and a healthy one; shown with `pytest -s`.

A quarter of an hour of calls at random times for each, all policies at their defaults, in virtual time; seeded, so
that a run can be repeated.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import anyio
import pytest

from remora import RemoraError, Unavailable
from tests.core.scripts import Stage, stage
from tests.simulation.conftest import Replay

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

NAMES = ("slow", "failing", "healthy")
STRATEGIES = (
    "",  # none configured: turns
    "round-robin",
    "random",
    "weighted-random",
    "least-connections",
    "least-latency",
    "consistent-hash",
    "priority",
    "p2c",
)
LEARNING = {"least-latency"}
"""Strategies that avoid what is slow."""

LENGTH = 900.0
RATE = 1.0
DETECTION = 60.0
"""Seconds after which the failing instance must have been found out."""


@dataclass(frozen=True)
class Outcome:
    """
    What a simulation shows: who took which call when, and how many callers got an error.
    """

    arrivals: tuple[tuple[float, str], ...]
    errors: int
    calls: int

    def shares(self, since: float = 0.0) -> dict[str, float]:
        """
        The share of each instance in the calls that arrived anywhere.
        """
        counts = Counter(name for at, name in self.arrivals if at >= since)
        return {name: counts[name] / counts.total() for name in NAMES}


async def simulate(strategy: str, *, seed: int, length: float = LENGTH) -> Outcome:
    """
    Traffic at random times, about random users.
    """
    settings = {"balancer": strategy} if strategy else {}
    async with stage({"endpoints": [f"script:{name}" for name in NAMES], **settings}, seed=seed) as host:
        host["slow"].latency, host["failing"].latency, host["healthy"].latency = 0.5, 0.001, 0.05
        host["failing"].failure = lambda: Unavailable("out of order")
        outcomes = await _traffic(host, random.Random(seed), length)
        arrivals = sorted((at, name) for name in NAMES for at, _ in host[name].calls)
        begin = arrivals[0][0]
        errors = sum(each is not None for each in outcomes)
        return Outcome(tuple((round(at - begin, 3), name) for at, name in arrivals), errors, len(outcomes))


async def _traffic(host: Stage, rng: random.Random, length: float) -> list[RemoraError | None]:
    outcomes: list[RemoraError | None] = []

    async def one(user: str) -> None:
        outcomes.append(await host.outcome(idempotent=True, hash_key=user))

    end = host.now + length
    async with anyio.create_task_group() as group:
        while host.now < end:
            await anyio.sleep(rng.expovariate(RATE))
            group.start_soon(one, f"user {rng.randrange(200)}")
    return outcomes


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_failing_instance_gets_next_to_nothing_once_it_is_found_out(strategy: str, anyio_backend: object) -> None:
    """
    And hardly a caller notices: its calls are made again elsewhere.
    """
    outcome = await simulate(strategy, seed=20)
    all_along, later = outcome.shares(), outcome.shares(DETECTION)
    line = "  ".join(f"{name} {all_along[name]:5.1%} -> {later[name]:5.1%}" for name in NAMES)
    print(f"{strategy or '(turns)':18} {line}  errors {outcome.errors} of {outcome.calls}")

    assert later["failing"] < 0.05
    assert outcome.errors < 0.01 * outcome.calls
    assert later["slow"] < (0.3 if strategy in LEARNING else 0.6)
    assert later["healthy"] > (0.65 if strategy in LEARNING else 0.35)


@pytest.mark.parametrize("strategy", ["p2c", "least-latency"])
async def test_simulation_can_be_repeated(strategy: str, replay: Replay, anyio_backend: object) -> None:
    """
    The same seed gives the same calls at the same instances at the same times; another one does not.
    """
    replay(1)
    first = await simulate(strategy, seed=1, length=600)

    replay(1)
    assert first == await simulate(strategy, seed=1, length=600)
    assert first != await simulate(strategy, seed=2, length=600)
