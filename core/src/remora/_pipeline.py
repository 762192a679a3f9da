"""
One call from start to finish. The only file that knows the order of the stages.

What lives here: the order. What must not: the stages' decisions (see `policy` and `_route`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from remora._context import handled_call
from remora._faults import cancellation, raise_explained
from remora.errors import DeadlineExceeded, InvalidRequest, RemoraError, Unavailable
from remora.types import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora._route import Instance, Route
    from remora.protocols import Interceptor


class Pipeline:
    """
    The way of every call of one plugin, put together once.
    """

    def __init__(self, route: Route, interceptors: Sequence[tuple[str, Interceptor]]) -> None:
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
            reply = await (channel.call(call) if instance.native_deadline else _bounded(call, channel.call))
            return _checked(reply)
        except RemoraError:
            raise
        except Exception as error:  # a transport may be a stranger's code
            raise_explained(f"the transport of {instance.origin}", error)
        except BaseExceptionGroup as group:
            raise cancellation(group, f"the transport of {instance.origin}") from None
        finally:
            instance.in_flight -= 1


Proceed = Callable[[Call], Awaitable[Reply]]


def _nested(interceptors: Sequence[tuple[str, Interceptor]], proceed: Proceed) -> Proceed:
    """
    The interceptors as one function, the first one outermost; with any at all, the deadline holds for them too.
    """
    if not interceptors:
        return proceed
    for culprit, interceptor in reversed(interceptors):
        proceed = _around(culprit, interceptor, proceed)
    return partial(_bounded, send=proceed)


def _around(culprit: str, interceptor: Interceptor, proceed: Proceed) -> Proceed:
    async def call_through(call: Call) -> Reply:
        try:
            return _checked(await interceptor(call, proceed))
        except RemoraError:
            raise
        except Exception as error:  # an interceptor may be a stranger's code
            raise_explained(culprit, error)
        except BaseExceptionGroup as group:
            raise cancellation(group, culprit) from None

    return call_through


async def _bounded(call: Call, send: Proceed) -> Reply:
    with anyio.move_on_after(_remaining(call)):
        return await send(call)
    raise DeadlineExceeded("no reply in time")


def _checked(reply: object) -> Reply:
    if not isinstance(reply, Reply):
        raise TypeError(f"expected a Reply, got {type(reply).__name__}")
    return reply


def _remaining(call: Call) -> float:
    if call.deadline is None:
        raise InvalidRequest("an interceptor took the deadline from the call")
    return max(0.0, call.deadline - anyio.current_time())
