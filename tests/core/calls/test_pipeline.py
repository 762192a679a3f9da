"""
One call from start to finish, in virtual time over the memory transport or a stranger's.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest

from remora import (
    Call,
    CallOptions,
    CodecSpec,
    DeadlineExceeded,
    Draining,
    ExtensionError,
    InterceptorSpec,
    InvalidReply,
    InvalidRequest,
    Manager,
    ManagerClosed,
    PluginConfig,
    PluginDisabled,
    PluginError,
    PluginNotFound,
    RemoraError,
    Reply,
    Unavailable,
    hookimpl,
    serving,
)
from remora.testing import MemoryTransport
from tests.core.hosts import Echo, Observer, PlainChannel, Stranger, Text, bench, failure, strange

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


@dataclass
class Interceptors:
    """
    An extension with interceptors, by name and order.
    """

    by_name: dict[str, tuple[int, Any]]

    @hookimpl
    def remora_register_interceptors(self) -> list[InterceptorSpec]:
        """
        All of them.
        """
        return [InterceptorSpec(name, lambda _, each=each: each, order) for name, (order, each) in self.by_name.items()]


def intercepting(interceptor: Any) -> Interceptors:
    """
    An extension with one interceptor.
    """
    return Interceptors({"tenant": (0, interceptor)})


async def test_a_call_gets_its_own_answer() -> None:
    """
    The plain good case.
    """
    async with bench() as b:
        assert "hello" == await b.call()


async def test_each_reason_to_refuse_a_call_has_an_error_of_its_own() -> None:
    """
    Unknown, disabled, not entered, draining, shut down.
    """
    transport = MemoryTransport()
    config = {
        "plugins": {"p": {"endpoint": "memory:p"}, "off": {"endpoint": "memory:p", "enabled": False}},
    }
    manager = Manager(config, extensions=[transport.extension])
    options = CallOptions(timeout=1)

    async def refused(name: str) -> RemoraError:
        return await failure(manager.execute(name, Text(), Text, method="echo", options=options))

    early = await refused("p")
    async with manager:
        unknown, disabled = await refused("q"), await refused("off")
        handle = manager.plugin("p", Text, Text)
        await manager.drain("p", 1)
        draining = await refused("p")
    late, later = await refused("p"), await failure(handle.execute(Text()))
    await handle.close()
    closed = await failure(handle.execute(Text()))

    assert [ManagerClosed, PluginNotFound, PluginDisabled, Draining, ManagerClosed, ManagerClosed, ManagerClosed] == [
        type(error) for error in (early, unknown, disabled, draining, late, later, closed)
    ]
    assert "no plugin named 'q' is configured; there are: p" == str(unknown)
    assert "not been entered" in str(early)
    assert "shut down" in str(late)
    assert "handle is closed" in str(closed)


@pytest.mark.parametrize(("timeout", "configured", "expected"), [(5, "30s", 5), (60, "30s", 30), (None, "20s", 20)])
async def test_the_deadline_is_the_earliest_of_all(timeout: float | None, configured: str, expected: float) -> None:
    """
    What the caller allows and what is configured.
    """
    async with bench(connection={"request_timeout": configured}) as b:
        started = anyio.current_time()
        error = await failure(b.call("sleep", timeout=timeout))

        assert isinstance(error, DeadlineExceeded)
        assert expected == pytest.approx(anyio.current_time() - started)


async def test_a_handlers_own_calls_inherit_its_deadline() -> None:
    """
    Minus what has passed.
    """

    async with bench() as b:

        class Outer:
            async def ask(self, request: Text) -> Text:
                await anyio.sleep(3)
                return Text(await b.call("sleep", timeout=100))

        async with serving(Outer(), listen="memory:outer", extensions=[b.transport.extension]):
            await b.manager.register(PluginConfig(name="outer", endpoint="memory:outer"))
            started = anyio.current_time()
            error = await failure(b.manager.plugin("outer", Text, Text).execute(Text(), timeout=10))

            assert isinstance(error, DeadlineExceeded)
            assert "outer" == error.plugin
            assert 10 == pytest.approx(anyio.current_time() - started)


@pytest.mark.parametrize("timeout", [0, -1, math.nan, -math.inf])
async def test_an_impossible_timeout_is_an_error(timeout: float) -> None:
    """
    Before anything is sent.
    """
    async with bench() as b:
        error = await failure(b.call(timeout=timeout))

        assert isinstance(error, InvalidRequest)
        assert "positive number" in str(error)
        assert [] == b.service.seen


async def test_a_call_waits_for_a_start_inside_its_deadline() -> None:
    """
    Not longer.
    """

    @asynccontextmanager
    async def slowly(attempt: int) -> AsyncIterator[PlainChannel]:
        await anyio.sleep(8)
        yield PlainChannel()

    async with Manager(strange(), extensions=[Stranger(slowly)]) as manager:
        plugin = manager.plugin("p", Text, Text)
        started = anyio.current_time()
        error = await failure(plugin.execute(Text(), timeout=3))
        assert isinstance(error, DeadlineExceeded)
        assert error.sent is False
        assert 3 == pytest.approx(anyio.current_time() - started)
        assert Text("x") == await plugin.execute(Text("x"), timeout=6)


@pytest.mark.parametrize("start", ["eager", "lazy"])
async def test_a_thousand_callers_wait_for_one_start(start: str) -> None:
    """
    And all get their own answer, also where it is they who start it.
    """

    @asynccontextmanager
    async def slowly(attempt: int) -> AsyncIterator[PlainChannel]:
        await anyio.sleep(5)
        yield PlainChannel()

    stranger = Stranger(slowly, launches=True)
    answers: list[str] = []
    async with Manager(strange(start=start), extensions=[stranger]) as manager:
        plugin = manager.plugin("p", Text, Text)

        async def ask(number: int) -> None:
            answers.append((await plugin.execute(Text(str(number)))).text)

        async with anyio.create_task_group() as group:
            for number in range(1000):
                group.start_soon(ask, number)

    assert {str(number) for number in range(1000)} == set(answers)
    assert 1 == stranger.attempts


async def test_where_nothing_answers_the_error_says_when_to_try_again() -> None:
    """
    At once, not after the call's time.
    """
    transport = MemoryTransport()
    config = {"plugins": {"p": {"endpoint": "memory:p", "retry": {"max_retries": 0}}}}
    async with Manager(config, extensions=[transport.extension]) as manager:
        error = await failure(manager.plugin("p", Text, Text).execute(Text()))

        assert isinstance(error, Unavailable)
        assert "nothing listens at memory:p" in str(error)
        assert error.retry_after is not None
        assert 0 < error.retry_after <= 0.25
        assert error.sent is False


async def test_an_error_says_where_it_happened() -> None:
    """
    Plugin, instance and request.
    """
    async with bench() as b:
        error = await failure(b.call("nosuch", request_id="r-1"))

        assert isinstance(error, PluginError)
        assert ("p", "memory:p", "r-1") == (error.plugin, error.instance, error.request_id)
        assert "plugin 'p' at memory:p: there is no method nosuch; there are: echo, hold, sleep" == str(error)


async def test_an_error_before_sending_says_whose_it_is_too() -> None:
    """
    As far as that is known.
    """
    async with bench() as b:
        error = await failure(b.call(headers={"a b": "c"}, request_id="r-1"))

        assert ("p", None, "r-1") == (error.plugin, error.instance, error.request_id)


async def test_a_request_without_an_id_gets_one() -> None:
    """
    Another one each time.
    """
    async with bench() as b:
        await b.call()
        await b.call()
        await b.call(request_id="mine")

        first, second, third = (call.request_id for call in b.service.seen)
        assert len(first) == len(second) == 32
        assert first != second
        assert "mine" == third


@pytest.mark.parametrize("request_id", ["", "a b", "a\r\nx: y", "ü", "x" * 257])
async def test_a_request_id_must_fit_into_a_header(request_id: str) -> None:
    """
    It travels as one, and stands in logs.
    """
    async with bench() as b:
        assert isinstance(await failure(b.call(request_id=request_id)), InvalidRequest)


@pytest.mark.parametrize(
    "headers",
    [
        {"": "x"},
        {"a b": "x"},
        {"a:": "x"},
        {"ü": "x"},
        {"a": "x\r\ny: z"},
        {"a": "\x00"},
        {"a": "\u2028"},
        {"a": 1},
        {1: "a"},
        {"A": "x", "a": "y"},
    ],
)
async def test_headers_that_no_wire_carries_are_refused(headers: Any) -> None:
    """
    Before anything is sent, and without repeating the value.
    """
    async with bench() as b:
        error = await failure(b.call(headers=headers))

        assert isinstance(error, InvalidRequest)
        assert "y: z" not in str(error)
        assert [] == b.service.seen


async def test_header_names_are_lower_case_for_the_plugin() -> None:
    """
    Whatever the caller writes.
    """
    async with bench() as b:
        await b.call(headers={"X-Tenant": "Acme"})

        assert "Acme" == b.service.seen[0].headers["x-tenant"]


async def test_interceptors_are_nested_by_order_then_name() -> None:
    """
    The lowest number is outermost.
    """
    seen: list[str] = []

    def noting(name: str) -> Any:
        async def note(call: Call, proceed: Callable[[Call], Awaitable[Reply]]) -> Reply:
            seen.append(f"{name} in")
            reply = await proceed(replace(call, headers={**call.headers, f"x-{name}": "1"}))
            seen.append(f"{name} out")
            return reply

        return note

    chain = Interceptors({"c": (0, noting("c")), "b": (0, noting("b")), "a": (5, noting("a")), "none": (1, None)})
    async with bench(chain) as b:
        await b.call()

        assert ["b in", "c in", "a in", "a out", "c out", "b out"] == seen
        assert {"x-a", "x-b", "x-c"} <= b.service.seen[0].headers.keys()


async def _raises(call: Call, proceed: object) -> Reply:
    raise LookupError("no tenant")


async def _groups(call: Call, proceed: object) -> Reply:
    raise ExceptionGroup("several", [LookupError("no tenant"), ValueError()])


async def _returns_junk(call: Call, proceed: object) -> Any:
    return None


@pytest.mark.parametrize("interceptor", [_raises, _groups, _returns_junk])
async def test_an_interceptor_that_fails_is_named(interceptor: Any) -> None:
    """
    With its extension; what it raised never leaks.
    """
    async with bench(intercepting(interceptor)) as b:
        error = await failure(b.call())

        assert isinstance(error, ExtensionError)
        assert "the interceptor 'tenant' of Interceptors (passed to the manager) failed with " in str(error)
        assert isinstance(error.__cause__, Exception)


async def test_an_interceptors_task_group_does_not_hide_the_error() -> None:
    """
    A group around one error is taken off.
    """

    async def grouping(call: Call, proceed: Callable[[Call], Awaitable[Reply]]) -> Reply:
        async with anyio.create_task_group():
            return await proceed(call)

    async with bench(intercepting(grouping)) as b:
        assert isinstance(await failure(b.call("nosuch")), PluginError)


async def test_an_interceptor_is_bound_by_the_deadline() -> None:
    """
    It cannot make a call longer than its caller allows.
    """

    async def slow(call: Call, proceed: Callable[[Call], Awaitable[Reply]]) -> Reply:
        await anyio.sleep(3600)
        return await proceed(call)

    async with bench(intercepting(slow)) as b:
        started = anyio.current_time()
        assert isinstance(await failure(b.call(timeout=2)), DeadlineExceeded)
        assert 2 == pytest.approx(anyio.current_time() - started)


async def test_an_interceptor_cannot_take_the_deadline_away() -> None:
    """
    That is an error with a name.
    """

    async def timeless(call: Call, proceed: Callable[[Call], Awaitable[Reply]]) -> Reply:
        return await proceed(replace(call, deadline=None))

    async with bench(intercepting(timeless)) as b:
        assert "an interceptor took the deadline from the call" in str(await failure(b.call()))


class _JunkChannel(PlainChannel):
    def __init__(self, junk: Callable[[], Any]) -> None:
        self._junk = junk

    async def call(self, call: Call) -> Reply:
        return self._junk()  # type: ignore[no-any-return]

    async def probe(self) -> Any:
        return self._junk()


def _raise(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    "junk",
    [
        lambda: _raise(KeyError("what")),
        lambda: _raise(ExceptionGroup("", [KeyError("what")])),
        lambda: _raise(ExceptionGroup("", [KeyError("what"), ValueError()])),
        lambda: None,
    ],
)
async def test_a_strangers_channel_leaks_nothing(
    junk: Callable[[], Any], native: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Its distribution is named in the error and in the log.
    """

    @asynccontextmanager
    async def junky(attempt: int) -> AsyncIterator[_JunkChannel]:
        yield _JunkChannel(junk)

    async with Manager(strange(), extensions=[Stranger(junky, native_deadline=native)]) as manager:
        error = await failure(manager.plugin("p", Text, Text).execute(Text(), request_id="r-1"))
        health = await manager.health()

    assert "the transport of Stranger (passed to the manager) failed with " in str(error)
    assert ("p", "strange:p", "r-1") == (error.plugin, error.instance, error.request_id)
    assert health["p"].status in ("unhealthy", "offline")
    assert "the transport of Stranger (passed to the manager) failed" in caplog.text


