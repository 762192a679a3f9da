"""
One call from start to finish. The only file that knows the order of the stages.

What lives here: the order. What must not: the stages' decisions (see `policy` and `_route`).
"""

from __future__ import annotations

import logging
import random
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

import anyio
from anyio.lowlevel import checkpoint

from remora._calls._change_of import change_of
from remora._calls._delivery import ABANDONED, Delivery, refuse
from remora._calls._instance import CUT
from remora._calls._intercepted import through_interceptors
from remora._context import handled_call
from remora._draft import make_call
from remora._log_fields import of_call
from remora._plain import printable
from remora.errors import (
    Cancelled,
    CircuitOpen,
    ConfigError,
    DeadlineExceeded,
    Draining,
    InvalidRequest,
    ManagerClosed,
    RateLimited,
    RemoraError,
)
from remora.policy import Retry
from remora.types import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora._calls._fallback import Fallback
    from remora._calls._instance import Instance
    from remora._calls._route import Route
    from remora._extensions._interception import Proceed
    from remora.policy import Chance

T = TypeVar("T")

_log = logging.getLogger(__name__)

_NUMBERS: tuple[type, ...] = (float, int)  # a union would be built anew for each call

_enclosing = handled_call.get  # to find the method takes longer than to call it

_FINAL = (CircuitOpen, ConfigError, Draining, ManagerClosed)
"""Errors of the host itself that another attempt would meet again."""

_ROUNDING = 1e-6
"""Seconds by which equal times may differ because of rounding."""


