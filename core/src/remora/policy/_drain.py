"""
The calls under way, and whether the last one has ended.

Theory of operation: while it is open, calls enter and leave. Once it drains, no call enters any more, so the number can
only fall; each call that leaves then learns that it is waited for, and wakes those who wait. Draining may be called
off.

No locks: the event loop serialises, because no method awaits.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from remora._frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable


class DrainState(StrEnum):
    """
    Whether new calls may enter, and whether any are still under way.
    """

    OPEN = "open"
    DRAINING = "draining"
    DRAINED = "drained"


class DrainSignal(StrEnum):
    """
    What moves a counter from one state to another.
    """

    DRAIN = "draining was asked for"
    LAST_LEFT = "the last call has ended"
    RESUME = "draining was called off"


TRANSITIONS = {
    (DrainState.OPEN, DrainSignal.DRAIN): DrainState.DRAINING,
    (DrainState.DRAINING, DrainSignal.LAST_LEFT): DrainState.DRAINED,
    (DrainState.DRAINING, DrainSignal.RESUME): DrainState.OPEN,
    (DrainState.DRAINED, DrainSignal.RESUME): DrainState.OPEN,
}


_OPEN = DrainState.OPEN  # a global name is found faster than a member


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainProgress:
    """
    How far draining has come.

    Attributes:
        total: Calls that were under way when it began.
        remaining: Calls that still are.
        elapsed: Seconds since it began.
    """

    total: int
    remaining: int
    elapsed: float


class DrainCounter:
    """
    Counts the calls under way at a plugin or an instance, and says when the last one has ended.

    Attributes:
        state: Whether calls may enter.
        active: How many calls are under way.
    """

    __slots__ = ("_clock", "_since", "_total", "active", "state")

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.state: DrainState = DrainState.OPEN
        self.active: int = 0
        self._total = 0
        self._since = 0.0

    @property
    def is_idle(self) -> bool:
        """
        Whether no call is under way.
        """
        return self.active == 0

    def enter(self) -> bool:
        """
        Whether a new call may begin; if so, it is counted.
        """
        if self.state is not _OPEN:
            return False
        self.active += 1
        return True

    def leave(self) -> bool:
        """
        A call has ended, however it did.

        Returns:
            Whether a drain waits for it.
        """
        if not self.active:
            raise ValueError("more calls left than have entered")
        self.active -= 1
        if self.state is _OPEN:
            return False
        self._settle()
        return True

    def drain(self) -> bool:
        """
        Let no new calls in. Calling it again changes nothing.

        Returns:
            Whether no call is under way, so that there is nothing to wait for.
        """
        if self.state is DrainState.OPEN:
            self.state = TRANSITIONS[self.state, DrainSignal.DRAIN]
            self._total, self._since = self.active, self._clock()
        return self.state is DrainState.DRAINED or self._settle()

    def resume(self) -> None:
        """
        Let new calls in again.
        """
        if self.state is not DrainState.OPEN:
            self.state = TRANSITIONS[self.state, DrainSignal.RESUME]

    def progress(self) -> DrainProgress | None:
        """
        How far draining has come; None while it is not draining.
        """
        if self.state is DrainState.OPEN:
            return None
        return DrainProgress(total=self._total, remaining=self.active, elapsed=self._clock() - self._since)

    def _settle(self) -> bool:
        if self.active:
            return False
        self.state = TRANSITIONS[self.state, DrainSignal.LAST_LEFT]
        return True
