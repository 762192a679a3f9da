"""
Instances that die, hang or never come up, in virtual time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from remora import ConnectionLost, HealthStatus, Manager, ReloadOptions, RemoraError, Unavailable
from remora._fleet._closing import cut
from remora.types import InstanceFailed, InstanceLost, InstanceReady, InstanceStopped
from tests.core.hosts import Observer, PlainChannel, Stranger, Text, bench, strange

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


class Mortal(PlainChannel):
    """
    A channel that ends by itself.
    """

    def __init__(self, after: float, outcome: Callable[[], Any] = lambda: ConnectionLost("it is gone")) -> None:
        self._after = after
        self._outcome = outcome

    async def wait_closed(self) -> RemoraError | None:
        """
        Wait for the end.
        """
        await anyio.sleep(self._after)
        return self._outcome()  # type: ignore[no-any-return]


def living(*lives: float) -> Callable[[int], Any]:
    """
    Channels that live so long, one after the other; the last life is that of all that follow.
    """

    @asynccontextmanager
    async def opens(attempt: int) -> AsyncIterator[Mortal]:
        yield Mortal(lives[min(attempt, len(lives)) - 1])

    return opens


@asynccontextmanager
async def never(attempt: int) -> AsyncIterator[PlainChannel]:
    """
    Fails to open at once.
    """
    raise Unavailable("exits at once")
    yield PlainChannel()


def only(observer: Observer, kind: type) -> list[Any]:
    """
    The events of one kind.
    """
    return [event for event in observer.events if type(event) is kind]


async def test_a_lost_instance_comes_back() -> None:
    """
    Calls that come meanwhile wait for it.
    """
    observer = Observer()
    async with Manager(strange(), extensions=[Stranger(living(20, 3600)), observer]) as manager:
        await anyio.sleep(20.05)
        started = anyio.current_time()
        await manager.plugin("p", Text, Text).execute(Text())

        (lost,) = only(observer, InstanceLost)
        assert "it is gone" == lost.cause
        assert 0.16 <= lost.retry_in <= 0.24
        assert pytest.approx(lost.retry_in - 0.05) == anyio.current_time() - started
        assert [1, 2] == [event.starts for event in only(observer, InstanceReady)]


async def test_a_crashed_plugin_fails_its_calls_and_comes_back() -> None:
    """
    Over the memory transport.
    """
    observer = Observer()
    async with bench(observer) as b, anyio.create_task_group() as group:
        errors: list[RemoraError] = []

        async def ask() -> None:
            with pytest.raises(RemoraError) as caught:
                await b.call("hold", request_id="r")
            errors.append(caught.value)

        group.start_soon(ask)
        await b.service.entered.wait()
        b.transport.crash("p")
        await anyio.sleep(1)

        assert [(ConnectionLost, "p", "memory:p", "r")] == [
            (type(error), error.plugin, error.instance, error.request_id) for error in errors
        ]
        with pytest.raises(Unavailable, match="nothing listens at memory:p .next try in"):
            await b.call()


async def test_a_server_that_is_away_is_tried_for_ever() -> None:
    """
    With pauses that double up to five seconds; it is never left alone.
    """
    observer = Observer()
    async with Manager(strange(), extensions=[Stranger(never), observer]):
        await anyio.sleep(600)

    pauses = [event.retry_in for event in only(observer, InstanceLost)]
    assert [] == only(observer, InstanceFailed)
    for number, expected in enumerate([0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5]):
        assert 0.8 * expected <= pauses[number] <= 1.2 * expected
    assert len(pauses) > 100


async def test_a_crash_loop_ends_in_being_left_alone() -> None:
    """
    After five failures within a minute, for five minutes; then it begins anew.
    """
    observer, stranger = Observer(), Stranger(never, launches=True)
    async with Manager(strange(), extensions=[stranger, observer]) as manager:
        await anyio.sleep(60)
        (failed,) = only(observer, InstanceFailed)
        assert 300 == failed.retry_in
        assert 5 == stranger.attempts
        with pytest.raises(Unavailable, match="exits at once") as caught:
            await manager.plugin("p", Text, Text).execute(Text())
        assert caught.value.retry_after is not None
        assert 200 < caught.value.retry_after < 300

        await anyio.sleep(300)
        assert 10 == stranger.attempts
        assert 2 == len(only(observer, InstanceFailed))


async def test_a_crash_loop_stop_ends_by_itself_after_five_minutes() -> None:
    """
    To the second: until then nothing is started and calls fail at once, from then on the plugin serves.
    """

    @asynccontextmanager
    async def mended_later(attempt: int) -> AsyncIterator[PlainChannel]:
        if attempt <= 5:
            raise Unavailable("exits at once", sent=False)
        yield PlainChannel()

    observer, stranger = Observer(), Stranger(mended_later, launches=True)
    async with Manager(strange(), extensions=[stranger, observer]) as manager:
        plugin = manager.plugin("p", Text, Text)
        while not only(observer, InstanceFailed):
            await anyio.sleep(0.01)
        stopped = anyio.current_time()
        await anyio.sleep(298)
        with pytest.raises(Unavailable, match="exits at once"):
            await plugin.execute(Text(), timeout=1)
        assert (5, pytest.approx(298, abs=1.1)) == (stranger.attempts, anyio.current_time() - stopped)
        await anyio.sleep(stopped + 300.1 - anyio.current_time())

        assert Text("x") == await plugin.execute(Text("x"))
        assert (6, 1) == (stranger.attempts, len(only(observer, InstanceReady)))


async def test_deaths_after_short_stable_runs_are_a_crash_loop_too() -> None:
    """
    Five within a minute are five within a minute.
    """
    observer, stranger = Observer(), Stranger(living(11), launches=True)
    async with Manager(strange(), extensions=[stranger, observer]):
        await anyio.sleep(60)

    assert 1 == len(only(observer, InstanceFailed))


async def test_a_plugin_that_dies_as_soon_as_it_is_up_is_a_crash_loop_too() -> None:
    """
    It is not started again before the pause that is told, and then left alone.
    """
    observer, stranger = Observer(), Stranger(living(0.01), launches=True)
    async with Manager(strange(), extensions=[stranger, observer]):
        await anyio.sleep(0.1)
        assert 1 == stranger.attempts
        await anyio.sleep(200)

    assert (5, 4, 1) == (stranger.attempts, len(only(observer, InstanceLost)), len(only(observer, InstanceFailed)))


async def test_a_reload_does_not_wait_for_what_is_left_alone() -> None:
    """
    No start comes any more in the time that it may wait.
    """
    observer, stranger = Observer(), Stranger(never, launches=True)
    async with Manager({}, extensions=[stranger, observer]) as manager:
        start = anyio.current_time()
        report = await manager.reload(strange(), ReloadOptions(health_check_timeout=100))

        assert (False, "plugin 'p': strange:p has failed: exits at once") == (report.applied, str(report.error))
        assert (5, True) == (stranger.attempts, anyio.current_time() - start < 10)


async def test_restart_wakes_what_was_left_alone() -> None:
    """
    And forgets its failures.
    """
    observer, stranger = Observer(), Stranger(never, launches=True)
    async with Manager(strange(), extensions=[stranger, observer]) as manager:
        await anyio.sleep(60)
        manager.restart("p")
        await anyio.sleep(60)

        assert 10 == stranger.attempts
        assert 2 == len(only(observer, InstanceFailed))


async def test_the_backoff_begins_anew_after_a_stable_run() -> None:
    """
    A short run does not count.
    """
    observer = Observer()
    async with Manager(strange(), extensions=[Stranger(living(1, 1, 1, 100, 3600)), observer]):
        await anyio.sleep(200)

    pauses = [event.retry_in for event in only(observer, InstanceLost)]
    for pause, expected in zip(pauses, [0.2, 0.4, 0.8, 0.2], strict=True):
        assert 0.8 * expected <= pause <= 1.2 * expected


async def test_a_transport_that_hangs_in_opening_is_given_up() -> None:
    """
    A second after the time that is configured.
    """

    @asynccontextmanager
    async def hanging(attempt: int) -> AsyncIterator[PlainChannel]:
        await anyio.sleep_forever()
        yield PlainChannel()

    observer = Observer()
    config = strange(connection={"connection_timeout": 4}, retry={"max_retries": 0})
    async with Manager(config, extensions=[Stranger(hanging), observer]) as manager:
        started = anyio.current_time()
        with pytest.raises(Unavailable, match="not ready after 5 s"):
            await manager.plugin("p", Text, Text).execute(Text())

        assert 5 == pytest.approx(anyio.current_time() - started)
        assert "not ready after 5 s" == only(observer, InstanceLost)[0].cause


async def test_a_transport_that_ignores_that_its_time_is_over_is_given_up_too() -> None:
    """
    What it has opened after all is closed, and tried again after a pause.
    """

    @asynccontextmanager
    async def late(attempt: int) -> AsyncIterator[PlainChannel]:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(10)
        yield PlainChannel()

    observer, stranger = Observer(), Stranger(late)
    async with Manager(strange(connection={"connection_timeout": 4}), extensions=[stranger, observer]):
        await anyio.sleep(60)

    assert {"not ready after 5 s"} == {event.cause for event in only(observer, InstanceLost)}
    assert not only(observer, InstanceReady)
    assert 4 <= stranger.attempts <= 6


async def test_an_instance_is_closed_in_the_middle_of_a_probe() -> None:
    """
    Its answer is not waited for.
    """

    class Silent(PlainChannel):
        async def probe(self) -> HealthStatus:
            return await anyio.sleep_forever()

    @asynccontextmanager
    async def silent(attempt: int) -> AsyncIterator[PlainChannel]:
        yield Silent()

    observer = Observer()
    async with Manager(strange(), extensions=[Stranger(silent), observer]) as manager:
        await anyio.sleep(1)
        started = anyio.current_time()
        await manager.unregister("p")

        assert started == anyio.current_time()
        assert only(observer, InstanceStopped)


@asynccontextmanager
async def _raises(attempt: int) -> AsyncIterator[PlainChannel]:
    raise KeyError("junk")
    yield PlainChannel()


@asynccontextmanager
async def _groups(attempt: int) -> AsyncIterator[PlainChannel]:
    async with anyio.create_task_group():
        raise KeyError("junk")
    yield PlainChannel()


@asynccontextmanager
async def _groups_more(attempt: int) -> AsyncIterator[PlainChannel]:
    raise ExceptionGroup("junk", [KeyError(1), KeyError(2)])
    yield PlainChannel()


def _not_even_a_context(attempt: int) -> Any:
    raise RuntimeError("junk")


@asynccontextmanager
async def _fails_when_cancelled(attempt: int) -> AsyncIterator[PlainChannel]:
    async def fail() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise KeyError("junk")

    async with anyio.create_task_group() as group:
        group.start_soon(fail)
        await anyio.sleep_forever()
        yield PlainChannel()


@asynccontextmanager
async def _ends_with_junk(attempt: int) -> AsyncIterator[PlainChannel]:
    yield Mortal(0.1, lambda: "junk")


@asynccontextmanager
async def _watching_fails(attempt: int) -> AsyncIterator[PlainChannel]:
    def fail() -> Any:
        raise KeyError("junk")

    yield Mortal(0.1, fail)


STRANGERS = [
    _raises,
    _groups,
    _groups_more,
    _not_even_a_context,
    _fails_when_cancelled,
    _ends_with_junk,
    _watching_fails,
]


@pytest.mark.parametrize("opens", STRANGERS)
async def test_a_strangers_transport_hurts_only_its_own_plugin(
    opens: Callable[[int], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """
    It is tried again and again, and its distribution is in the log; the others answer.
    """
    observer, stranger = Observer(), Stranger(opens)
    quick = {"connection_timeout": 1}
    beside = {"s": {"endpoint": "strange:s", "connection": quick}}
    async with bench(stranger, observer, connection=quick, beside=beside) as b:
        await anyio.sleep(60)

        assert "hello" == await b.call()
        assert stranger.attempts > 3
        assert only(observer, InstanceLost)
    if opens is not _ends_with_junk:
        assert "the transport of Stranger (passed to the manager) failed" in caplog.text


@pytest.mark.parametrize("opens", STRANGERS)
async def test_a_strangers_transport_does_not_spoil_a_cancellation(opens: Callable[[int], Any]) -> None:
    """
    The manager is cancelled in the middle of whatever it does.
    """
    with anyio.move_on_after(3.3) as scope:
        async with Manager(strange(), extensions=[Stranger(opens)]):
            await anyio.sleep_forever()

    assert scope.cancelled_caught


async def test_calls_meet_no_instance_that_is_closing() -> None:
    """
    While a dead one is cleaned up they go to another one.
    """

    @asynccontextmanager
    async def slow(attempt: int) -> AsyncIterator[PlainChannel]:
        if attempt == 1:
            yield Mortal(1)
            await anyio.sleep(5)
        else:
            yield PlainChannel()

    async with Manager(strange(instances=2), extensions=[Stranger(slow)]) as manager:
        plugin = manager.plugin("p", Text, Text)
        await anyio.sleep(2)
        answers: list[Awaitable[Text]] = [plugin.execute(Text(str(number))) for number in range(4)]

        assert ["0", "1", "2", "3"] == [(await answer).text for answer in answers]


async def test_a_manager_ends_at_once_although_an_instance_is_to_be_opened_when_it_has_closed() -> None:
    """
    Also when it is cancelled: nobody waits for what has never begun.
    """
    closing = anyio.Event()

    @asynccontextmanager
    async def slow(attempt: int) -> AsyncIterator[PlainChannel]:
        yield PlainChannel()
        closing.set()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)

    with anyio.CancelScope() as scope:
        async with Manager(strange(), extensions=[Stranger(slow)]) as manager:
            await manager.plugin("p", Text, Text).execute(Text())
            fleet = manager._fleet
            async with anyio.create_task_group() as group:
                group.start_soon(cut, fleet, fleet["p"])
                await closing.wait()
                manager.restart("p")
                began = anyio.current_time()
                await anyio.sleep(1)
                scope.cancel()

    assert anyio.current_time() - began < 11
