"""
One attempt at one instance: its place among the calls, its way there, and the verdict.

What lives here: the parts of stages 4, 8, 9 and 10 of a call. What must not: their order (see `_pipeline`), and the
choice of the instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora._calls._instance import CUT, State
from remora._calls._intercepted import attempt_through_interceptors
from remora._calls._outage import cause_of
from remora._extensions._faults import is_fault
from remora.errors import (
    Cancelled,
    ConnectionLost,
    DeadlineExceeded,
    ExtensionError,
    GiveUp,
    Overloaded,
    RemoraError,
    Unavailable,
)
from remora.policy import Permit, verdict_of
from remora.types import Attempt

if TYPE_CHECKING:
    from typing import NoReturn

    from remora._calls._instance import Instance
    from remora._calls._route import Route
    from remora._extensions._interception import Proceed
    from remora.policy import Ticket
    from remora.types import Call, Reply

_READY = State.READY  # a global name is found faster than a member

_PATIENCE = 1.0
"""Seconds in which third-party code may let go of a call that was cancelled."""

ABANDONED = Cancelled("the call was cancelled", sent=False)
"""The failure of an attempt that was cancelled. It is never raised."""


class Delivery:
    """
    Makes the attempts of one plugin's calls.

    Attributes:
        learner: The balancer, if it is told of attempts.
    """

    __slots__ = ("_clock", "_route", "learner")

    def __init__(self, route: Route) -> None:
        self._route = route
        self._clock = route.clock
        self.learner = route.balancing if route.balancing is not None and route.balancing.learns else None

    async def queue(self, instance: Instance, call: Call, ticket: Ticket) -> bool:
        """
        Wait for a place among the calls of an instance, in turn and within the deadline.

        Returns:
            Whether the instance still takes calls; otherwise the place has been given back.

        Raises:
            DeadlineExceeded: No place became free in time.
        """
        ticket.waiter = admitted = anyio.Event()
        is_ours = False
        try:
            with anyio.move_on_after(self._route.remaining(call)):
                await admitted.wait()
                is_ours = instance.is_able
                return is_ours
        finally:
            if not is_ours:
                self._leave(instance, ticket)
        raise DeadlineExceeded("no place among the calls under way became free in time", sent=False)

    def probe(self, instance: Instance, ticket: Ticket) -> Permit | None:
        """
        The permit of a circuit breaker that is not closed; None when it refuses, and the place has been given back.
        """
        permit = instance.breaker.admit()
        if not isinstance(permit, Permit):
            self._leave(instance, ticket)
            return None
        self._route.breaker_changed(instance, permit.change)
        return permit

    def sender(self, instance: Instance, number: int) -> Proceed:
        """
        A function that sends a call to an instance as its attempt of that number: through interceptors and the auth
        method, and with a timer for the deadline unless the transport keeps the whole of it by itself. That for first
        attempts is kept for all calls.
        """
        send = instance.send
        if send is None:
            raise Unavailable("the instance was closed", sent=False)
        interception = self._route.interception  # that in force: what is prepared serves the calls of others, too
        if interception.attempts:
            where = instance.endpoint
            attempt = Attempt(number=number, plugin=self._route.name, instance=instance.name, endpoint=where)
            send = attempt_through_interceptors(interception.attempts, attempt, self._route.conduct, send)
        if interception.attempts_wait or not instance.native_deadline:
            send = self._timed(instance, send)
        if number == 1:
            instance.prepared = send
        return send

    def _timed(self, instance: Instance, send: Proceed) -> Proceed:
        return lambda call: self._within(call, instance, send)

    async def _within(self, call: Call, instance: Instance, send: Proceed) -> Reply:
        with anyio.move_on_after(self._route.remaining(call)) as scope:
            instance.scopes[scope] = None
            try:
                return await send(call)
            finally:
                instance.scopes.pop(scope, None)
                if scope.cancel_called and anyio.current_time() > scope.deadline + _PATIENCE:
                    self._stayed(instance, anyio.current_time() - scope.deadline)
        raise DeadlineExceeded("no reply in time")

    def _stayed(self, instance: Instance, seconds: float) -> None:
        """
        Hold it against the transport that it has not let go of a call.
        """
        culprit = f"the transport of {instance.origin}"
        if self._route.interception.attempts:
            culprit += " or an interceptor"
        ignored = ExtensionError(f"it went on with a call for {seconds:.1f} s after the call was cancelled")
        self._route.conduct.about(instance=instance.name).failed(culprit, ignored)

    def explained(self, instance: Instance, error: BaseException, started: float) -> RemoraError:
        """
        The error to raise for an exception of a transport, which may be third-party code, in an attempt that started
        then.

        Raises:
            BaseException: It is a cancellation or an interruption.
        """
        if isinstance(error, RemoraError):
            if instance.is_cut and not isinstance(error, GiveUp):
                return _cut(error)
            why = instance.why_closed(started)
            return _closed(error, why) if why else error
        conduct, culprit = self._route.conduct.about(instance=instance.name), f"the transport of {instance.origin}"
        if not is_fault(error):
            raise conduct.cancelled(culprit, error) from None
        try:
            conduct.explain(culprit, error)
        except RemoraError as failure:
            return failure

    def end(
        self,
        call: Call,
        instance: Instance,
        ticket: Ticket,
        permit: Permit,
        failure: RemoraError | None,
        started: float,
    ) -> None:
        """
        Stage 10: end an attempt, with one verdict for all policies, and hand its place to the next call.

        Args:
            call: The call.
            instance: The instance.
            ticket: The place.
            permit: The permit of the circuit breaker.
            failure: Why there is no reply; None when there is one, ABANDONED when the attempt was cancelled.
            started: When it was sent, on the event loop's clock.
        """
        breaker = instance.breaker
        now = self._clock()
        duration = now - started
        instance.meter.attempted(call, duration, failure, self._route.interception.tracing)
        verdict = True if failure is None else verdict_of(failure)
        if verdict:
            if (change := breaker.succeeded(permit, duration, now)) is not None:
                self._route.breaker_changed(instance, change)
            if instance.has_failed or not instance.is_prime:
                instance.has_failed = False
                self._route.health_changed(instance, instance.condition.call_succeeded())
        elif failure is not None and verdict is False:
            self._route.breaker_changed(instance, breaker.failed(permit, cause_of(failure)))
            instance.has_failed = True
            self._route.health_changed(instance, instance.condition.call_failed(cause_of(failure)))
        else:
            breaker.abandoned(permit)
        if instance.is_adaptive and verdict is not None:
            for admitted in instance.adapt(duration, ok=verdict):
                _wake(admitted)
        if (following := instance.limit.release(ticket)) is not None:
            _wake(following)
        elif instance.state is not _READY:
            self._left(instance)
        if self.learner is not None:
            self.learner.finished(instance, duration, ok=verdict)

    def _leave(self, instance: Instance, ticket: Ticket) -> None:
        """
        Give a place back, and wake the call that gets it.
        """
        if (following := instance.limit.release(ticket)) is not None:
            _wake(following)
        else:
            self._left(instance)

    def _left(self, instance: Instance) -> None:
        if instance.state is not _READY:  # somebody may wait for the last one
            self._route.changed()


def refuse(instance: Instance) -> NoReturn:
    """
    Refuse a call for which an instance has no place, not even in its queue.

    Raises:
        Overloaded: Always.
    """
    limit, pending = instance.limit.limit, instance.limit.pending
    raise Overloaded(f"{limit} calls are under way and {pending} wait; no more are let in")


def _cut(error: RemoraError) -> Cancelled:
    """
    The error of a call that was cut off; when it may be made twice, it is retried at another instance.
    """
    cut = Cancelled(CUT, sent=error.sent)
    cut.retryable = True
    cut.__cause__ = error
    return cut


def _closed(error: RemoraError, why: str) -> RemoraError:
    """
    The error of a call whose connection this side has closed, for a reason; it is retried like any other lost one.
    """
    if type(error) is not ConnectionLost:
        return error
    closed = ConnectionLost(f"{why}, and the call had not ended: {error.message}", sent=error.sent)
    closed.__cause__ = error
    return closed


def _wake(ticket: Ticket) -> None:
    if isinstance(ticket.waiter, anyio.Event):
        ticket.waiter.set()
