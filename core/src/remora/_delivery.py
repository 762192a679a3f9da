"""
One attempt at one instance: a place among its calls, the sending, and the verdict.

What lives here: stages 4, 8, 9 and 10 of a call (see `_pipeline`). What must not: the choice of the instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from remora._instance import State
from remora.errors import Cancelled, DeadlineExceeded, GiveUp, Overloaded, RemoraError, Unavailable
from remora.policy import Permit, verdict_of
from remora.types import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora._instance import Instance
    from remora._route import Route
    from remora.policy import Ticket
    from remora.types import Call


class Delivery:
    """
    Sends the calls of one plugin.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._balancer = route.balancer

    async def __call__(self, instance: Instance, call: Call) -> Reply | None:
        """
        Send a call to an instance, and let its policies know how it ended.

        Returns:
            The reply; None when the instance takes no calls any more by the time that there is a place.

        Raises:
            Overloaded: It has no place for the call, not even in its queue.
            DeadlineExceeded: There was no reply in time.
            RemoraError: As the transport says.
        """
        ticket = self._place(instance)
        if not ticket.is_admitted:
            await self._queue(instance, call, ticket)
        try:
            # asked only now: much may have happened while the call was in the queue
            permit = instance.breaker.admit() if instance.is_able else None
            return await self._judged(instance, call, permit) if isinstance(permit, Permit) else None
        finally:
            self._leave(instance, ticket)

    async def _judged(self, instance: Instance, call: Call, permit: Permit) -> Reply:
        self._route.breaker_changed(instance, permit.change)
        verdict: bool | None = None
        cause, started = "", self._route.clock()
        try:
            if self._balancer is not None:
                self._tell(self._balancer.started, instance)
            reply = await self._send(instance, call)
            verdict = True
            return reply
        except RemoraError as error:
            verdict, cause = verdict_of(error), error.message
            raise
        finally:
            self._record(instance, permit, verdict, self._route.clock() - started, cause)

    def _place(self, instance: Instance) -> Ticket:
        """
        Stage 4: a place among the calls under way, or in the queue for one.
        """
        ticket = instance.limit.acquire()
        if ticket is None:
            limit, pending = instance.limit.limit, instance.limit.pending
            raise Overloaded(f"{limit} calls are under way and {pending} wait; no more are let in")
        return ticket

    async def _queue(self, instance: Instance, call: Call, ticket: Ticket) -> None:
        """
        Wait for a place, in turn and within the deadline.
        """
        ticket.waiter = admitted = anyio.Event()
        is_ours = False
        try:
            with anyio.move_on_after(self._route.remaining(call)):
                await admitted.wait()
                is_ours = True
                return
        finally:
            if not is_ours:
                self._leave(instance, ticket)
        raise DeadlineExceeded("no place among the calls under way became free in time", sent=False)

    def _leave(self, instance: Instance, ticket: Ticket) -> None:
        """
        Give a place back, and wake whoever has it now.
        """
        following = instance.limit.release(ticket)
        if following is not None:
            _wake(following)
        elif instance.state is State.RETIRED:
            self._route.changed()

    async def _send(self, instance: Instance, call: Call) -> Reply:
        """
        Stages 8 and 9: the auth method's part, where there is one, and the transport's. The transport's own timer
        keeps the deadline where it has one.
        """
        channel = instance.channel
        if channel is None:
            raise Unavailable("the instance was closed", sent=False)
        send = instance.sender(channel)
        instance.in_flight += 1
        try:
            if instance.native_deadline:
                return _checked(await send(call))
            return _checked(await self._bounded(instance, call, send))
        except RemoraError as error:
            if instance.is_cut and not isinstance(error, GiveUp):
                raise _cut(error) from error
            raise
        except Exception as error:  # a transport may be a stranger's code
            self._route.conduct.explain(f"the transport of {instance.origin}", error)
        except BaseExceptionGroup as group:
            raise self._route.conduct.cancelled(f"the transport of {instance.origin}", group) from None
        finally:
            instance.in_flight -= 1

    async def _bounded(self, instance: Instance, call: Call, send: Callable[[Call], Awaitable[Reply]]) -> Reply:
        with anyio.move_on_after(self._route.remaining(call)) as scope:
            instance.scopes.add(scope)
            try:
                return await send(call)
            finally:
                instance.scopes.discard(scope)
        raise DeadlineExceeded("no reply in time")

    def _record(self, instance: Instance, permit: Permit, verdict: bool | None, duration: float, cause: str) -> None:
        """
        Stage 10: one verdict for all policies. None, for a call that was cancelled or never sent, blames nobody.
        """
        if verdict is None:
            instance.breaker.abandoned(permit)
        elif verdict:
            self._route.breaker_changed(instance, instance.breaker.succeeded(permit, duration=duration))
            self._route.health_changed(instance, instance.condition.call_succeeded())
        else:
            self._route.breaker_changed(instance, instance.breaker.failed(permit, cause))
            self._route.health_changed(instance, instance.condition.call_failed(cause))
        if verdict is not None:
            for ticket in instance.adapt(duration, ok=verdict):
                _wake(ticket)
        if self._balancer is not None:
            self._tell(self._balancer.finished, instance, latency=duration, ok=verdict)

    def _tell(self, report: Callable[..., None], instance: Instance, **facts: Any) -> None:
        """
        Let the balancer know; what it does wrong with that is no fault of the call.
        """
        culprit, conduct = self._route.balancer_name, self._route.conduct
        with conduct.watching(culprit):
            try:
                report(instance, **facts)
            except Exception as error:  # a balancer may be a stranger's code
                conduct.failed(culprit, error)


def _cut(error: RemoraError) -> Cancelled:
    """
    How a call ends that its instance had no time to finish; where it may be made twice, another instance has it.
    """
    cut = Cancelled("it was still under way when the time for draining was over", sent=error.sent)
    cut.retryable = True
    return cut


def _wake(ticket: Ticket) -> None:
    if isinstance(ticket.waiter, anyio.Event):
        ticket.waiter.set()


def _checked(reply: object) -> Reply:
    if not isinstance(reply, Reply):
        raise TypeError(f"expected a Reply, got {type(reply).__name__}")
    return reply
