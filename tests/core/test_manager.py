"""
The life of a manager: entering, changing while it runs, leaving, whatever strangers and bodies raise. In virtual time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import pytest

from remora import (
    Cancelled,
    ConfigError,
    DrainTimeout,
    Endpoint,
    ExtensionError,
    InterceptorSpec,
    InvalidReply,
    Manager,
    ManagerClosed,
    PluginConfig,
    PluginError,
    PluginNotFound,
    RemoraError,
    Status,
    Unavailable,
    hookimpl,
)
from remora.testing import MemoryTransport
from remora.types import Event, HealthChanged, InstanceReady, InstanceStopped, ManagerStarted, ManagerStopped
from tests.core.hosts import Observer, PlainChannel, Stranger, Text, bench, strange

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


@asynccontextmanager
async def plain(attempt: int) -> AsyncIterator[PlainChannel]:
    """
    Opens at once.
    """
    yield PlainChannel()


@asynccontextmanager
async def hanging(attempt: int) -> AsyncIterator[PlainChannel]:
    """
    Never opens.
    """
    await anyio.sleep_forever()
    yield PlainChannel()


async def test_an_error_of_the_body_leaves_as_it_is() -> None:
    """
    Not in a group.
    """
    error = LookupError("of the body")
    with pytest.raises(LookupError) as caught:
        async with bench():
            raise error

    assert error is caught.value
    assert error.__context__ is None


async def test_a_group_of_the_body_leaves_as_it_is() -> None:
    """
    With nothing added.
    """
    group = ExceptionGroup("of the body", [LookupError(), ValueError()])
    with pytest.raises(ExceptionGroup) as caught:
        async with bench():
            raise group

    assert group is caught.value


async def test_a_manager_is_entered_once() -> None:
    """
    A second time it says so.
    """
    async with bench() as b:
        with pytest.raises(ManagerClosed, match="only once"):
            await b.manager.__aenter__()
    with pytest.raises(ManagerClosed, match="only once"):
        await b.manager.__aenter__()


async def test_a_builder_that_fails_leaves_nothing_behind() -> None:
    """
    The manager is not entered, what it had started is closed, and the extension is named.
    """

    @dataclass(frozen=True)
    class Broken:
        @hookimpl
        def remora_register_interceptors(self) -> list[InterceptorSpec]:
            return [InterceptorSpec("broken", self.build)]

        def build(self, plugin: str) -> None:
            if plugin == "q":
                raise OSError("no licence")

    config = {"plugins": {"p": {"endpoint": "strange:p"}, "q": {"endpoint": "strange:q"}}}
    stranger, observer = Stranger(plain), Observer()
    with pytest.raises(ExtensionError, match="the interceptor 'broken' of .*Broken .* cannot be built: OSError"):
        await Manager(config, extensions=[stranger, observer, Broken()]).__aenter__()

    assert ["InstanceStopped", "ManagerStopped"] == list(observer.names())
    assert 0 == stranger.attempts


async def test_events_come_in_order() -> None:
    """
    From the first to the last.
    """
    observer = Observer()
    async with bench(observer) as b:
        await b.call()

    life = [type(each) for each in observer.events if not isinstance(each, HealthChanged)]
    assert [ManagerStarted, InstanceReady, InstanceStopped, ManagerStopped] == life
    assert ("p", "memory:p") == (observer.events[1].plugin, observer.events[1].instance)
    assert ("p",) == observer.events[0].plugins


async def test_an_observer_that_fails_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """
    Its extension is named in the log.
    """

    class Failing:
        @hookimpl
        def remora_event(self, event: Event) -> None:
            raise ValueError("bad observer")

    observer = Observer()
    async with bench(Failing(), observer) as b:
        await b.call()

    assert "ManagerStopped" == observer.names()[-1]
    assert "Failing (passed to the manager) failed" in caplog.text


async def test_a_subscriber_sees_events_until_the_manager_stops() -> None:
    """
    Then its iteration ends.
    """
    seen: list[str] = []
    async with anyio.create_task_group() as group:
        async with bench() as b:

            async def subscribe(*, task_status: anyio.abc.TaskStatus[None]) -> None:
                with b.manager.events() as events:
                    task_status.started()
                    async for event in events:
                        seen.extend([type(event).__name__] if not isinstance(event, HealthChanged) else [])

            await group.start(subscribe)
            await b.call()
        with anyio.fail_after(5), b.manager.events() as late:
            assert [] == [event async for event in late]

    assert ["InstanceReady", "InstanceStopped", "ManagerStopped"] == seen


async def test_a_slow_subscriber_loses_events_and_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """
    That it does is in the log.
    """
    async with bench() as b:
        await b.call()
        with b.manager.events() as events:
            for _ in range(1100):
                b.manager.restart("p")
                await b.call()

            assert "a subscriber is too far behind and misses" in caplog.text
            assert (await anext(events)).plugin == "p"  # type: ignore[attr-defined]


async def test_a_subscriber_that_closes_its_end_hurts_nobody() -> None:
    """
    Its iterator is a stream.
    """
    async with bench() as b:
        await b.call()
        with b.manager.events() as events:
            await events.aclose()  # type: ignore[attr-defined]
            b.manager.restart("p")
            assert "hello" == await b.call()


async def test_shutdown_lets_calls_end() -> None:
    """
    Before it closes anything.
    """
    answers: list[str] = []
    async with anyio.create_task_group() as group:
        async with bench() as b:

            async def ask() -> None:
                answers.append(await b.call("hold"))

            async def release_later() -> None:
                await anyio.sleep(5)
                b.service.release.set()

            group.start_soon(ask)
            await b.service.entered.wait()
            group.start_soon(release_later)
            assert 1 == b.manager.active_requests("p")

    assert ["hello"] == answers


async def test_shutdown_ends_calls_that_take_too_long() -> None:
    """
    With a typed error.
    """
    errors: list[RemoraError] = []
    async with anyio.create_task_group() as group:
        async with bench() as b:

            async def ask() -> None:
                with pytest.raises(RemoraError) as caught:
                    await b.call("hold")
                errors.append(caught.value)

            group.start_soon(ask)
            await b.service.entered.wait()
            started = anyio.current_time()

    assert [Cancelled] == [type(error) for error in errors]
    assert 10 == pytest.approx(anyio.current_time() - started)


async def test_a_call_that_waits_for_a_start_ends_at_shutdown() -> None:
    """
    It does not wait for its deadline.
    """
    errors: list[RemoraError] = []
    async with anyio.create_task_group() as group:
        async with Manager(strange(connection={"connection_timeout": 3600}), extensions=[Stranger(hanging)]) as manager:
            plugin = manager.plugin("p", Text, Text)

            async def ask() -> None:
                with pytest.raises(RemoraError) as caught:
                    await plugin.execute(Text())
                errors.append(caught.value)

            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()

    assert [Cancelled] == [type(error) for error in errors]


async def test_leaving_while_an_instance_starts_takes_no_time() -> None:
    """
    The start is called off.
    """
    async with Manager(strange(), extensions=[Stranger(hanging)]):
        await anyio.wait_all_tasks_blocked()
        started = anyio.current_time()

    assert started == pytest.approx(anyio.current_time())


async def test_leaving_at_once_opens_nothing() -> None:
    """
    What was not begun need not be ended.
    """
    stranger = Stranger(plain)
    async with Manager(strange(), extensions=[stranger]):
        pass

    assert stranger.attempts <= 1


async def test_a_cancelled_manager_leaves_in_order() -> None:
    """
    Cancellation is no error, everything is closed, and everybody is told.
    """
    observer = Observer()
    with anyio.move_on_after(5) as scope:
        async with bench(observer) as b:
            await b.call()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert "ManagerStopped" == observer.names()[-1]
    assert "InstanceStopped" in observer.names()


async def test_a_transport_that_hangs_when_it_closes_is_cut_off() -> None:
    """
    After a time that has a bound.
    """

    @asynccontextmanager
    async def clinging(attempt: int) -> AsyncIterator[PlainChannel]:
        try:
            yield PlainChannel()
        finally:
            await anyio.sleep_forever()

    started = anyio.current_time()
    async with Manager(strange(), extensions=[Stranger(clinging)]) as manager:
        await manager.plugin("p", Text, Text).execute(Text())

    assert anyio.current_time() - started <= 60


async def test_a_transport_that_fails_when_it_closes_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """
    It is logged with its distribution.
    """

    @asynccontextmanager
    async def failing(attempt: int) -> AsyncIterator[PlainChannel]:
        try:
            yield PlainChannel()
        finally:
            raise ExceptionGroup("", [ValueError("one"), KeyError("two")])

    async with Manager(strange(), extensions=[Stranger(failing)]) as manager:
        await manager.plugin("p", Text, Text).execute(Text())

    assert "the transport of Stranger (passed to the manager) failed" in caplog.text


async def test_a_call_by_name_goes_where_the_configuration_says_now() -> None:
    """
    Although what it has found out about a method is remembered.
    """
    async with bench(method="echo") as b:
        for _ in range(2):
            assert Text("x") == await b.manager.execute("p", Text("x"), Text)
        await b.manager.reload({"plugins": {"p": {"endpoint": "memory:p", "method": "nothing"}}})
        with pytest.raises(PluginError, match="there is no method nothing"):
            await b.manager.execute("p", Text("x"), Text)
        assert Text("x") == await b.manager.execute("p", Text("x"), Text, method="echo")


async def test_a_type_that_cannot_be_remembered_is_refused_by_the_codec() -> None:
    """
    As in every other call, and not by whatever wanted to remember it.
    """
    async with bench(method="echo") as b:
        with pytest.raises(InvalidReply, match="unhashable"):
            await b.manager.execute("p", Text("x"), Annotated[Text, ["a list"]])  # type: ignore[arg-type]


async def test_a_plugin_can_be_added_and_taken_out() -> None:
    """
    While the manager runs, and again.
    """
    async with bench() as b:
        for _ in range(2):
            await b.manager.register(PluginConfig(name="q", endpoint="memory:p"))
            assert ["p", "q"] == b.manager.list_plugins()
            assert Text("x") == await b.manager.execute("q", Text("x"), Text, method="echo")
            await b.manager.unregister("q")
            with pytest.raises(PluginNotFound):
                b.manager.plugin("q", Text, Text)
        await b.manager.unregister("p")
        with pytest.raises(PluginNotFound):
            b.manager.plugin("p", Text, Text)


@pytest.mark.parametrize(
    "config",
    [
        PluginConfig(name="p", endpoint="memory:p"),
        PluginConfig(name="q"),
        PluginConfig(name="q", endpoint="nosuch:x"),
        PluginConfig(name="q", endpoint="memory:x", instances=0),
        PluginConfig(name="q", endpoint="memory:x", options={"x": 1}),
    ],
)
async def test_a_wrong_plugin_is_not_added(config: PluginConfig) -> None:
    """
    And changes nothing.
    """
    async with bench() as b:
        with pytest.raises(ConfigError):
            await b.manager.register(config)

        assert ["p"] == b.manager.list_plugins()
        assert "hello" == await b.call()


async def test_taking_a_plugin_out_lets_its_calls_end() -> None:
    """
    Unless that is not wanted.
    """
    answers: list[str] = []
    async with bench() as b, anyio.create_task_group() as group:

        async def ask() -> None:
            answers.append(await b.call("hold"))

        group.start_soon(ask)
        await b.service.entered.wait()
        group.start_soon(b.manager.unregister, "p")
        await anyio.wait_all_tasks_blocked()
        b.service.release.set()

    assert ["hello"] == answers


async def test_taking_a_plugin_out_twice_at_once_is_no_problem() -> None:
    """
    Both return when it is gone.
    """
    async with bench() as b:
        async with anyio.create_task_group() as group:
            group.start_soon(b.call, "hold")
            await b.service.entered.wait()
            group.start_soon(b.manager.unregister, "p")
            group.start_soon(b.manager.unregister, "p")
            await anyio.wait_all_tasks_blocked()
            b.service.release.set()

        assert [] == b.manager.list_plugins()


async def test_a_cancelled_unregister_does_not_keep_the_manager_from_leaving() -> None:
    """
    Whenever it is cancelled.
    """

    @asynccontextmanager
    async def slow(attempt: int) -> AsyncIterator[PlainChannel]:
        try:
            yield PlainChannel()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)

    observer = Observer()
    async with Manager(strange(), extensions=[Stranger(slow), observer]) as manager:
        await manager.plugin("p", Text, Text).execute(Text())
        with anyio.move_on_after(1):
            await manager.unregister("p")

    assert ["InstanceStopped", "ManagerStopped"] == list(observer.names())[-2:]


async def test_drain_says_how_many_calls_have_not_ended() -> None:
    """
    Within its time; later it may be asked again.
    """
    async with bench() as b, anyio.create_task_group() as group:
        group.start_soon(b.call, "hold")
        await b.service.entered.wait()

        with pytest.raises(DrainTimeout, match="1 call was still under way after 3 s") as caught:
            await b.manager.drain("p", 3)
        b.service.release.set()
        await b.manager.drain("p", 3)

        assert ("p", 1, 0) == (caught.value.plugin, caught.value.remaining, caught.value.cancelled)


async def test_after_the_end_nothing_can_be_started() -> None:
    """
    Each attempt says why.
    """
    async with bench() as b:
        pass

    with pytest.raises(ManagerClosed, match="shut down"):
        await b.manager.register(PluginConfig(name="q", endpoint="memory:q"))
    with pytest.raises(ManagerClosed, match="shut down"):
        b.manager.restart("p")
    with pytest.raises(ManagerClosed, match="shut down"):
        await b.manager.unregister("p")
    assert Status.HEALTHY != (await b.manager.health())["p"].status


async def test_before_the_start_there_is_no_health() -> None:
    """
    It would be a lie.
    """
    with pytest.raises(ManagerClosed, match="not been entered"):
        await Manager({}).health()


async def test_health_asks_every_plugin() -> None:
    """
    One verdict names those that are not well.
    """
    async with bench(beside={"q": {"endpoint": "memory:nowhere"}}) as b:
        await b.call()
        await anyio.wait_all_tasks_blocked()
        health, overall = await b.manager.health(), await b.manager.overall_health()

    assert ("healthy", "offline") == (health["p"].status, health["q"].status)
    assert ("degraded", "q is offline") == (overall.status, overall.message)


async def test_health_of_a_plugin_that_does_not_answer_is_unhealthy() -> None:
    """
    After a bounded time.
    """

    class Silent(PlainChannel):
        async def probe(self) -> Any:
            await anyio.sleep_forever()

    @asynccontextmanager
    async def silent(attempt: int) -> AsyncIterator[Silent]:
        yield Silent()

    async with Manager(strange(), extensions=[Stranger(silent)]) as manager:
        await manager.plugin("p", Text, Text).execute(Text())

        assert Status.UNHEALTHY == (await manager.health())["p"].status


async def test_info_is_what_the_plugin_says_or_the_configuration() -> None:
    """
    The methods come with it.
    """
    async with bench() as b:
        info = await b.manager.info("p")

    assert "Echo" == info.name
    assert {"echo", "hold", "sleep"} == {method.name for method in info.methods}

    async with Manager(strange(version="7"), extensions=[Stranger(plain)]) as manager:
        info = await manager.info("p")
    assert info.name in ("p", "")


async def test_instances_share_the_calls() -> None:
    """
    Each is a channel of its own.
    """
    stranger, observer = Stranger(plain), Observer()
    async with Manager(strange(instances=3), extensions=[stranger, observer]):
        await anyio.wait_all_tasks_blocked()

    assert 3 == stranger.attempts
    ready = [each.instance for each in observer.events if isinstance(each, InstanceReady)]
    assert ["strange:p#1", "strange:p#2", "strange:p#3"] == sorted(ready)


async def test_restart_makes_calls_wait_and_not_fail() -> None:
    """
    Also while the old channel still closes.
    """

    @asynccontextmanager
    async def slow(attempt: int) -> AsyncIterator[PlainChannel]:
        await anyio.sleep(1)
        try:
            yield PlainChannel()
        finally:
            await anyio.sleep(1)

    async with Manager(strange(), extensions=[Stranger(slow)]) as manager:
        plugin = manager.plugin("p", Text, Text)
        await plugin.execute(Text())
        manager.restart("p")
        await anyio.sleep(0.5)
        started = anyio.current_time()
        await plugin.execute(Text())

        assert 1.5 == pytest.approx(anyio.current_time() - started)


async def test_memory_addresses_are_taken_once() -> None:
    """
    And given back.
    """
    transport = MemoryTransport()

    async def answer(call: Any, peer: str) -> Any:
        raise NotImplementedError

    async with transport.listen(Endpoint("memory:p"), answer):
        with pytest.raises(Unavailable, match="is taken"):
            async with transport.listen(Endpoint("memory:p"), answer):
                pass
    async with transport.listen(Endpoint("memory:p"), answer):
        pass
