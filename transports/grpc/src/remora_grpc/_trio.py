"""
The bridge of trio: messages to the background asyncio loop and back, many of them for one wake-up.

What lives here: requests (trio waits for asyncio) and orders (asyncio waits for trio). What must not: gRPC.

Each request and each order is touched by both threads, but every field of it by one only, except for the result, which
is written before the message that announces it is posted.
"""

from __future__ import annotations

import contextvars
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar

import trio

from remora.errors import Unavailable
from remora_grpc._loop import BackgroundLoop, Mailbox, shared

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from typing import Any

T = TypeVar("T")

_END_TIMEOUT = 5.0


class TrioBridge:
    """
    Runs coroutines on the background loop for trio tasks, and in trio tasks for the background loop.
    """

    def __init__(self, background: BackgroundLoop) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self.background = background
        self.inbox = Mailbox(self._wake)
        self.context = contextvars.copy_context()
        self.nursery: trio.Nursery | None = None
        self.is_closed = False

    async def run(self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any) -> T:
        """
        On trio: have the coroutine run on the background loop.
        """
        if self.is_closed:
            raise Unavailable("the channel is closed", sent=False)
        return await _Request[T](self, function, args).wait()

    async def answer(self, function: Callable[..., Awaitable[T]], /, *args: Any) -> T:
        """
        On the background loop: have the coroutine run in a trio task of its own.
        """
        return await _Order[T](self, function, args).wait()

    def _wake(self, deliver: Callable[[], None]) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(deliver)


@asynccontextmanager
async def open_trio_bridge(*, serving: bool) -> AsyncIterator[TrioBridge]:
    """
    A bridge to the shared background loop, which ends with its last user.
    """
    bridge = TrioBridge(shared.acquire())
    try:
        if serving:
            async with _nursery_of(bridge):
                yield bridge
        else:
            yield bridge
    finally:
        bridge.is_closed = True  # before the loop can end: a request that it never takes would never end
        await _leave()


@asynccontextmanager
async def _nursery_of(bridge: TrioBridge) -> AsyncIterator[None]:
    # A system task owns the nursery, so that what the listener's block raises is not wrapped in an exception group.
    opened, closed = trio.Event(), trio.Event()
    trio.lowlevel.spawn_system_task(_hold_nursery, bridge, opened, closed)
    with trio.CancelScope(shield=True):
        await opened.wait()
    try:
        yield
    finally:
        assert bridge.nursery is not None
        bridge.nursery.cancel_scope.cancel()
        with trio.move_on_after(_END_TIMEOUT, shield=True):
            await closed.wait()


async def _hold_nursery(bridge: TrioBridge, opened: trio.Event, closed: trio.Event) -> None:
    try:
        async with trio.open_nursery() as bridge.nursery:
            opened.set()
            await trio.sleep_forever()
    finally:
        closed.set()


async def _leave() -> None:
    last = shared.release()
    if last is None:
        return
    ended = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def tell() -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(ended.set)

    last.stop(tell)
    with trio.move_on_after(_END_TIMEOUT, shield=True) as scope:
        await ended.wait()
    if not scope.cancelled_caught:
        last.join(_END_TIMEOUT)


class _Request(Generic[T]):
    """
    A trio task waits for a coroutine on the background loop.
    """

    __slots__ = ("_args", "_bridge", "_error", "_function", "_result", "_task", "_waiter")

    def __init__(
        self, bridge: TrioBridge, function: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...]
    ) -> None:
        self._bridge = bridge
        self._function = function
        self._args = args
        self._waiter: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        self._task: asyncio.Task[T] | None = None
        self._result: T
        self._error: BaseException | None = None

    async def wait(self) -> T:
        self._bridge.background.inbox.post(self._start)
        await trio.lowlevel.wait_task_rescheduled(self._abandon)
        if self._error is None:
            return self._result
        try:
            raise self._error
        finally:
            self._error = None

    def _abandon(self, _: object) -> trio.lowlevel.Abort:
        self._waiter = None
        self._bridge.background.inbox.post(self._stop)
        return trio.lowlevel.Abort.SUCCEEDED

    def _resume(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            trio.lowlevel.reschedule(waiter)

    # The rest runs on the background loop.

    def _start(self) -> None:
        self._task = self._bridge.background.loop.create_task(self._function(*self._args))
        self._task.add_done_callback(self._finished)

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _finished(self, task: asyncio.Task[T]) -> None:
        self._task = None
        if task.cancelled():
            self._error = Unavailable("the connection is being closed")
        elif (error := task.exception()) is not None:
            self._error = error
        else:
            self._result = task.result()
        self._bridge.inbox.post(self._resume)


class _Order(Generic[T]):
    """
    A task on the background loop waits for a coroutine in a trio task.
    """

    __slots__ = ("_args", "_bridge", "_error", "_function", "_future", "_result", "_scope")

    def __init__(self, bridge: TrioBridge, function: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> None:
        self._bridge = bridge
        self._function = function
        self._args = args
        self._future: asyncio.Future[T] = bridge.background.loop.create_future()
        self._scope: trio.CancelScope | None = None
        self._result: T
        self._error: BaseException | None = None

    async def wait(self) -> T:
        self._bridge.inbox.post(self._start)
        try:
            return await self._future
        finally:
            if self._future.cancelled():
                self._bridge.inbox.post(self._cancel)

    def _finish(self) -> None:
        error, self._error = self._error, None
        if self._future.done():
            return
        if error is not None:
            self._future.set_exception(error)
        elif hasattr(self, "_result"):
            self._future.set_result(self._result)
        else:
            self._future.cancel()

    # The rest runs on trio.

    def _start(self) -> None:
        nursery = self._bridge.nursery
        if nursery is None or nursery.cancel_scope.cancel_called:
            self._bridge.background.inbox.post(self._finish)
        else:
            self._scope = trio.CancelScope()
            self._bridge.context.run(nursery.start_soon, self._perform, self._scope)

    def _cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    async def _perform(self, scope: trio.CancelScope) -> None:
        try:
            with scope:
                self._result = await self._function(*self._args)
        except Exception as error:  # the served plugin's code; whoever waits on the other side gets it
            self._error = error
        finally:
            self._bridge.background.inbox.post(self._finish)
