"""
A transport of a stranger that does not do what it should is told in one sentence that says what that would be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from remora import (
    ExtensionError,
    HealthStatus,
    InterceptorSpec,
    InvalidReply,
    Manager,
    Reply,
    TransportSpec,
    Unavailable,
    hookimpl,
)
from remora.types import Status
from tests.core.hosts import NoOptions

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


class Odd:
    """
    An extension with a transport that does what a test says.
    """

    def __init__(self, *, open: Any = None, closing: float = 0.0, calling: float = 0.0) -> None:
        self._open, self._closing, self._calling = open, closing, calling

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[Any]]:
        return [TransportSpec(name="odd", schemes=("odd",), options=NoOptions, build=lambda options: self)]  # type: ignore[arg-type, return-value]

    def open(self, endpoint: object, /) -> Any:
        return self._opened() if self._open is None else self._open()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Odd]:
        yield self
        with anyio.CancelScope(shield=True):
            await anyio.sleep(self._closing)

    async def call(self, call: Any, /) -> Reply:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(self._calling)
        return Reply(payload=call.payload)

    async def probe(self) -> HealthStatus:
        return HealthStatus(status=Status.HEALTHY)

    def listen(self, endpoint: object, dispatch: object, /) -> Any:
        raise NotImplementedError


def _config(**connection: object) -> dict[str, Any]:
    plugin = {"endpoint": "odd:x", "retry": {"max_retries": 0}, "connection": connection}
    return {"plugins": {"odd": plugin}}


async def _coroutine() -> None: ...


async def _generator() -> AsyncIterator[None]:
    yield None


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield None


@pytest.mark.parametrize(
    ("open", "problem"),
    [
        (
            _coroutine,
            "`open` returned a coroutine, instead of an async context manager; is `@asynccontextmanager` missing",
        ),
        (
            _generator,
            "`open` returned a async_generator, instead of an async context manager; is `@asynccontextmanager`",
        ),
        (lambda: None, "`open` returned a NoneType, instead of an async context manager"),
        (_nothing, "the context of `open` gave a NoneType, which has no `call`"),
    ],
    ids=["coroutine", "generator", "nothing", "no-channel"],
)
async def test_what_open_gives_is_told_in_the_words_of_the_protocol(
    open: Any, problem: str, anyio_backend: str
) -> None:
    """
    And not as an attribute that somebody misses later on.
    """
    async with Manager(_config(), extensions=[Odd(open=open)]) as manager:
        with pytest.raises(Unavailable) as caught:
            await manager.execute("odd", "x", str, method="echo")

    assert problem in str(caught.value)


async def test_a_transport_that_is_slow_to_close_is_named(anyio_backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """
    Whoever waits for the end of a host can read what it waits for.
    """
    started = anyio.current_time()
    async with Manager(_config(), extensions=[Odd(closing=60)]) as manager:
        assert await manager.execute("odd", "x", str, method="echo") == "x"

    assert anyio.current_time() - started == pytest.approx(60, abs=1)
    assert ["the transport of Odd (passed to the manager) has not closed odd:x within 10 s; it is waited for"] == [
        record.getMessage() for record in caplog.records if "has not closed" in record.getMessage()
    ]


async def test_a_transport_that_closes_in_time_is_not_named(
    anyio_backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    """
    As a child process that needs its grace.
    """
    async with Manager(_config(), extensions=[Odd(closing=9)]) as manager:
        assert await manager.execute("odd", "x", str, method="echo") == "x"

    assert not [record for record in caplog.records if "has not closed" in record.getMessage()]


class Idle:
    @hookimpl
    def remora_register_interceptors(self) -> list[InterceptorSpec]:
        return [InterceptorSpec(name="idle", build=lambda plugin: None, attempt=lambda plugin: _pass)]


async def _pass(call: Any, proceed: Any, /, *, attempt: object) -> Reply:
    return await proceed(call)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("others", "suspects"), [([], ""), ([Idle()], " or an interceptor")], ids=["alone", "wrapped"])
async def test_a_transport_that_ignores_a_cancellation_is_held_to_account(
    others: list[object], suspects: str, anyio_backend: str
) -> None:
    """
    Its reply comes too late to be of use, and nobody else could say why.
    """
    async with Manager(_config(request_timeout=2), extensions=[Odd(calling=6), *others]) as manager:
        await manager.execute("odd", "x", str, method="echo")
        faults = manager.extension_faults()

    ((culprit, fault),) = faults.items()
    assert f"the transport of Odd (passed to the manager){suspects}" == culprit
    assert "ExtensionError: it went on with a call for 4.0 s after the call was cancelled" == fault.last


async def test_the_first_errors_of_a_group_are_named(anyio_backend: str) -> None:
    """
    A transport may work with several tasks; how many have failed says nothing about why.
    """
    errors = [ValueError("first"), ExceptionGroup("inner", [KeyError("second")]), OSError("third"), OSError("fourth")]

    class Grouping(Odd):
        async def call(self, call: Any, /) -> Reply:
            raise ExceptionGroup("unhandled errors", errors)

    async with Manager(_config(), extensions=[Grouping()]) as manager:
        with pytest.raises(ExtensionError) as caught:
            await manager.plugin("odd", str, str).execute("x")

    named = "ExceptionGroup: unhandled errors (4 sub-exceptions): "
    assert f"{named}ValueError: first; KeyError: 'second'; OSError: third; and 1 more" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"payload": None}, "payload of type NoneType, not bytes"),
        ({"payload": {"text": "x"}}, "payload of type dict, not bytes"),
        ({"payload": "plain"}, "payload of type str, not bytes"),
        ({"payload": b"plain", "headers": None}, "headers of type NoneType, not Mapping"),
    ],
)
async def test_a_reply_that_is_made_of_the_wrong_things_is_told_with_its_transport(
    anyio_backend: str, fields: dict[str, Any], problem: str
) -> None:
    """
    What cannot be decoded because of that is nobody's fault but the transport's.
    """

    class Mistyped(Odd):
        async def call(self, call: Any, /) -> Reply:
            return Reply(**fields)

    async with Manager(_config(), extensions=[Mistyped()]) as manager:
        with pytest.raises(InvalidReply) as caught:
            await manager.plugin("odd", str, str).execute("x")

    assert "is wrong: the transport of " in str(caught.value)
    assert str(caught.value).endswith(f"Mistyped (passed to the manager) gave {problem}")
