"""
One attempt at one instance: a place among its calls, the sending, and the verdict.

What lives here: stages 4, 8, 9 and 10 of a call (see `_pipeline`). What must not: the choice of the instance.

Every call passes here, so what is usual costs no function call of its own: no queue, no change of state, no deadline
that the transport does not keep itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora._interception import nested_attempt
from remora.errors import DeadlineExceeded, Overloaded, RemoraError, Unavailable
from remora.policy import Permit, verdict_of
from remora.types import Attempt, Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora._instance import Instance
    from remora._interception import Proceed
    from remora._route import Route
    from remora.policy import Ticket
    from remora.protocols import AttemptInterceptor
    from remora.types import Call


class Delivery:
    """
    Sends the calls of one plugin.
    """

    def __init__(self, route: Route, interceptors: Sequence[tuple[str, AttemptInterceptor]] = ()) -> None:
        self._route = route
        self._clock = route.clock
        self._balancing = route.balancing
        self._conduct = route.conduct
        self._interceptors = interceptors

    async def __call__(self, instance: Instance, call: Call, number: int = 1) -> Reply | None:
        """
        Send a call to an instance, as its attempt of that number, and let its policies know how it ended.

        Returns:
            The reply; None when the instance takes no calls any more by the time that there is a place.

        Raises:
            Overloaded: It has no place for the call, not even in its queue.
            DeadlineExceeded: There was no reply in time.
            RemoraError: As the transport says.
        """
        limit, native = instance.limit, instance.native_deadline
        ticket = limit.acquire()  # 4 concurrency
        if ticket is None:
            raise _overloaded(instance)
        if has_queued := not ticket.is_admitted:
            await self._queue(instance, call, ticket)
        try:
            # much may have happened while the call was in the queue
            permit = None if has_queued and not instance.is_able else instance.breaker.admit()
            if not isinstance(permit, Permit):
                return None
            verdict: bool | None = None
            cause, started = "", self._clock()
            if permit.change is not None:
                self._route.breaker_changed(instance, permit.change)
            if self._balancing is not None:
                self._balancing.started(instance)
            instance.in_flight += 1
            try:
                send = self._sender(instance, number)  # 8 authenticate
                reply = await (send(call) if native else self._within(call, send))  # 9 send
                if not isinstance(reply, Reply):
                    raise TypeError(f"expected a Reply, got {type(reply).__name__}")
                verdict = True
                return reply
            except Exception as error:  # a transport may be a stranger's code
                failure = self._explained(instance, error)
                verdict, cause = verdict_of(failure), failure.message
                if failure is error:
                    raise
                raise failure from failure.__cause__
            except BaseExceptionGroup as group:
                raise self._conduct.cancelled(f"the transport of {instance.origin}", group) from None
            finally:
                instance.in_flight -= 1
                self._record(instance, permit, verdict, self._clock() - started, cause)  # 10 record
        finally:
            if (following := limit.release(ticket)) is not None:
                _wake(following)

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
            if not is_ours and (following := instance.limit.release(ticket)) is not None:
                _wake(following)
        raise DeadlineExceeded("no place among the calls under way became free in time", sent=False)

    def _sender(self, instance: Instance, number: int) -> Proceed:
        """
        What carries a call to an instance, with the parts of interceptors and the auth method where there are any.
        """
        channel = instance.channel
        if channel is None:
            raise Unavailable("the instance was closed", sent=False)
        send = channel.call if self._route.authenticate is None else self._route.sender(channel)
        if not self._interceptors:
            return send
        attempt = Attempt(number=number, plugin=self._route.name, instance=instance.name, endpoint=instance.endpoint)
        return nested_attempt(self._interceptors, attempt, self._conduct, send)

    async def _within(self, call: Call, send: Proceed) -> Reply:
        """
        Keep the deadline where the transport has no timer of its own.
        """
        with anyio.move_on_after(self._route.remaining(call)):
            return await send(call)
        raise DeadlineExceeded("no reply in time")

    def _explained(self, instance: Instance, error: Exception) -> RemoraError:
        if isinstance(error, RemoraError):
            return error
        try:
            self._conduct.explain(f"the transport of {instance.origin}", error)
        except RemoraError as failure:
            return failure

    def _record(self, instance: Instance, permit: Permit, verdict: bool | None, duration: float, cause: str) -> None:
        """
        Stage 10: one verdict for all policies. None, for a call that was cancelled or never sent, blames nobody.
        """
        route, breaker, condition = self._route, instance.breaker, instance.condition
        if verdict is None:
            breaker.abandoned(permit)
        elif verdict:
            if (change := breaker.succeeded(permit, duration=duration)) is not None:
                route.breaker_changed(instance, change)
            if (better := condition.call_succeeded()) is not None:
                route.health_changed(instance, better)
        else:
            route.breaker_changed(instance, breaker.failed(permit, cause))
            route.health_changed(instance, condition.call_failed(cause))
        if instance.is_adaptive and verdict is not None:
            for ticket in instance.adapt(duration, ok=verdict):
                _wake(ticket)
        if self._balancing is not None:
            self._balancing.finished(instance, duration, ok=verdict)


def _overloaded(instance: Instance) -> Overloaded:
    limit, pending = instance.limit.limit, instance.limit.pending
    return Overloaded(f"{limit} calls are under way and {pending} wait; no more are let in")


def _wake(ticket: Ticket) -> None:
    if isinstance(ticket.waiter, anyio.Event):
        ticket.waiter.set()
