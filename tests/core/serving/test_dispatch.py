"""
A served plugin's answers, asked through its dispatcher as listeners do.
"""

from __future__ import annotations

import asyncio
import functools
import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from remora import (
    Call,
    Code,
    ConfigError,
    DeadlineExceeded,
    Draining,
    PluginError,
    Unavailable,
    current_call,
    idempotent,
    service,
    serving,
)
from remora._extensions._registry import load_catalog
from remora._serving._dispatch import Dispatcher
from remora.types import Status
from remora.wire import decode_health, health_call
from tests.core.hosts import Text, failure

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Sum:
    """
    A result.
    """

    total: float


def wrapped(function: Any) -> Any:
    """
    A decorator as people write them.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


def awaiting(function: Any) -> Any:
    """
    One that makes a coroutine function of a plain one.
    """

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


@service("test.v1.Things")
class Things:
    """
    All kinds of handlers.
    """

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.remaining: list[float | None] = []
        self.running = 0
        self.most = 0
        self.cancelled = 0
        self.release = anyio.Event()

    async def echo(self, request: Text) -> Text:
        """
        The same.
        """
        return request

    @idempotent
    async def add(self, first: float, second: float = 2.0, *, third: float = 3.0) -> Sum:
        """
        Many parameters.
        """
        return Sum(first + second + third)

    async def nothing(self) -> None:
        """
        No parameter, no answer.
        """

    def blocking(self, request: Text) -> Text:
        """
        A synchronous handler.
        """
        self.threads.append(threading.get_ident())
        call = current_call()
        self.remaining.append(call.remaining)
        call.reply_headers["X-Seen"] = call.request_id
        return request

    def stops(self) -> None:
        """
        Raises what no future can carry.
        """
        raise StopIteration

    @wrapped
    async def decorated(self, request: Text) -> Text:
        """
        Its wrapper is no coroutine function.
        """
        return request

    @awaiting
    def made_async(self, request: Text) -> Text:
        """
        Its wrapper is one.
        """
        return request

    async def fail(self, request: Text) -> Text:
        """
        Raise what the text says.
        """
        raise ERRORS[request.text]

    async def headers(self, request: Text) -> Text:
        """
        Reply with a header.
        """
        current_call().reply_headers["X-Out"] = request.text
        return request

    async def unencodable(self) -> object:
        """
        An answer that is none.
        """
        return object()

    async def hold(self) -> None:
        """
        Wait to be released.
        """
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.release.wait()
        except BaseException:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def clumsy(self) -> None:
        """
        Fail while being cancelled.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._fails_at_the_end)
            await anyio.sleep_forever()

    async def _fails_at_the_end(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError("swordfish")


_located = PluginError("no such thing", code=Code.NOT_FOUND, details={"id": 3})
_located.locate(plugin="inner", instance="http://user:swordfish@internal", request_id="inner-1")
_unavailable = Unavailable("it is away", retry_after=3)
_unavailable.locate(plugin="inner", instance="http://user:swordfish@internal", request_id="inner-1")

ERRORS: dict[str, Exception] = {
    "own": PluginError("no such user", code=Code.NOT_FOUND, details={"id": 1}),
    "secret": LookupError("swordfish"),
    "group": ExceptionGroup("swordfish", [LookupError("swordfish"), ValueError()]),
    "grouped": ExceptionGroup("", [PluginError("no such user", code=Code.NOT_FOUND)]),
    "timeout": TimeoutError("swordfish"),
    "nested": _located,
    "away": _unavailable,
}


def dispatcher(*services: object, limit: int = 100) -> Dispatcher:
    """
    What answers for services.
    """
    return Dispatcher(services or (Things(),), catalog=load_catalog(), max_concurrent_calls=limit)


def call(method: str, request: object = None, *, service: str = "test.v1.Things", **facts: Any) -> Call:
    """
    A call with a JSON payload.
    """
    payload = b"" if request is None else json.dumps(request).encode()
    return Call(service=service, method=method, payload=payload, **facts)


async def ask(things: Dispatcher, *args: Any, **facts: Any) -> Any:
    """
    The JSON value of an answer.
    """
    with anyio.fail_after(5):
        reply = await things(call(*args, **facts), "test")
    return json.loads(reply.payload)


@pytest.mark.parametrize(
    ("method", "request_", "answer"),
    [
        ("echo", {"text": "a"}, {"text": "a"}),
        ("add", {"first": 1}, {"total": 6.0}),
        ("add", {"first": 1, "second": 1, "third": 1}, {"total": 3.0}),
        ("nothing", None, None),
        ("nothing", {}, None),
        ("blocking", {"text": "a"}, {"text": "a"}),
        ("decorated", {"text": "a"}, {"text": "a"}),
        ("made_async", {"text": "a"}, {"text": "a"}),
    ],
)
async def test_every_kind_of_handler_answers(method: str, request_: object, answer: object) -> None:
    """
    None, one or many parameters; plain, synchronous or decorated.
    """
    assert answer == await ask(dispatcher(), method, request_)


async def test_a_synchronous_handler_has_a_thread_and_the_call() -> None:
    """
    With the time that is left.
    """
    things = Things()
    with anyio.fail_after(5):
        request = call("blocking", {"text": "a"}, deadline=anyio.current_time() + 5, request_id="r-1")
        reply = await dispatcher(things)(request, "test")

    assert threading.get_ident() != things.threads[0]
    assert things.remaining[0] is not None
    assert 0 < things.remaining[0] <= 5
    assert {"x-seen": "r-1"} == reply.headers


async def test_a_thread_may_raise_stop_iteration() -> None:
    """
    It is an error like any other.
    """
    assert Code.INTERNAL == (await failure(ask(dispatcher(), "stops"))).code


async def test_outside_a_handler_there_is_no_current_call() -> None:
    """
    The error says so.
    """
    await ask(dispatcher(), "echo", {"text": "a"})
    with pytest.raises(LookupError, match="is for handlers"):
        current_call()


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("own", Code.NOT_FOUND, "no such user"),
        ("grouped", Code.NOT_FOUND, "no such user"),
        ("secret", Code.INTERNAL, "test.v1.Things/fail failed with LookupError"),
        ("group", Code.INTERNAL, "test.v1.Things/fail failed with ExceptionGroup"),
        ("timeout", Code.INTERNAL, "test.v1.Things/fail failed with TimeoutError"),
        ("nested", Code.NOT_FOUND, "no such thing"),
        ("away", Code.UNAVAILABLE, "it is away"),
    ],
)
async def test_errors_become_statuses_without_what_went_on_inside(
    text: str, code: Code, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Nor where a nested call went to.
    """
    deadline = anyio.current_time() + 5
    error = await failure(ask(dispatcher(), "fail", {"text": text}, deadline=deadline))

    assert isinstance(error, PluginError)
    assert (code, message) == (error.code, str(error))
    assert (None, None) == (error.plugin, error.request_id)
    assert ("swordfish" in caplog.text) == (message.startswith("test.v1"))


async def test_a_nested_answer_keeps_its_details_and_its_patience() -> None:
    """
    They are for the caller too.
    """
    nested = await failure(ask(dispatcher(), "fail", {"text": "nested"}))
    away = await failure(ask(dispatcher(), "fail", {"text": "away"}))

    assert isinstance(nested, PluginError)
    assert {"id": 3} == nested.details
    assert 3 == away.retry_after


@pytest.mark.parametrize(
    ("method", "payload", "field"),
    [
        ("echo", b'{"text": 3}', "$.text"),
        ("echo", b"[]", "$"),
        ("echo", b"{", "not JSON"),
        ("echo", b"\xff", "not UTF-8"),
        ("add", b"{}", "$.first"),
        ("add", b'{"first": "a"}', "$.first"),
        ("add", b'{"first": NaN}', "NaN"),
    ],
)
async def test_a_wrong_request_names_the_field(method: str, payload: bytes, field: str) -> None:
    """
    And is the caller's fault.
    """
    request = Call(service="test.v1.Things", method=method, payload=payload)
    error = await failure(dispatcher()(request, "test"))

    assert Code.INVALID_ARGUMENT == error.code
    assert f"the request of test.v1.Things/{method} is wrong: " in str(error)
    assert field in str(error)


async def test_an_answer_that_cannot_be_written_is_internal() -> None:
    """
    The reason is for the plugin's own log.
    """
    error = await failure(ask(dispatcher(), "unencodable"))

    assert (Code.INTERNAL, "the reply of test.v1.Things/unencodable cannot be encoded") == (error.code, str(error))


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", ""]
)
async def test_json_has_many_names(content_type: str) -> None:
    """
    Parameters and case do not matter; none at all means what the record types ask for.
    """
    assert {"text": "a"} == await ask(dispatcher(), "echo", {"text": "a"}, content_type=content_type)


async def test_an_unknown_media_type_is_refused() -> None:
    """
    By its name.
    """
    error = await failure(ask(dispatcher(), "echo", {}, content_type="text/xml"))

    assert Code.INVALID_ARGUMENT == error.code
    assert "'text/xml'" in str(error)


@pytest.mark.parametrize(
    ("service_name", "method"), [("test.v1.Things", "nosuch"), ("nosuch", "echo"), ("test.v1.Things", "")]
)
async def test_what_is_not_there_is_unimplemented(service_name: str, method: str) -> None:
    """
    The empty name stands for the only one of a kind, and here are many.
    """
    assert Code.UNIMPLEMENTED == (await failure(ask(dispatcher(), method, {}, service=service_name))).code


class Single:
    """
    One method.
    """

    async def only(self, request: Text) -> Text:
        """
        The same.
        """
        return request


@pytest.mark.parametrize(("service_name", "method"), [("", ""), ("", "only"), ("Single", ""), ("Single", "only")])
async def test_the_only_one_of_a_kind_needs_no_name(service_name: str, method: str) -> None:
    """
    As plain endpoints have none.
    """
    assert {"text": "a"} == await ask(dispatcher(Single()), method, {"text": "a"}, service=service_name)


async def test_several_services_are_told_apart() -> None:
    """
    By name.
    """
    both = dispatcher(Single(), Things())

    assert {"text": "a"} == await ask(both, "only", {"text": "a"}, service="Single")
    assert Code.UNIMPLEMENTED == (await failure(ask(both, "only", {"text": "a"}, service=""))).code


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ((), "there is nothing to serve"),
        ((object(),), "object has no public methods to serve"),
        ((Single,), r"Single is a class; serve an instance of it, Single\(\)"),
        ((Single(), Single()), "two services share the name 'Single'"),
    ],
)
async def test_what_cannot_be_served_is_a_clear_error(services: tuple[object, ...], message: str) -> None:
    """
    Before anything listens.
    """
    with pytest.raises(ConfigError, match=message):
        async with serving(*services, listen="memory:"):
            pass


async def test_reply_headers_are_checked() -> None:
    """
    A handler cannot break the wire.
    """
    reply = await dispatcher()(call("headers", {"text": "fine"}), "test")
    error = await failure(dispatcher()(call("headers", {"text": "a\r\nb: c"}), "test"))

    assert {"x-out": "fine"} == reply.headers
    assert Code.INTERNAL == error.code


async def test_no_more_calls_run_at_once_than_allowed() -> None:
    """
    As many again wait; what comes on top is refused.
    """
    things = Things()
    limited = dispatcher(things, limit=3)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(limited, call("hold"), "test")
            await anyio.wait_all_tasks_blocked()
            error = await failure(limited(call("echo", {}), "test"))
            assert Code.RESOURCE_EXHAUSTED == error.code
            assert error.retryable
            assert 6 == limited.active
            things.release.set()

    assert 3 == things.most
    assert 0 == limited.active


async def test_draining_lets_calls_end_and_takes_no_new_ones() -> None:
    """
    Health is still answered, and says so; everybody who waits is told.
    """
    things = Things()
    draining = dispatcher(things)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(draining, call("hold"), "test")
            await anyio.wait_all_tasks_blocked()
            group.start_soon(draining.drain)
            group.start_soon(draining.drain)
            await anyio.wait_all_tasks_blocked()
            assert isinstance(await failure(draining(call("echo", {}), "test")), Draining)
            assert Status.UNHEALTHY == decode_health(await draining(health_call(), "test"))
            things.release.set()


async def test_a_handler_ends_at_the_deadline() -> None:
    """
    It is cancelled.
    """
    things = Things()
    with anyio.fail_after(5):
        error = await failure(dispatcher(things)(call("hold", deadline=anyio.current_time() + 0.01), "test"))

    assert isinstance(error, DeadlineExceeded)
    assert 1 == things.cancelled


async def test_a_handler_that_fails_while_it_is_cancelled_is_only_cancelled() -> None:
    """
    By its caller, or by its deadline.
    """
    clumsy = dispatcher()
    with anyio.fail_after(5):
        error = await failure(clumsy(call("clumsy", deadline=anyio.current_time() + 0.01), "test"))
        assert "swordfish" not in str(error)
        with anyio.move_on_after(0.01) as scope:
            with suppress(PluginError):  # asyncio's task groups drop the cancellation in favour of the error
                await clumsy(call("clumsy"), "test")

    assert scope.cancel_called


@pytest.mark.only_on("asyncio")  # on trio nobody gets another's cancellation
async def test_a_handler_that_waits_for_a_cancelled_task_has_failed() -> None:
    """
    It is told as a failure; who is cancelled himself is cancelled.
    """

    class Stray:
        async def wait(self, text: str) -> None:
            other = asyncio.ensure_future(asyncio.sleep(60))
            if text == "other":
                other.cancel()
            else:
                asyncio.current_task().cancel()  # type: ignore[union-attr]
            await other

    stray = dispatcher(Stray())
    error = await failure(stray(call("wait", "other", service="Stray"), "test"))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.ensure_future(stray(call("wait", "itself", service="Stray"), "test"))

    assert "Stray/wait failed with CancelledError" == str(error)


async def test_a_handler_that_exits_fails_its_call_only() -> None:
    """
    As a command does that it runs; in the event loop's thread or in one of its own.
    """

    class Command:
        async def run(self) -> None:
            raise SystemExit("usage: run FILE")

        def check(self) -> None:
            raise SystemExit(2)

    command = dispatcher(Command())
    for method in ("run", "check"):
        error = await failure(command(call(method, service="Command"), "test"))

        assert f"Command/{method} failed with SystemExit" == str(error)
        assert Code.INTERNAL == error.code


@pytest.mark.only_on("trio")
async def test_a_task_of_a_handler_that_exits_fails_its_call_only() -> None:
    """
    Where it can be helped: asyncio ends its event loop for it.
    """

    class Command:
        async def run(self) -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._exit)

        async def _exit(self) -> None:
            raise SystemExit(2)

    error = await failure(dispatcher(Command())(call("run", service="Command"), "test"))

    assert ("Command/run failed with BaseExceptionGroup", Code.INTERNAL) == (str(error), error.code)


async def test_a_handler_that_panics_fails_its_call_only() -> None:
    """
    As a library in another language does: its exception derives from BaseException, so that nobody catches it.
    """

    class Panic(BaseException):
        pass

    class Library:
        async def run(self) -> None:
            raise Panic("index out of bounds")

        def check(self) -> None:
            raise Panic("index out of bounds")

        async def share(self) -> None:
            raise BaseExceptionGroup("two", [Panic("index out of bounds"), ValueError("the other")])

    library = dispatcher(Library())
    for method, name in {"run": "Panic", "check": "Panic", "share": "BaseExceptionGroup"}.items():
        error = await failure(library(call(method, service="Library"), "test"))

        assert (f"Library/{method} failed with {name}", Code.INTERNAL) == (str(error), error.code)


async def test_health_is_answered_in_protobuf_and_json() -> None:
    """
    For the plugin as a whole, or for a service by name.
    """
    things = dispatcher()
    health = "grpc.health.v1.Health"

    assert Status.HEALTHY == decode_health(await things(health_call(), "test"))
    for request in (None, {}, {"service": ""}, {"service": "test.v1.Things"}):
        for media_type in ("application/json", "application/json; charset=utf-8"):
            asked = call("Check", request, service=health, content_type=media_type)
            reply = await things(asked, "test")
            assert ({"status": "SERVING"}, "application/json") == (json.loads(reply.payload), reply.content_type)
    unknown = await failure(things(call("Check", {"service": "x"}, service=health), "test"))
    wrong = await failure(things(call("Check", {"service": 3}, service=health), "test"))
    other = await failure(things(call("Watch", {}, service=health), "test"))
    assert [Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED] == [e.code for e in (unknown, wrong, other)]


async def test_a_plugin_describes_itself() -> None:
    """
    With schemas of its methods.
    """
    described = await ask(dispatcher(), "Describe", {}, service="remora.v1.Plugin")

    assert "test.v1.Things" == described["name"]
    add = next(method for method in described["methods"] if method["name"] == "add")
    assert (True, "Many parameters.") == (add["idempotent"], add["description"])
    assert {"first", "second", "third"} == add["request"]["properties"].keys()
    assert ["first"] == add["request"]["required"]


async def test_an_abandoned_thread_holds_up_nobody() -> None:
    """
    Its caller has gone; others are answered.
    """

    class Slow:
        def slow(self) -> None:
            """
            Wait in a thread, where nobody can cancel.
            """
            gate.wait(5)

        async def quick(self) -> None:
            """
            Nothing.
            """

    gate = threading.Event()
    slow = dispatcher(Slow())
    started = time.monotonic()
    try:
        error = await failure(slow(call("slow", service="Slow", deadline=anyio.current_time() + 0.01), "test"))
        await slow(call("quick", service="Slow"), "test")
    finally:
        gate.set()

    assert isinstance(error, DeadlineExceeded)
    assert time.monotonic() - started < 4
