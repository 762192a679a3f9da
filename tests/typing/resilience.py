"""
Balancing, monitoring and policies as an application uses them. Never run; mypy and pyright check that no suppression is
needed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import assert_type

from remora import CheckChanged, HealthMonitor, HealthStatus, Manager, Status
from remora.policy import Chance, Dice, Retry, RetryConfig
from remora_balancers import LoadBalancer, PluginStats


@dataclass(frozen=True)
class Question:
    """
    A request.
    """

    text: str


@dataclass(frozen=True)
class Answer:
    """
    A response.
    """

    text: str


class Local:
    """
    Something of one's own beside the handles.
    """

    async def execute(self, request: Question) -> Answer:
        """
        Answer without options.
        """
        return Answer(request.text)


async def balance(manager: Manager) -> Answer:
    """
    Handles and other objects side by side.
    """
    balancer = LoadBalancer[Question, Answer]("least-latency")
    balancer.add("remote", manager.plugin("remote", Question, Answer), weight=80, priority=2)
    balancer.add("local", Local())
    assert_type(balancer.stats(), dict[str, PluginStats])
    return assert_type(await balancer.execute(Question("?"), timeout=2, hash_key="me"), Answer)


async def is_up() -> bool:
    """
    The shortest kind of checker.
    """
    return True


async def reaches() -> None:
    """
    A checker that only may fail.
    """


async def degrees() -> Status:
    """
    A checker that knows degrees.
    """
    return Status.DEGRADED


async def tells() -> HealthStatus:
    """
    A checker that tells more.
    """
    return HealthStatus(status=Status.HEALTHY, message="fine")


def announce(change: CheckChanged) -> None:
    """
    An observer.
    """
    print(change.name, change.before, change.after, change.cause)


async def watch() -> HealthStatus:
    """
    All kinds of checkers.
    """
    async with HealthMonitor() as monitor:
        monitor.on_change(announce)
        monitor.add("up", is_up, interval=10, timeout=2, failure_limit=2)
        monitor.add("reaches", reaches)
        monitor.add("degrees", degrees)
        monitor.add("tells", tells)
        assert_type(monitor.status(), dict[str, HealthStatus])
        monitor.remove("up")
        await monitor.check("tells")
        return monitor.overall()


def retries(seed: int) -> list[Retry]:
    """
    A policy takes its chance from the standard library's source, from a small one, or from anything like them.
    """
    sources: list[Chance] = [random.Random(seed), Dice(seed)]
    return [Retry(RetryConfig(), rng=each) for each in sources]
