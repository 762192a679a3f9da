"""
Health of things that are no plugins: the application's own checkers, each asked in a loop of its own.

What lives here: the loops, and telling who wants to know. What must not: what a checker does when it is asked.
"""

from __future__ import annotations

import logging
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Self

import anyio

from remora._checker import Check, ask
from remora._frozen import dataclass
from remora.errors import ConfigError
from remora.policy import HealthCheckConfig, HealthState
from remora.types import Event, HealthStatus, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from anyio.abc import TaskGroup

    from remora._checker import Checker

__all__ = ["CheckChanged", "HealthMonitor"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckChanged(Event):
    """
    What a checker of a `HealthMonitor` looks after has changed its health.
    """

    name: str
    before: Status
    after: Status
    cause: str


class HealthMonitor:
    """
    Checkers that are asked again and again while the context lasts::

        async def database() -> bool:
            return await pool.fetchval("select 1") == 1

        async with HealthMonitor() as monitor:
            monitor.add("database", database, interval=10)
            ...
            print(monitor.overall().status)

    Args:
        rng: The source of chance that keeps checks from falling together.
    """

    def __init__(self, *, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._checks: dict[str, Check] = {}
        self._observers: list[Callable[[CheckChanged], object]] = []
        self._group: TaskGroup | None = None
        self._is_running = False

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise ConfigError("a health monitor can be entered only once")
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._is_running = True
        for check in self._checks.values():
            self._group.start_soon(self._keep_checking, check)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._group is not None
        self._is_running = False
        self._group.cancel_scope.cancel()
        # without the body's exception, so that it leaves as it is and not in a group
        await self._group.__aexit__(None, None, None)

    def add(
        self, name: str, checker: Checker, *, interval: float = 30.0, timeout: float = 5.0, failure_limit: int = 3
    ) -> None:
        """
        Add a checker; inside the context it is asked at once, and from then on in its interval.

        Args:
            name: What it looks after.
            checker: An async callable. True or None is healthy, False or an exception a failure; it may also return a
                `Status` or a whole `HealthStatus`.
            interval: Seconds between checks, give or take a tenth; fewer while it is open how things are.
            timeout: Seconds that a check may take.
            failure_limit: Failures in a row after which the verdict is offline instead of unhealthy.

        Raises:
            ConfigError: The name is taken, or a number makes no sense.
        """
        if name in self._checks:
            raise ConfigError(f"a checker {name!r} has been added already; remove it first")
        try:
            config = HealthCheckConfig(interval=interval, timeout=timeout, failure_limit=failure_limit)
        except ValueError as error:
            raise ConfigError(f"checker {name!r}: {error}") from error
        check = self._checks[name] = Check(name, checker, timeout, HealthState(config, rng=self._rng))
        if self._group is not None and self._is_running:
            self._group.start_soon(self._keep_checking, check)

    def remove(self, name: str) -> None:
        """
        Remove a checker. A check of it that is under way says nothing any more.

        Raises:
            ConfigError: There is none of that name.
        """
        check = self._find(name)
        del self._checks[name]
        if check.scope is not None:
            check.scope.cancel()

    def on_change(self, observer: Callable[[CheckChanged], object]) -> None:
        """
        Have an observer told of every change from now on. It must not block; what it raises is logged.
        """
        self._observers.append(observer)

    def status(self) -> dict[str, HealthStatus]:
        """
        What is known, by name.
        """
        return {name: check.health() for name, check in self._checks.items()}

    def overall(self) -> HealthStatus:
        """
        One verdict on everything: healthy when all is, else degraded, naming what is not.
        """
        known = self.status()
        ill = [f"{name} is {health.status}" for name, health in known.items() if health.status is not Status.HEALTHY]
        checks = [health.last_check for health in known.values() if health.last_check is not None]
        message = "; ".join(ill) or "all checks pass"
        return HealthStatus(status=_verdict(known, len(ill)), message=message, last_check=max(checks, default=None))

    async def check(self, name: str) -> HealthStatus:
        """
        What a checker says now. It counts as any check of its loop.

        Raises:
            ConfigError: There is none of that name.
        """
        check = self._find(name)
        await self._ask(check)
        return check.health()

    async def _keep_checking(self, check: Check) -> None:
        with anyio.CancelScope() as check.scope:
            while self._checks.get(check.name) is check:
                await self._ask(check)
                await anyio.sleep(check.state.next_check())

    async def _ask(self, check: Check) -> None:
        async with check.lock:
            await ask(check, partial(self._judge, check))

    def _judge(self, check: Check, health: HealthStatus, seconds: float | None = None) -> None:
        if self._checks.get(check.name) is not check:
            return
        change = check.judge(health, seconds)
        if change is None:
            return
        event = CheckChanged(
            time=time.time(), name=check.name, before=change.before, after=change.after, cause=change.cause
        )
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception:  # the application's observer may raise anything
                _log.exception("an observer of the health monitor failed")

    def _find(self, name: str) -> Check:
        try:
            return self._checks[name]
        except KeyError:
            known = ", ".join(map(repr, self._checks)) or "none"
            raise ConfigError(f"no checker {name!r} has been added; there are: {known}") from None


def _verdict(known: Mapping[str, HealthStatus], ill: int) -> Status:
    if not ill:
        return Status.HEALTHY
    if ill < len(known):
        return Status.DEGRADED
    return Status.UNKNOWN if all(each.status is Status.UNKNOWN for each in known.values()) else Status.UNHEALTHY
