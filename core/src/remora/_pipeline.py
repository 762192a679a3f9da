"""
One call from start to finish. The only file that knows the order of the stages.

What lives here: the order. What must not: the stages' decisions (see `policy` and `_route`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from remora._context import handled_call
from remora.errors import DeadlineExceeded, ExtensionError, InvalidRequest, RemoraError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from remora._route import Instance, Route
    from remora.protocols import Interceptor
    from remora.types import Call, Reply


class Pipeline:
    """
    The way of every call of one plugin, put together once.
    """

    def __init__(self, route: Route, interceptors: Sequence[Interceptor]) -> None:
        self._route = route
        self._intercepted = _nested(interceptors, self._attempt)

    async def __call__(self, call: Call, timeout: float | None) -> Reply:
        """
        Make a call.

        Args:
            call: The call; its deadline is set here.
            timeout: Seconds that the caller allows; None for no limit of its own.

        Raises:
            RemoraError: The call has no reply; the error says where it happened and what can be done.
        """
        route = self._route
        try:
            route.admit()
            call = replace(call, deadline=self._deadline(timeout))
            route.enter()
            try:
                return await self._intercepted(call)
            finally:
                route.leave()
        except RemoraError as error:
            error.locate(plugin=route.name, instance=None, request_id=call.request_id)
            raise

    async def _attempt(self, call: Call) -> Reply:
        instance = await self._pick(call)
        try:
            return await self._send(instance, call)
        except RemoraError as error:
            error.locate(plugin=self._route.name, instance=instance.name, request_id=call.request_id)
            raise

    def _deadline(self, timeout: float | None) -> float:
        """
        The earliest of: what the caller allows, what is configured, what is left to the handler that makes the call.
        """
        if timeout is not None and not timeout > 0:
            raise InvalidRequest(f"a timeout is a positive number of seconds, not {timeout!r}")
        now = anyio.current_time()
        configured = self._route.config.connection.request_timeout
        deadline = now + (configured if timeout is None else min(timeout, configured))
        enclosing = handled_call.get()
        if enclosing is not None and enclosing.deadline is not None:
            deadline = min(deadline, enclosing.deadline)
        if deadline <= now:
            raise DeadlineExceeded("no time is left for the call", sent=False)
        return deadline

    async def _pick(self, call: Call) -> Instance:
        """
        The instance for a call; while none is ready but one is being started, the call waits inside its deadline.
        """
        instance = self._route.pick()
        while instance is None:
            await self._change(call)
            instance = self._route.pick()
        return instance

    async def _change(self, call: Call) -> None:
        changed = anyio.Event()
        self._route.wait(changed)
        try:
            with anyio.move_on_after(_remaining(call)):
                await changed.wait()
                return
        finally:
            self._route.forget(changed)
        raise DeadlineExceeded("no instance became ready in time", sent=False)

    async def _send(self, instance: Instance, call: Call) -> Reply:
        channel = instance.channel
        if channel is None:
            raise Unavailable("the instance was closed", sent=False)
        instance.in_flight += 1
        try:
            if instance.native_deadline:
                return await channel.call(call)
            with anyio.move_on_after(_remaining(call)):
                return await channel.call(call)
            raise DeadlineExceeded("no reply in time")
        finally:
            instance.in_flight -= 1


def _nested(
    interceptors: Sequence[Interceptor], innermost: Callable[[Call], Awaitable[Reply]]
) -> Callable[[Call], Awaitable[Reply]]:
    """
    The interceptors as one function, the first one outermost.
    """
    proceed = innermost
    for interceptor in reversed(interceptors):
        proceed = _around(interceptor, proceed)
    return proceed


def _around(
    interceptor: Interceptor, proceed: Callable[[Call], Awaitable[Reply]]
) -> Callable[[Call], Awaitable[Reply]]:
    async def call_through(call: Call) -> Reply:
        try:
            return await interceptor(call, proceed)
        except RemoraError:
            raise
        except Exception as error:  # an interceptor may be a stranger's code
            raise ExtensionError(f"an interceptor failed with {type(error).__name__}: {error}") from error

    return call_through


def _remaining(call: Call) -> float:
    assert call.deadline is not None  # every call in the pipeline has one
    return max(0.0, call.deadline - anyio.current_time())
