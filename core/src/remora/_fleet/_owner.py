"""
The owner of an instance: the one task that opens it, keeps it, closes it and opens it again.

What lives here: the life of an instance, as messages to its owner. What must not: calls.
"""

from __future__ import annotations

import math
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from remora._calls._change_of import change_of
from remora._calls._handshake import shake_hands
from remora._calls._instance import State
from remora._calls._outage import cause_of
from remora._extensions._faults import innermost, is_fault, told
from remora._fleet._opened import channel_of, context_of
from remora._fleet._vigil import Vigil
from remora._plain import shortened
from remora.errors import RemoraError, Unavailable, VersionMismatch
from remora.types import (
    InstanceFailed,
    InstanceLost,
    InstanceReady,
    InstanceStopped,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from remora._calls._route import Route
    from remora._extensions._conduct import Conduct
    from remora._fleet._assembly import Part
    from remora.policy import RestartPolicy
    from remora.protocols import Channel
    from remora.types import Event

SHUT_DOWN = "the manager is shut down"
UNNEEDED = "it is no longer configured, or another one has taken its place"
RESTART = "a restart was asked for"
"""Reasons for which instances are closed."""

_ILL = (Status.UNHEALTHY, Status.OFFLINE)

_CLOSING_TIME = 30.0
_PATIENCE = 10.0  # a child process that ignores signals is dead by then
_SLACK = 1.0  # a transport's own start limit gives the better message, so let it expire first


class Owner:
    """
    The task that owns one instance, and the messages that it understands.

    Attributes:
        route: The plugin.
        instance: The instance.
        has_begun: Whether the task is at work.
        is_stopping: Whether it has been told to end.
    """

    def __init__(
        self,
        route: Route,
        part: Part,
        *,
        policy: RestartPolicy,
        publish: Callable[[Event], None],
        turn: AbstractAsyncContextManager[object],
    ) -> None:
        self.route = route
        self.instance = part.instance
        self._transport = part.transport
        self._culprit = f"the transport of {part.origin}"
        self._policy = policy
        self._publish = publish
        self._turn = turn
        self.has_begun = False
        self._starts = 0
        self._why_started = "it is configured"
        self._was_ready = False
        """Whether the instance has been ready since the last start."""
        self._holding: anyio.CancelScope | None = None
        self._is_open = False
        self._vigil = self._new_vigil()
        """A new one for each start."""
        self._lets_calls_end = False
        """Whether the restart that is due waits for calls."""
        self.is_stopping = False
        self._why_stopped = SHUT_DOWN
        self._is_retired = False
        """Whether the end of the channel is the end of the task."""
        self._is_succeeded = False
        """Whether another owner opens the instance afterwards, so that this one must not mark it as stopped."""
        self._ended = anyio.Event()

    def stop(self, cause: str) -> None:
        """
        Tell the task to close the instance and to end. Of several causes the first one counts.
        """
        if not self.is_stopping:
            self._why_stopped = cause
        self.is_stopping = True
        self._interrupt()

    def give_over(self) -> None:
        """
        Another owner follows and opens the instance again: calls wait for that.
        """
        self._is_succeeded = True
        self.instance.start()
        self.route.changed()

    async def wait_stopped(self) -> None:
        """
        Wait until the task has ended. If that takes long, the log says whose transport it is.
        """
        if self._ended.is_set():
            return
        with anyio.move_on_after(_PATIENCE):
            await self._ended.wait()
        if not self._ended.is_set():
            self._conduct.lingers(self._culprit, _PATIENCE)
            await self._ended.wait()

    def restart(self) -> None:
        """
        Tell the task to close the instance and to open it again: one that is well after its calls have ended, within
        the time that a call may take; any other, and one that is asked for a second time, at once.
        """
        self._policy.reset()
        self._lets_calls_end = self.instance.is_able and self.instance.condition.status not in _ILL
        self._why_started = RESTART
        self.instance.closing(RESTART)
        self._interrupt()

    def retire(self) -> None:
        """
        Tell the task to end when the open channel ends; one that is still being opened is given up.
        """
        self._is_retired = True
        self._why_stopped = UNNEEDED
        if not self._is_open:
            self.stop(UNNEEDED)

    def hurry(self) -> None:
        """
        Do not wait for the instance to close in its own time.
        """
        if self.is_stopping and self._holding is not None:
            self._holding.cancel()

    @property
    def _conduct(self) -> Conduct:
        return self.route.conduct.about(instance=self.instance.name)

    async def run(self) -> None:
        """
        Keep the instance open until the task is told to stop.
        """
        self.has_begun = True
        try:
            while not self.is_stopping:
                self.instance.start()
                self._was_ready, self._vigil = False, self._new_vigil()
                error = await self._hold()
                if self._is_retired:
                    break
                if not self.is_stopping:
                    await self._pause(error)
        finally:
            if not self._is_succeeded:
                self.instance.stop()
            self.route.changed()
            self._tell(InstanceStopped, cause=self._why_stopped)
            self._ended.set()

    def _new_vigil(self) -> Vigil:
        return Vigil(self.route, self.instance, transport=self._culprit, tell=self._tell)

    def _interrupt(self) -> None:
        self._vigil.interrupt()
        self._refuse_calls()
        if self._holding is not None and not self._is_open:
            self._holding.cancel()

    def _refuse_calls(self) -> None:
        if self.is_stopping and not self._is_succeeded:
            self.instance.stop()
        else:
            self.instance.close()
        self.route.changed()

    async def _hold(self) -> RemoraError | None:
        """
        Open the instance and keep it until it ends.

        Returns:
            Why it ended; None when it was asked to.
        """
        outcome: list[RemoraError | None] = []
        try:
            # shielded: when the manager is cancelled, it closes instances itself, in order
            with anyio.CancelScope(shield=True) as self._holding:
                await self._keep(self._holding, outcome)
        finally:
            self._holding, self._is_open = None, False
        return outcome[0] if outcome else None

    async def _keep(self, scope: anyio.CancelScope, outcome: list[RemoraError | None]) -> None:
        """
        Open the channel and keep it; an error becomes the outcome, never an exception.
        """
        stack = AsyncExitStack()
        try:
            channel = await self._open(stack, scope)
            outcome.append(await self._vigil.until_ended(channel))
            await self._until_idle()
        except BaseException as error:  # a transport may be a stranger's code
            outcome.append(self._explain(error))
        finally:
            if self._is_late(scope):
                outcome.insert(0, Unavailable(f"not ready after {self._limit:g} s", sent=False))
            self._begin_closing()
            await self._close(stack, outcome)

    async def _open(self, stack: AsyncExitStack, scope: anyio.CancelScope) -> Channel:
        """
        Open the channel when its turn has come, within the time limit.
        """
        async with self._turn:
            started = anyio.current_time()
            scope.deadline = started + self._limit
            context = context_of(self._transport.open(self.instance.endpoint))
            channel = channel_of(await stack.enter_async_context(context))
            await shake_hands(self.instance.sender(channel), self.instance.config)
            scope.deadline = math.inf
            await checkpoint_if_cancelled()  # a transport may have ignored that its time is over
        self._is_open = True
        self._is_ready(channel, anyio.current_time() - started)
        return channel

    @property
    def _limit(self) -> float:
        """
        The seconds within which the instance must be ready.
        """
        return self.instance.config.connection.connection_timeout + _SLACK

    def _is_late(self, scope: anyio.CancelScope) -> bool:
        """
        Whether opening was given up because it took too long.
        """
        return scope.cancel_called and not (self._was_ready or self._vigil.is_interrupted)

    async def _close(self, stack: AsyncExitStack, outcome: list[RemoraError | None]) -> None:
        """
        Close the channel, if it is open, in the same way after success and after an error.
        """
        try:
            await stack.aclose()
        except BaseException as error:  # a transport may fail while it is cancelled
            outcome.append(self._explain(error))

    def _begin_closing(self) -> None:
        """
        Refuse new calls, and limit the time that closing may take.
        """
        self._refuse_calls()
        if self._holding is not None:
            self._holding.deadline = anyio.current_time() + _CLOSING_TIME

    async def _until_idle(self) -> None:
        """
        Let calls end before a restart. It takes no new ones meanwhile, and is not waited for when it is to be stopped.
        """
        with anyio.move_on_after(self.instance.config.connection.request_timeout):
            while self._lets_calls_end and self.instance.limit.in_use and not self.is_stopping:
                await change_of(self.route)
        self._lets_calls_end = False

    async def _pause(self, error: RemoraError | None) -> None:
        """
        Wait before the next start. Meanwhile calls wait if the instance was up until now, and fail if it was not.
        """
        if error is None:
            return
        self._why_started = cause_of(error)
        decision = self._policy.failed()
        is_final = isinstance(error, VersionMismatch)  # the next start would end in the same way
        delay = math.inf if is_final else decision.delay
        has_failed = is_final or decision.gave_up
        state = State.FAILED if has_failed else State.STARTING if self._was_ready else State.WAITING
        self.instance.lost(error, state, anyio.current_time() + delay)
        self.route.health_changed(self.instance, self.instance.condition.lost(shortened(cause_of(error))))
        self.route.changed()
        event = InstanceFailed if has_failed else partial(InstanceLost, was_ready=self._was_ready)
        self._tell(event, cause=shortened(error.message), retry_in=delay)
        await self._vigil.rest(delay)

    def _is_ready(self, channel: Channel, start_time: float) -> None:
        self._starts += 1
        self._was_ready = True
        self._policy.ready()
        self.instance.ready(channel)
        self.route.health_changed(self.instance, self.instance.condition.reset())
        self.route.breaker_changed(self.instance, self.instance.breaker.reset("the instance was started anew"))
        self.route.changed()
        self._tell(InstanceReady, start_time=start_time, starts=self._starts, cause=self._why_started)

    def _explain(self, error: BaseException) -> RemoraError:
        """
        The Remora error in an exception of a transport; any other exception is logged as the transport's fault.

        Raises:
            BaseException: It is a cancellation or an interruption.
        """
        if not is_fault(error):
            raise self._conduct.cancelled(self._culprit, error) from None
        inner = innermost(error)
        if isinstance(inner, RemoraError):
            return inner
        self._conduct.failed(self._culprit, error)
        return Unavailable(f"{self._culprit} failed with {told(inner)}", sent=False)

    def _tell(self, event: Callable[..., Event], **facts: Any) -> None:
        self._publish(event(time=time.time(), **self.route.about(self.instance), **facts))
