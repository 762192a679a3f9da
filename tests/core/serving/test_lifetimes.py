"""
Served objects that are context managers are entered before the first call, and left after the last one. In
virtual time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import anyio
import pytest

from remora import (
    ConfigError,
    ConnectionLost,
    Manager,
    PluginError,
    RemoraError,
    ServeOptions,
    Unavailable,
    serving,
)
from remora.serve import Served
from remora.testing import MemoryTransport
from remora.types import Call, Endpoint

VIRTUAL_TIME = True

pytestmark = pytest.mark.anyio


class Pool:
    """
    A service that notes what happens to it.
    """

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes
        self.waits = anyio.Event()

    async def __aenter__(self) -> object:
        await anyio.lowlevel.checkpoint()
        self.notes.append(f"{type(self).__name__} opens")
        return object()

    async def __aexit__(self, *exc: object) -> None:
        await anyio.lowlevel.checkpoint()
        self.notes.append(f"{type(self).__name__} closes {exc}")

    async def ask(self) -> str:
        """
        Note a call.
        """
        self.notes.append("call")
        return "answer"

    async def wait(self) -> None:
        """
        Wait for ever, and clean up for a second.
        """
        self.notes.append("waits")
        self.waits.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
            self.notes.append("waits no more")


class Second(Pool):
    """
    Another one.
    """


class Plain:
    """
    One that is a context manager, but not an asynchronous one.
    """

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def __enter__(self) -> None:
        self.notes.append("Plain opens")

    def __exit__(self, *exc: object) -> None:
        self.notes.append("Plain closes")

    def ask(self) -> str:
        """
        Be a method.
        """
        return ""


class Failing(Pool):
    """
    One that fails to start, in the way that it is told.
    """

    def __init__(self, notes: list[str], fail: Callable[[], object]) -> None:
        super().__init__(notes)
        self.fail = fail

    async def __aenter__(self) -> Self:
        self.fail()
        return self


class FailingAtTheEnd(Pool):
    """
    One that fails to end.
    """

    async def __aexit__(self, *exc: object) -> None:
        await super().__aexit__()
        raise OSError("no answer")


class Slow(Pool):
    """
    One that never ends.
    """

    async def __aexit__(self, *exc: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self.notes.append("Slow is cancelled")


class Busy(Pool):
    """
    One with background tasks in a group of its own.
    """

    async def __aenter__(self) -> Self:
        self.group = anyio.create_task_group()
        await self.group.__aenter__()
        self.group.start_soon(self.work)
        return self

    async def work(self) -> None:
        """
        Work until the end.
        """
        try:
            await anyio.sleep_forever()
        finally:
            self.notes.append("works no more")

    async def __aexit__(self, *exc: Any) -> None:
        self.group.cancel_scope.cancel()
        await self.group.__aexit__(*exc)
        self.notes.append("Busy closes")


def throwing(error: BaseException) -> Callable[[], object]:
    """
    A function that raises an error.
    """

    def throw() -> None:
        raise error

    return throw


@asynccontextmanager
async def served(*services: object, **options: Any) -> AsyncIterator[tuple[Served, Manager]]:
    """
    Objects that are served, and a manager that calls them.
    """
    memory = MemoryTransport()
    extensions = [memory.extension]
    async with serving(*services, listen="memory:s", extensions=extensions, options=ServeOptions(**options)) as found:
        config = {"plugins": {"s": {"endpoint": "memory:s", "service": "Pool"}}}
        async with Manager(config, extensions=extensions) as manager:
            yield found, manager


async def test_services_are_entered_in_order_and_left_in_reverse() -> None:
    """
    Before the first call, and after the last. The object itself is served, whatever it returns when it is entered.
    """
    notes = list[str]()
    with anyio.fail_after(5):
        async with served(Pool(notes), Plain(notes), Second(notes)) as (_, manager):
            assert "answer" == await manager.execute("s", None, str, method="ask")

    none = (None, None, None)
    assert ["Pool opens", "Plain opens", "Second opens", "call"] == notes[:4]
    assert [f"Second closes {none}", "Plain closes", f"Pool closes {none}"] == notes[4:]


async def test_a_service_that_cannot_start_is_named_and_those_before_it_are_left() -> None:
    """
    One error, of which the own one is the cause; nothing is served.
    """
    notes = list[str]()
    failing = Failing(notes, throwing(OSError("no\ndatabase")))
    with anyio.fail_after(5), pytest.raises(Unavailable) as caught:
        async with served(Pool(notes), failing, Second(notes)):
            notes.append("served")

    assert "Failing cannot start: OSError: no database" == str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert ["Pool opens", "Pool closes (None, None, None)"] == notes


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ConfigError("DATABASE is not set"), ConfigError, "DATABASE is not set"),
        (Unavailable("it is down"), Unavailable, "it is down"),
        (ExceptionGroup("", [ExceptionGroup("", [OSError("down")])]), Unavailable, "OSError: down"),
        (SystemExit("no database"), Unavailable, "SystemExit: no database"),
    ],
    ids=["own", "later", "group", "exit"],
)
async def test_what_a_service_raises_at_its_start_is_told_in_one_line(
    error: BaseException, kind: type[RemoraError], words: str
) -> None:
    """
    An error of Remora keeps what can be done about it.
    """
    with anyio.fail_after(5), pytest.raises(RemoraError) as caught:
        async with served(Failing([], throwing(error))):
            pass

    assert (kind, f"Failing cannot start: {words}") == (type(caught.value), str(caught.value))


async def test_an_address_that_cannot_be_served_is_found_before_a_service_starts() -> None:
    """
    And one that turns out to be taken ends the services.
    """
    notes = list[str]()
    memory = MemoryTransport()
    with pytest.raises(ConfigError):
        async with serving(Pool(notes), listen="nosuch:s"):
            pass
    assert [] == notes

    async with serving(Plain([]), listen="memory:s", extensions=[memory.extension]):
        with pytest.raises(Unavailable, match="taken"):
            async with serving(Pool(notes), listen="memory:s", extensions=[memory.extension]):
                pass
    assert ["Pool opens", "Pool closes (None, None, None)"] == notes


async def test_a_service_that_fails_to_end_is_named_after_all_have_ended(caplog: pytest.LogCaptureFixture) -> None:
    """
    The log has the traceback.
    """
    notes = list[str]()
    with anyio.fail_after(5), pytest.raises(PluginError) as caught:
        async with served(Pool(notes), FailingAtTheEnd(notes)):
            notes.clear()

    assert "FailingAtTheEnd has failed to end: OSError: no answer" == str(caught.value)
    assert ["FailingAtTheEnd closes ()", "Pool closes (None, None, None)"] == notes
    assert ["FailingAtTheEnd has failed to end"] == [each.getMessage() for each in caplog.records if each.exc_info]


async def test_an_error_of_the_program_leaves_as_it_is() -> None:
    """
    The services are not told of it.
    """
    notes = list[str]()
    with anyio.fail_after(5), pytest.raises(ZeroDivisionError):
        async with served(Pool(notes)):
            raise ZeroDivisionError
    assert "Pool closes (None, None, None)" == notes[-1]


async def test_calls_that_are_cut_off_have_ended_before_the_service_is_left() -> None:
    """
    Also over a transport that only cancels them.
    """
    notes = list[str]()
    memory = MemoryTransport()

    async def call() -> None:
        async with memory.open(Endpoint("memory:s")) as channel:
            with pytest.raises(ConnectionLost):
                await channel.call(Call(service="Pool", method="wait", payload=b"{}"))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            pool = Pool(notes)
            async with serving(pool, listen="memory:s", extensions=[memory.extension]):
                tasks.start_soon(call)
                await pool.waits.wait()

    assert ["Pool opens", "waits", "waits no more", "Pool closes (None, None, None)"] == notes


async def test_a_service_may_have_a_task_group_of_its_own() -> None:
    """
    It is entered and left in one task, and in one scope.
    """
    notes = list[str]()
    with anyio.fail_after(5):
        async with served(Busy(notes), Second(notes)):
            pass
    assert ["works no more", "Busy closes"] == notes[-2:]


async def test_a_service_that_does_not_end_is_cancelled_in_time(caplog: pytest.LogCaptureFixture) -> None:
    """
    The time is what there is for stopping, but at least two seconds; the services after it end as well.
    """
    notes = list[str]()
    async with served(Pool(notes), Slow(notes), drain_timeout=0):
        started = anyio.current_time()
    took = anyio.current_time() - started

    assert 2 == pytest.approx(took)
    assert ["Slow is cancelled", "Pool closes (None, None, None)"] == notes[-2:]
    assert ["Slow has not ended within 2 s, and was cancelled"] == [
        each.getMessage() for each in caplog.records if each.levelno == logging.ERROR
    ]


async def test_services_end_in_order_when_the_program_is_cancelled() -> None:
    """
    They get two seconds in which the cancellation does not reach them.
    """
    notes = list[str]()
    with anyio.fail_after(5), anyio.CancelScope() as scope:
        async with served(Pool(notes), Slow(notes)):
            started = anyio.current_time()
            scope.cancel()
            await anyio.sleep_forever()

    assert ["Slow is cancelled", "Pool closes (None, None, None)"] == notes[-2:]
    assert 2 == pytest.approx(anyio.current_time() - started)


async def test_a_start_that_is_cancelled_ends_what_has_started() -> None:
    """
    And raises nothing of its own.
    """
    notes = list[str]()
    with anyio.CancelScope() as scope:
        async with served(Pool(notes), Failing(notes, scope.cancel), Second(notes)):
            notes.append("served")

    assert ["Pool opens", "Failing closes (None, None, None)", "Pool closes (None, None, None)"] == notes
    assert scope.cancelled_caught


async def test_half_a_context_manager_is_a_mistake() -> None:
    """
    As it would be after `async with`.
    """

    class Half:
        async def __aenter__(self) -> None:
            pass

        async def ask(self) -> None:
            """
            Be a method.
            """

    with pytest.raises(ConfigError, match=r"Half has __aenter__, but no __aexit__; a service has both or none"):
        async with served(Half()):
            pass


async def test_an_async_function_of_the_wrong_name_is_a_mistake() -> None:
    """
    Nobody would await it.
    """

    class Odd:
        async def __enter__(self) -> None:
            pass

        def __exit__(self, *exc: object) -> None:
            pass

        async def ask(self) -> None:
            """
            Be a method.
            """

    with pytest.raises(Unavailable, match=r"Odd cannot start: TypeError: __enter__ is async; then its name is __aent"):
        async with served(Odd()):
            pass


async def test_a_task_of_its_own_that_was_cancelled_is_a_failure_like_others() -> None:
    """
    Although it raises the same as a cancellation does.
    """

    class Stray(Pool):
        async def __aenter__(self) -> object:
            raise asyncio.CancelledError

    with pytest.raises(Unavailable, match=r"Stray cannot start: CancelledError"):
        async with served(Stray([])):
            pass


async def test_a_plugin_without_a_host_never_ends_by_itself() -> None:
    """
    `Served.wait_closed` waits for what only a host does.
    """
    async with served(Plain([])) as (found, _):
        with anyio.move_on_after(3600) as scope:
            await found.wait_closed()
    assert scope.cancelled_caught
