"""
Unary calls on a grpc.aio channel.

What lives here: a method of a plugin, which carries bytes and metadata there and back. What must not: what they mean.

grpc.aio makes a task and three objects for each call, and enters it in a table, which takes an eighth of a call's time.
With `Direct` the caller's own task waits for grpcio's part in C instead. That part is none of grpcio's public names,
though it has been the same since before 1.74; where it is another, or interceptors want to see the call, `Usual` is
used.

What ends a call is returned rather than raised, because the frames here hold grpcio's objects (see `_client`).
"""

from __future__ import annotations

import asyncio
import time
from functools import cache
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from remora_grpc._metadata import Pair

Answer = tuple[bytes, tuple["Pair", ...]]
"""The payload of a reply and its metadata."""

_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_CALL = "self", "method", "deadline", "python_call_credentials", "wait_for_ready"
_UNARY = "self", "request", "outbound_initial_metadata", "context"
_CANCELLED = "the caller has cancelled the call"


class Method(Protocol):
    """
    A method of a plugin.
    """

    async def __call__(
        self, payload: bytes, timeout: float | None, metadata: tuple[Pair, ...], /
    ) -> Answer | BaseException:
        """
        Make one call.

        Returns:
            The reply; or grpcio's error; or a CancelledError, when the caller or the channel's end cancelled it.
        """
        ...

    def close(self) -> None:
        """
        Cancel the calls under way, before their channel is closed.
        """
        ...


def method_of(channel: grpc.aio.Channel, path: str) -> Method:
    """
    The method at a path like `/service/method`.
    """
    made: Any = channel.unary_unary(path)
    return Direct(made._channel.call, made._method) if _is_plain(made) else Usual(made)


def _is_plain(made: Any) -> bool:
    return type(made) is _plain_type() and not made._interceptors


@cache
def _plain_type() -> object:
    """
    grpcio's class of methods, provided that its part in C is as it is known here.
    """
    try:
        cygrpc = import_module("grpc._cython.cygrpc")
        is_known = _begins(cygrpc.AioChannel.call, _CALL) and _begins(cygrpc._AioCall.unary_unary, _UNARY)
        return import_module("grpc.aio._channel").UnaryUnaryMultiCallable if is_known else None
    except (ImportError, AttributeError, TypeError, ValueError):
        return None


def _begins(function: Callable[..., object], names: tuple[str, ...]) -> bool:
    return tuple(signature(function).parameters)[: len(names)] == names


class Direct:
    """
    A method whose calls are made by grpcio's part in C alone.
    """

    def __init__(self, make_call: Callable[..., Any], path: bytes) -> None:
        self._make_call = make_call
        self._path = path
        self._calls = set[Any]()

    async def __call__(
        self, payload: bytes, timeout: float | None, metadata: tuple[Pair, ...], /
    ) -> Answer | BaseException:
        """
        Make one call.
        """
        deadline = None if timeout is None else time.time() + timeout
        try:
            call = self._make_call(self._path, deadline, None, None)
        except grpc.aio.BaseError as error:
            return error.with_traceback(None)
        self._calls.add(call)
        try:
            received = await _Batch(call, payload, metadata)
        except (grpc.aio.BaseError, asyncio.CancelledError) as error:
            return error.with_traceback(None)
        finally:
            self._calls.discard(call)
        return _error_of(call) if received is None else (received, _metadata_of(call))

    def close(self) -> None:
        """
        Cancel the calls under way.
        """
        for call in self._calls:
            call.cancel(_CANCELLED)


class _Batch:
    """
    What a task awaits for one call: grpcio's batch of operations, a coroutine with one pause, for a future.

    It always comes to its end: one that is dropped before leaves a kilobyte behind, which grpcio frees only then
    (grpc/grpc#43360). But a task that is cancelled cancels the future that it waits for, which is then done, and there
    would be nothing left to wait for until the batch has ended. So the task is not given the future, but this object,
    which it takes for one. To cancel it is to cancel the call, whose batch then ends soon, without the plugin.

    Its attributes are what asyncio's tasks use of a future: besides `cancel`, they are the true one's own.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_call",
        "_is_cancelled",
        "_steps",
        "add_done_callback",
        "done",
        "get_loop",
    )

    def __init__(self, call: Any, payload: bytes, metadata: tuple[Pair, ...]) -> None:
        self._call = call
        self._steps = call.unary_unary(payload, metadata)
        self._is_cancelled = False

    def __await__(self) -> Generator[_Batch, None, bytes | None]:
        future: asyncio.Future[None] = self._steps.send(None)  # the first step begins the batch
        self.add_done_callback, self.done, self.get_loop = future.add_done_callback, future.done, future.get_loop
        self._asyncio_future_blocking = True
        try:
            yield self
        except asyncio.CancelledError:
            self._is_cancelled = True
        except grpc.aio.BaseError:
            pass  # the last step raises it again
        return self._last_step()

    def cancel(self, msg: object = None) -> bool:
        """
        Cancel the call; called by the task when it is cancelled itself.
        """
        if self.done():
            return False
        self._is_cancelled = True
        if not self._call.done():
            self._call.cancel(_CANCELLED)
        return True

    def _last_step(self) -> bytes | None:
        """
        What the batch has received; None when the call has failed.
        """
        received: bytes | None = None
        try:
            self._steps.send(None)
        except StopIteration as end:
            received = end.value
        except grpc.aio.BaseError:
            if not self._is_cancelled:
                raise
        if self._is_cancelled:
            raise asyncio.CancelledError
        return received


class Usual:
    """
    A method as grpcio has it.
    """

    def __init__(self, made: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]) -> None:
        self._made = made

    async def __call__(
        self, payload: bytes, timeout: float | None, metadata: tuple[Pair, ...], /
    ) -> Answer | BaseException:
        """
        Make one call.
        """
        call = self._made(payload, timeout=timeout, metadata=metadata)
        try:
            received: bytes | None = await call
            metadata = (*await call.initial_metadata(), *await call.trailing_metadata())
        except (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.CancelledError) as error:
            return error.with_traceback(None)
        return _without_reply() if received is None else (received, metadata)

    def close(self) -> None:
        """
        Nothing to do: the channel cancels these calls itself.
        """


def _metadata_of(call: Any) -> tuple[Pair, ...]:
    return call._initial_metadata + call._status.trailing_metadata()  # type: ignore[no-any-return]


def _error_of(call: Any) -> BaseException:
    if call.is_locally_cancelled():
        return asyncio.CancelledError()
    if call.is_ok():
        return _without_reply()
    status = call._status
    return grpc.aio.AioRpcError(
        _CODES[status.code()],
        grpc.aio.Metadata(*call._initial_metadata),
        grpc.aio.Metadata(*status.trailing_metadata()),
        details=status.details(),
        debug_error_string=status.debug_error_string(),
    )


def _without_reply() -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, nothing, nothing, details="the call ended without a reply")
