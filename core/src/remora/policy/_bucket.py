"""
How many calls may be made per second.

Theory of operation: a bucket holds up to `burst_size` tokens and gains `requests_per_second` of them each second; a
call takes one. A call that finds none may reserve a turn instead: the level goes below zero, and the turn comes when
the level would be back at zero. Turns are given out in the order of asking and keep it, so waiting is fair by
construction, and nothing has to wake a waiter; only a change of the rate moves them, all in proportion, and then
waiters ask again how long. A cancelled turn goes to the next call that asks; those at the end go back to the bucket.

No locks: the event loop serialises, because no method awaits. Source: the generic cell rate algorithm, and Go's
x/time/rate for reservations that can be cancelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, final

from remora._frozen import dataclass
from remora.values import Count, Positive, check_limits

if TYPE_CHECKING:
    from collections.abc import Callable

_WHOLE = 1.0 - 1e-6
"""A token that is short by less than this counts as whole: times are not exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitConfig:
    """
    How many calls are let through, and what happens to the others.

    Attributes:
        enabled: Whether there is a limit at all.
        requests_per_second: Calls per second on average.
        burst_size: Calls at once after a pause.
        mode: What happens to a call above the limit: "reject" it, or have it "wait" for its turn within its deadline.
    """

    enabled: bool = False
    requests_per_second: Positive = 10.0
    burst_size: Count = 20
    mode: Literal["reject", "wait"] = "reject"

    def __post_init__(self) -> None:
        check_limits(self)


@final
class Turn:
    """
    The answer of a token bucket to a call.

    Attributes:
        is_granted: Whether the call may be made, after `wait`.
        wait: Seconds until it may be made; when it is refused, until it is worth asking again.
        due: When it may be made, on the bucket's clock.
        is_vacant: Whether the caller has given it back.
    """

    __slots__ = ("due", "is_granted", "is_vacant", "wait")

    def __init__(self, wait: float, *, is_granted: bool, due: float = 0.0) -> None:
        self.wait: float = wait
        self.is_granted: bool = is_granted
        self.due: float = due
        self.is_vacant: bool = False


_NOW = Turn(0.0, is_granted=True)


class TokenBucket:
    """
    The rate limit of one plugin. It starts full.
    """

    __slots__ = ("_burst", "_clock", "_is_enabled", "_level", "_rate", "_stamp", "_turns", "_vacant", "_waits")

    def __init__(self, config: RateLimitConfig, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._set(config)
        self._level = self._burst
        self._stamp = clock()
        self._turns: list[Turn] = []
        self._vacant = 0

    @property
    def level(self) -> float:
        """
        The tokens in the bucket; below zero, the number of turns that are reserved.
        """
        self._fill(self._clock())
        return self._level

    def take(self, now: float | None = None) -> bool:
        """
        Whether there is a token for one call; if so, it is taken. `now` is the time, when it is already known.
        """
        if not self._is_enabled:
            return True
        if now is None:
            now = self._clock()
        # as `_fill` does, which would be one call more for every call of the plugin
        level = self._level + (now - self._stamp) * self._rate
        self._stamp = now
        if level > self._burst:
            level = self._burst
        if level < _WHOLE:
            self._level = level
            return False
        self._level = level - 1.0
        return True

    def reserve(self, remaining: float | None = None) -> Turn:
        """
        Reserve a turn for one call. A granted turn is used up unless it is cancelled.

        Args:
            remaining: Seconds that the call has left; no later turn is granted. None for no limit.
        """
        if self.take():
            return _NOW
        return self._queue(self._stamp, remaining if self._waits else 0.0)

    def cancel(self, turn: Turn) -> None:
        """
        Give back a turn that is not waited for any more. One whose time has come is used up.
        """
        if turn.is_vacant or turn.due <= self._clock():
            return
        turn.is_vacant = True
        self._vacant += 1
        while self._turns and self._turns[-1].is_vacant:
            self._turns.pop()
            self._vacant -= 1
            self._level += 1.0

    def retune(self, config: RateLimitConfig) -> None:
        """
        Take another configuration; tokens and turns are kept, as far as the bucket can hold them. Turns come sooner or
        later in proportion to the rate, and at once when there is no limit any more.
        """
        now = self._clock()
        self._fill(now)
        self._reschedule(now, self._rate / config.requests_per_second if config.enabled else 0.0)
        self._set(config)

    def _set(self, config: RateLimitConfig) -> None:
        self._is_enabled, self._waits = config.enabled, config.mode == "wait"
        self._rate, self._burst = config.requests_per_second, float(config.burst_size)

    def wait_for(self, turn: Turn) -> float:
        """
        The seconds until a turn comes, at the present rate; 0 when it has come.
        """
        return max(0.0, turn.due - self._clock())

    def _reschedule(self, now: float, factor: float) -> None:
        """
        Multiply the remaining wait of each turn by `factor`.
        """
        for turn in self._turns:
            if turn.due > now:
                turn.due = now + (turn.due - now) * factor
        if not factor:
            self._level = max(self._level, 0.0)
            self._turns.clear()
            self._vacant = 0

    def _fill(self, now: float) -> None:
        self._level = min(self._burst, self._level + (now - self._stamp) * self._rate)
        self._stamp = now

    def _queue(self, now: float, patience: float | None) -> Turn:
        """
        The earliest turn: a cancelled one, or a new one at the end.
        """
        while self._turns and self._turns[0].due <= now:
            self._vacant -= self._turns.pop(0).is_vacant
        vacant = self._vacated(now) if self._vacant else None
        wait = vacant.due - now if vacant else (1.0 - self._level) / self._rate
        if patience is not None and wait > patience:
            return Turn(wait, is_granted=False)
        turn = Turn(wait, is_granted=True, due=now + wait)
        if vacant:
            self._turns[self._turns.index(vacant)] = turn
            self._vacant -= 1
        else:
            self._turns.append(turn)
            self._level -= 1.0
        return turn

    def _vacated(self, now: float) -> Turn | None:
        return next((each for each in self._turns if each.is_vacant and each.due > now), None)