async def test_an_error_in_a_group_of_one_is_that_error() -> None:
    """
    A transport's own task group does not hide it.
    """

    @asynccontextmanager
    async def grouping(attempt: int) -> AsyncIterator[_JunkChannel]:
        yield _JunkChannel(lambda: _raise(ExceptionGroup("", [PluginError("no such user")])))

    async with Manager(strange(), extensions=[Stranger(grouping)]) as manager:
        assert isinstance(await failure(manager.plugin("p", Text, Text).execute(Text())), PluginError)


async def test_a_cancelled_call_that_fails_as_well_is_only_cancelled() -> None:
    """
    What the transport raised meanwhile goes to the log.
    """

    class Clumsy(PlainChannel):
        async def call(self, call: Call) -> Reply:
            async with anyio.create_task_group() as group:
                group.start_soon(self.fail)
                await anyio.sleep_forever()
            raise AssertionError

        async def fail(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                raise ValueError("clean-up went wrong")

    @asynccontextmanager
    async def clumsy(attempt: int) -> AsyncIterator[Clumsy]:
        yield Clumsy()

    async with Manager(strange(), extensions=[Stranger(clumsy, native_deadline=True)]) as manager:
        with anyio.move_on_after(1) as scope:
            # asyncio's task groups drop the cancellation in favour of the error
            await failure(manager.plugin("p", Text, Text).execute(Text()))

    assert scope.cancel_called


async def test_a_wrong_reply_names_the_field() -> None:
    """
    And the call that it was for.
    """

    @asynccontextmanager
    async def wrong(attempt: int) -> AsyncIterator[_JunkChannel]:
        yield _JunkChannel(lambda: Reply(payload=b'{"text": 3}'))

    async with Manager(strange(), extensions=[Stranger(wrong)]) as manager:
        error = await failure(manager.plugin("p", Text, Text, method="echo").execute(Text(), request_id="r"))

        assert isinstance(error, InvalidReply)
        assert "the reply of echo is wrong: $.text: expected" in str(error)
        assert ("p", "r") == (error.plugin, error.request_id)


async def test_a_request_that_cannot_be_encoded_is_refused() -> None:
    """
    Also by a codec that raises what it must not.
    """

    class Codec:
        content_type = "application/cbor"

        def encode(self, value: object) -> bytes:
            raise TypeError("cannot")

        def decode(self, payload: bytes, type_: object) -> object:
            raise NotImplementedError

    class Codecs:
        @hookimpl
        def remora_register_codecs(self) -> list[CodecSpec]:
            return [CodecSpec("cbor", ("application/cbor",), Codec)]  # type: ignore[arg-type]

    async with bench(Codecs(), codec="cbor") as b:
        error = await failure(b.call())

        assert isinstance(error, InvalidRequest)
        assert "the request cannot be encoded: TypeError: cannot" in str(error)


async def test_calls_go_round_the_instances_of_the_highest_priority() -> None:
    """
    And to the next ones when those are gone.
    """
    endpoints = ["memory:p", {"url": "memory:q", "priority": 1}, {"url": "memory:r", "priority": 0}]
    q, r = Echo(), Echo()
    transport = MemoryTransport()
    p = Echo()
    extensions = [transport.extension]
    async with (
        serving(p, listen="memory:p", extensions=extensions),
        serving(q, listen="memory:q", extensions=extensions),
        serving(r, listen="memory:r", extensions=extensions),
        Manager({"plugins": {"p": {"endpoints": endpoints}}}, extensions=extensions) as manager,
    ):
        await anyio.wait_all_tasks_blocked()
        plugin = manager.plugin("p", Text, Text, method="echo")
        for _ in range(4):
            await plugin.execute(Text())
        assert (2, 2, 0) == tuple(len(each.seen) for each in (p, q, r))
        transport.crash("p")
        transport.crash("q")
        await anyio.wait_all_tasks_blocked()
        await plugin.execute(Text())
        assert 1 == len(r.seen)


async def test_nothing_is_counted_after_a_call_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    """
    However it ended.
    """
    caplog.set_level(logging.CRITICAL)
    async with bench(Observer()) as b:
        await b.call()
        await failure(b.call("nosuch"))
        await failure(b.call("sleep", timeout=1))
        await failure(b.call(timeout=0))
        with anyio.move_on_after(1):
            await b.call("sleep")

        assert 0 == b.manager.active_requests()
        assert 0 == b.manager.active_requests("p")
