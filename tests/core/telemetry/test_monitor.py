"""
The application's own checkers: when they are asked, what their answers mean, and what they cannot do to anybody.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import suppress

import anyio
import pytest

from remora import CheckChanged, ConfigError, HealthMonitor, HealthStatus, Status, Unavailable
from remora.testing import virtual_backends

pytestmark = pytest.mark.anyio

Answer = HealthStatus | Status | bool | None
BACKENDS = {name: (name, options) for name, options in virtual_backends()}


@pytest.fixture(scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """
    The same backends as everywhere, with virtual time.
    """
    return BACKENDS[request.param]


class Scripted:
    """
    A checker that gives one answer after the other, and remembers when it was asked.
    """

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers: Iterator[Answer | Exception] = iter(answers)
        self.times: list[float] = []
        self.last: Answer | Exception = None

    async def __call__(self) -> Answer:
        self.times.append(anyio.current_time())
        self.last = next(self.answers, self.last)
        if isinstance(self.last, Exception):
            raise self.last
        return self.last


def make() -> HealthMonitor:
    return HealthMonitor(rng=random.Random(3))


async def settle(seconds: float = 0.1) -> None:
    await anyio.sleep(seconds)


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (None, Status.HEALTHY, "a check passed"),
        (True, Status.HEALTHY, "a check passed"),
        (Status.HEALTHY, Status.HEALTHY, "the checker says healthy"),
        (Status.DEGRADED, Status.DEGRADED, "the checker says degraded"),
        (Status.UNKNOWN, Status.UNKNOWN, "the checker says unknown"),
        (HealthStatus(status=Status.DEGRADED, message="slow disk"), Status.DEGRADED, "slow disk"),
        (False, Status.UNHEALTHY, "the checker says no"),
        (Status.OFFLINE, Status.UNHEALTHY, "the checker says offline"),
        (Unavailable("nothing answers"), Status.UNHEALTHY, "nothing answers"),
        (ValueError("a bug"), Status.UNHEALTHY, "ValueError: a bug"),
        (ExceptionGroup("both", [ValueError("a bug")]), Status.UNHEALTHY, "ValueError: a bug"),
    ],
    ids=repr,
)
async def test_first_answer_is_the_verdict(answer: Answer, status: Status, message: str, anyio_backend: object) -> None:
    """
    It is asked as soon as the monitor runs.
    """
    async with make() as monitor:
        monitor.add("disk", Scripted(answer))
        await settle()
        health = monitor.status()["disk"]

    assert (status, message) == (health.status, health.message)
    assert health.last_check is not None


async def test_checker_that_is_not_async_is_a_failure_that_says_so(anyio_backend: object) -> None:
    """
    A function that only returns would block the event loop.
    """
    monitor = make()
    monitor.add("plain", lambda: True)  # type: ignore[arg-type, return-value]
    health = await monitor.check("plain")

    assert health.status is Status.UNHEALTHY
    assert health.message == "TypeError: a checker is an async function; this one returned bool"


async def test_wrong_answer_is_a_failure_that_says_what_is_right(anyio_backend: object) -> None:
    """
    A checker that forgets its type is no reason to trust it.
    """
    monitor = make()
    monitor.add("disk", Scripted("fine"))  # type: ignore[arg-type]
    health = await monitor.check("disk")

    assert health.status is Status.UNHEALTHY
    assert health.message == "TypeError: expected a HealthStatus, a Status, a bool or None, got str"


async def test_status_keeps_what_the_checker_tells_beside_the_verdict(anyio_backend: object) -> None:
    """
    And how long it took.
    """

    async def slow() -> HealthStatus:
        await anyio.sleep(2)
        return HealthStatus(status=Status.HEALTHY, message="fine", metadata={"free": "3 GiB"})

    monitor = make()
    monitor.add("disk", slow)
    health = await monitor.check("disk")

    assert ("fine", {"free": "3 GiB"}) == (health.message, health.metadata)
    assert health.response_time == pytest.approx(2)


async def test_checks_come_in_their_interval_give_or_take_a_tenth(anyio_backend: object) -> None:
    """
    Never in step: the jitter differs each time.
    """
    checker = Scripted(True)
    async with make() as monitor:
        monitor.add("disk", checker, interval=10)
        await anyio.sleep(3600)
    gaps = [later - earlier for earlier, later in zip(checker.times, checker.times[1:], strict=False)]

    assert 3600 / 11 <= len(gaps) <= 3600 / 9
    assert min(gaps) >= 8.99
    assert max(gaps) <= 11.01
    assert len(set(gaps)) > 300


async def test_failures_make_offline_and_two_successes_make_healthy(anyio_backend: object) -> None:
    """
    Each change is told once, with its cause.
    """
    changes: list[CheckChanged] = []
    async with make() as monitor:
        monitor.on_change(changes.append)
        monitor.add("disk", Scripted(True, False, OSError("gone"), False, True, True), failure_limit=3)
        await anyio.sleep(300)
        health = monitor.status()["disk"]

    assert health.status is Status.HEALTHY
    assert [
        (Status.UNKNOWN, Status.HEALTHY, "a check passed"),
        (Status.HEALTHY, Status.UNHEALTHY, "the checker says no"),
        (Status.UNHEALTHY, Status.OFFLINE, "the checker says no"),
        (Status.OFFLINE, Status.DEGRADED, "a check passed"),
        (Status.DEGRADED, Status.HEALTHY, "a check passed"),
    ] == [(change.before, change.after, change.cause) for change in changes]
    assert {"disk"} == {change.name for change in changes}


async def test_checker_that_hangs_has_failed_after_its_timeout(anyio_backend: object) -> None:
    """
    And is cancelled, and asked again.
    """
    async with make() as monitor:
        monitor.add("disk", anyio.sleep_forever, timeout=2, failure_limit=3)
        await anyio.sleep(1.9)
        before = monitor.status()["disk"].status
        await anyio.sleep(0.2)
        after = monitor.status()["disk"]
        await anyio.sleep(10)
        last = monitor.status()["disk"].status

    assert (Status.UNKNOWN, Status.UNHEALTHY, Status.OFFLINE) == (before, after.status, last)
    assert "no answer within 2 s" == after.message


async def test_checker_that_cannot_be_stopped_fails_again_and_again(anyio_backend: object) -> None:
    """
    As one does that waits for a thread. Its late answer counts for nothing.
    """

    async def stubborn() -> bool:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(7)
        return True

    async with make() as monitor:
        monitor.add("disk", stubborn, timeout=2, failure_limit=3)
        await anyio.sleep(6.1)
        during = monitor.status()["disk"].status
        await anyio.sleep(1)
        after = monitor.status()["disk"].status

    assert (Status.OFFLINE, Status.OFFLINE) == (during, after)


async def test_checker_that_swallows_its_cancellation_has_failed(anyio_backend: object) -> None:
    """
    What it returns too late is no answer.
    """

    async def deaf() -> bool:
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep_forever()
        return True

    monitor = make()
    monitor.add("disk", deaf, timeout=2)
    health = await monitor.check("disk")

    assert (Status.UNHEALTHY, "no answer within 2 s") == (health.status, health.message)


async def test_one_checker_that_hangs_delays_no_other(anyio_backend: object) -> None:
    """
    Each has its own loop.
    """
    fine = Scripted(True)
    async with make() as monitor:
        monitor.add("hangs", anyio.sleep_forever, interval=60, timeout=60)
        monitor.add("fine", fine, interval=5)
        await anyio.sleep(56)

    assert len(fine.times) >= 10


async def test_observer_that_raises_is_logged_and_harms_nobody(
    anyio_backend: object, caplog: pytest.LogCaptureFixture
) -> None:
    """
    The others are told.
    """
    changes: list[CheckChanged] = []

    def broken(change: CheckChanged) -> None:
        raise RuntimeError("an observer's bug")

    async with make() as monitor:
        monitor.on_change(broken)
        monitor.on_change(changes.append)
        monitor.add("disk", Scripted(True))
        with caplog.at_level(logging.ERROR, "remora.monitor"):
            await settle()

    assert 1 == len(changes)
    assert "an observer's bug" in caplog.text


async def test_removed_checker_is_asked_no_more(anyio_backend: object) -> None:
    """
    Also when it is removed before its loop has begun, and by its own answer.
    """
    early, late = Scripted(True), Scripted(True)
    async with make() as monitor:
        monitor.add("early", early, interval=10)
        monitor.add("never", late)
        monitor.remove("never")
        await settle()
        monitor.remove("early")
        await anyio.sleep(100)
        status = monitor.status()

    assert ({}, 1, 0) == (status, len(early.times), len(late.times))


async def test_check_under_way_of_a_removed_checker_says_nothing(anyio_backend: object) -> None:
    """
    Not even about one of the same name.
    """
    changes: list[CheckChanged] = []

    async def slow() -> bool:
        await anyio.sleep(3)
        return False

    async with make() as monitor:
        monitor.on_change(changes.append)
        monitor.add("disk", slow, interval=10)
        async with anyio.create_task_group() as group:
            group.start_soon(monitor.check, "disk")
            await settle()
            monitor.remove("disk")
            monitor.add("disk", Scripted(True), interval=10)
    assert [Status.HEALTHY] == [change.after for change in changes]


async def test_overall_names_what_is_not_healthy(anyio_backend: object) -> None:
    """
    Healthy when all is, unknown before anything is known, unhealthy when nothing is well.
    """
    monitor = make()
    verdicts = [monitor.overall()]
    monitor.add("disk", Scripted(True, False))
    monitor.add("mail", Scripted(False))
    verdicts.append(monitor.overall())
    for name in ["disk", "mail", "disk"]:
        await monitor.check(name)
        verdicts.append(monitor.overall())

    assert [Status.HEALTHY, Status.UNKNOWN, Status.DEGRADED, Status.DEGRADED, Status.UNHEALTHY] == [
        verdict.status for verdict in verdicts
    ]
    assert "mail is unhealthy" == verdicts[3].message
    assert "disk is unhealthy; mail is unhealthy" == verdicts[4].message


async def test_checkers_added_before_the_context_run_in_it(anyio_backend: object) -> None:
    """
    And stop with it, leaving the last verdicts to be read.
    """
    checker = Scripted(True)
    monitor = make()
    monitor.add("disk", checker)
    async with monitor:
        await settle()
    await anyio.sleep(100)
    monitor.add("mail", Scripted(True))

    assert Status.UNKNOWN is monitor.status()["mail"].status
    assert (1, Status.HEALTHY) == (len(checker.times), monitor.status()["disk"].status)


async def test_exception_of_the_body_leaves_as_it_is(anyio_backend: object) -> None:
    """
    Not in a group.
    """
    with pytest.raises(KeyError, match="mine"):
        async with make() as monitor:
            monitor.add("disk", anyio.sleep_forever)
            await settle()
            raise KeyError("mine")


async def test_body_that_is_cancelled_stops_the_checkers(anyio_backend: object) -> None:
    """
    The cancellation goes on to where it was meant.
    """
    with anyio.move_on_after(1) as scope:
        async with make() as monitor:
            monitor.add("disk", anyio.sleep_forever)
            await anyio.sleep_forever()

    assert scope.cancelled_caught


async def test_wrong_arguments_are_configuration_errors(anyio_backend: object) -> None:
    """
    Each names what is wrong and the accepted range.
    """
    monitor = make()
    monitor.add("disk", Scripted(True))
    wrong: list[tuple[dict[str, float], str]] = [
        ({"interval": 0}, "checker 'x': interval: expected a duration of more than 0 s"),
        ({"timeout": -1}, "checker 'x': timeout: expected a duration of more than 0 s"),
        ({"interval": 1}, "checker 'x': interval: expected at least timeout, 5 s, got 1"),
        ({"failure_limit": 0}, "checker 'x': failure_limit: expected a whole number of at least 1, got 0"),
    ]
    for arguments, message in wrong:
        with pytest.raises(ConfigError, match=message):
            monitor.add("x", Scripted(True), **arguments)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'disk' has been added already"):
        monitor.add("disk", Scripted(True))
    with pytest.raises(ConfigError, match="no checker 'mail' has been added; there are: 'disk'"):
        await monitor.check("mail")
    with pytest.raises(ConfigError, match="no checker 'mail'"):
        monitor.remove("mail")
    async with monitor:
        pass
    with pytest.raises(ConfigError, match="only once"):
        async with monitor:
            pass