class Pipeline:
    """
    The path of every call of one plugin, put together once.
    """

    __slots__ = (
        "__weakref__",
        "_allowed",
        "_calls",
        "_clock",
        "_delivery",
        "_deposit",
        "_fallback",
        "_hash_header",
        "_intercepted",
        "_is_limited",
        "_retry",
        "_route",
        "_tracing",
    )

    def __init__(
        self,
        route: Route,
        *,
        fallback: Fallback | None = None,
        rng: Chance | None = None,
    ) -> None:
        self._route = route
        self._clock = route.clock
        self._calls = route.calls
        self._deposit = route.budget.deposit
        self._allowed = route.config.connection.request_timeout
        self._is_limited = route.config.rate_limit.enabled
        self._retry = Retry(route.config.retry, rng=rng or random.Random())
        self._hash_header = route.config.hash_header.lower()
        interception = route.interception
        self._delivery = Delivery(route)
        self._tracing = interception.tracing
        self._fallback = fallback
        self._intercepted: Proceed | None = None
        if interception.calls:
            self._intercepted = through_interceptors(interception.calls, route.conduct, self._attempts)
        if self._intercepted is not None and interception.calls_wait:  # the deadline applies to interceptors, too
            self._intercepted = partial(self._bounded, self._intercepted)

    def deadline(self, timeout: float | None) -> float:
        """
        Stage 2: the deadline of a call that is made now: the earliest of the caller's timeout, the configured one, and
        the deadline of the handler that makes the call.

        Raises:
            InvalidRequest: The timeout is not a positive number.
        """
        allowed = self._allowed
        if timeout is not None:
            if not (isinstance(timeout, _NUMBERS) and timeout > 0):  # "5s" is valid only in a configuration
                raise InvalidRequest(f"a timeout is a positive number of seconds, not {timeout!r}")
            if timeout < allowed:
                allowed = timeout
        deadline = self._clock() + allowed
        enclosing = _enclosing()
        if enclosing is not None and enclosing.deadline is not None:
            return min(deadline, enclosing.deadline)
        return deadline

    def __call__(self, call: Call, timeout: float | None) -> Awaitable[Reply]:
        """
        Make a call (see `carry`) that has no deadline yet.

        Args:
            call: The call.
            timeout: Seconds that the caller allows; None for the other limits only.
        """
        return self.carry(
            make_call(
                call.service,
                call.method,
                call.payload,
                call.content_type,
                call.headers,
                self.deadline(timeout),
                call.request_id,
                call.idempotent,
                call.hash_key,
                call.identity,
            )
        )

    @overload
    async def carry(self, call: Call) -> Reply: ...

    @overload
    async def carry(self, call: Call, read: Callable[[Call, Reply], T]) -> T: ...

    async def carry(self, call: Call, read: Callable[[Call, Reply], Any] | None = None) -> Any:
        """
        Make a call that already has its `deadline`.

        Args:
            call: The call.
            read: Turns a reply into the answer; when it raises, the call has failed, in metrics as well.

        Returns:
            The answer; without `read`, the reply itself.

        Raises:
            RemoraError: The call has no answer; the error says where it happened and what can be done.
        """
        route = self._route
        began = now = self._clock()
        failure: RemoraError | None = ABANDONED
        try:
            if call.deadline is not None and call.deadline <= now:  # 2 has left no time
                raise DeadlineExceeded("no time is left for the call", sent=False)
            if not self._calls.enter():  # 1 admit
                raise route.refusal()
            try:
                if self._is_limited and not route.bucket.take(now):  # 3 rate limit
                    now = await self._take_turn(call)
                if self._intercepted is None:
                    reply = await self._attempts(call, now)
                else:
                    reply = await self._intercepted(call)  # 5 interceptors, then 6 attempts
                answer = reply if read is None else read(call, reply)
            finally:
                if self._calls.leave():
                    route.changed()
            failure = None
        except RemoraError as error:
            failure = error
            error.locate(plugin=route.name, instance=None, request_id=call.request_id)
            if _log.isEnabledFor(logging.DEBUG):
                self._log_failure(call, error)
            await checkpoint()  # else a caller that retries in a loop would starve the tasks that could end the failure
            if self._fallback is None:
                raise
            answer = await self._fallback.answer(call, error, read)
            failure = None
            return answer
        finally:
            route.meter.ended(call, self._clock() - began, failure, self._tracing)
        if self._fallback is not None:
            self._fallback.remember(call, reply)
        return answer

    def _log_failure(self, call: Call, error: RemoraError) -> None:
        words = printable(str(error), most=1000)  # may be text from the plugin
        _log.debug("a call of %s failed: %s", call.name, words, extra=of_call(call, error, self._tracing))

    async def _bounded(self, send: Proceed, call: Call) -> Reply:
        with anyio.move_on_after(self._route.remaining(call)) as scope:
            self._route.scopes[scope] = None
            try:
                return await send(call)
            finally:
                self._route.scopes.pop(scope, None)
        if self._route.is_cut:
            raise Cancelled(CUT)
        raise DeadlineExceeded("no reply in time")

    async def _attempts(self, call: Call, now: float | None = None) -> Reply:
        """
        Stage 6: attempts, until one has a reply or another would be useless. `now` is the time, when it is already
        known.
        """
        route, delivery = self._route, self._delivery
        key = call.hash_key
        if self._hash_header and not key:
            key = call.headers.get(self._hash_header, "")
        started = self._clock() if now is None else now
        self._deposit(started)
        tried: tuple[Instance, ...] = ()
        attempts = 1
        while True:
            instance = None
            try:
                instance = route.choice.pick(started, key, tried)  # 7 pick
                if instance is None:  # none is ready, but one is being started
                    await self._change(call)
                    started = self._clock()
                    continue
                ticket = instance.limit.acquire() or refuse(instance)  # 4 concurrency
                if not ticket.is_admitted:
                    is_ours = await delivery.queue(instance, call, ticket)
                    started = self._clock()
                    if not is_ours:
                        continue
                permit = instance.breaker.shared or delivery.probe(instance, ticket)
                if permit is None:
                    continue
                if delivery.learner is not None:
                    delivery.learner.started(instance)
                failure: RemoraError | None = ABANDONED
                try:
                    send = instance.prepared if attempts == 1 else None
                    reply = await (send or delivery.sender(instance, attempts))(call)  # 8 authenticate, 9 send
                    if not isinstance(reply, Reply):
                        raise TypeError(f"expected a Reply, got {type(reply).__name__}")
                    failure = None
                    return reply
                except BaseException as error:  # a transport may be a stranger's code
                    failure = delivery.explained(instance, error, started)
                    if failure is error:
                        raise
                    raise failure from failure.__cause__
                finally:
                    delivery.end(call, instance, ticket, permit, failure, started)  # 10 record
            except RemoraError as error:
                if instance is not None:
                    error.locate(plugin=route.name, instance=instance.name, request_id=call.request_id)
                    tried += (instance,)
                delay = self._next_delay(call, error, attempts)
                if delay is None:
                    raise
            attempts += 1
            await self._rest(delay)
            started = self._clock()

    def _next_delay(self, call: Call, error: RemoraError, attempts: int) -> float | None:
        """
        Seconds until the next attempt; None when there is no other.
        """
        if isinstance(error, _FINAL):
            return None
        idempotent = call.idempotent or self._retry.is_idempotent(call.service, call.method)
        delay = self._retry.delay(attempts, error, idempotent=idempotent, remaining=self._route.remaining(call))
        if delay is None:
            return None
        if not self._route.budget.withdraw():
            self._route.meter.retry_refused()
            return None
        self._route.meter.retried()
        return delay

    async def _take_turn(self, call: Call) -> float:
        """
        Stage 3: take a token of the rate limit, now or, in the mode "wait", within the deadline.

        Returns:
            The time then.
        """
        bucket = self._route.bucket
        turn = bucket.reserve(self._route.remaining(call))
        if not turn.is_granted:
            raise self._limited(turn.wait)
        try:
            while (wait := bucket.wait_for(turn)) > 0 and not self._route.is_cut:
                if wait > self._route.remaining(call) + _ROUNDING:  # a reload has lowered the rate
                    raise self._limited(wait)
                with anyio.move_on_after(wait):
                    await change_of(self._route)
        except BaseException:
            bucket.cancel(turn)
            raise
        return self._clock()

    def _limited(self, wait: float) -> RateLimited:
        """
        The error for a call above the rate limit.
        """
        self._route.meter.limited()
        rate = self._route.config.rate_limit.requests_per_second
        return RateLimited(f"more than {rate:g} calls a second; try again in {wait:.3g} s", retry_after=wait)

    async def _change(self, call: Call) -> None:
        """
        Wait until any instance has changed, within the deadline; if none has been started yet, this call starts
        them.
        """
        self._route.rouse()
        with anyio.move_on_after(self._route.remaining(call)):
            await change_of(self._route)
            return
        raise DeadlineExceeded(f"no instance became ready in time: {self._route.why_out()}", sent=False)

    async def _rest(self, seconds: float) -> None:
        """
        Wait for some seconds, or until calls are cut off.
        """
        with anyio.move_on_after(seconds):
            while not self._route.is_cut:
                await change_of(self._route)
