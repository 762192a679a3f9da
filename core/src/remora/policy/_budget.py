"""
How much extra traffic may be sent on top of the calls that were asked for: retries, hedges, any second attempt.

Theory of operation: every call deposits a share of one extra call, and every extra call withdraws a whole one; a floor
of some extra calls per second lets a plugin with few calls retry at all. Deposits, withdrawals and the floor all count
over one window: what was not used within it is gone, so a quiet hour does not pay for a storm. In any window, then,
extra calls are at most `ratio` times the calls, plus the floor.

No locks: the event loop serialises, because no method awaits. Source: Finagle's RetryBudget, with a lower floor since
plugins are few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from remora._frozen import dataclass
from remora.policy._window import Window
from remora.values import Duration, Limits, check_limits

if TYPE_CHECKING:
    from collections.abc import Callable

Ratio = Annotated[float, Limits(0, maximum=10)]
Rate = Annotated[float, Limits(0)]

_UNIT = 1000
"""How many units an extra call costs; whole numbers add up without rounding errors."""

_CALLS, _EXTRA = range(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudgetConfig:
    """
    How much extra traffic is allowed.

    Attributes:
        ratio: Extra calls per call.
        floor: Extra calls per second that are allowed in any case.
        window: Seconds.
    """

    ratio: Ratio = 0.2
    floor: Rate = 3.0
    window: Duration = 10.0

    def __post_init__(self) -> None:
        check_limits(self)


class RetryBudget:
    """
    The budget of one plugin, shared by everything that sends extra calls to it.

    Attributes:
        deposit: Counts a call that was asked for; takes the time.
    """

    __slots__ = ("_floor", "_share", "_window", "deposit")

    def __init__(self, config: RetryBudgetConfig, *, clock: Callable[[], float]) -> None:
        self._share = round(config.ratio * _UNIT)
        self._floor = round(config.floor * config.window * _UNIT)
        self._window = Window(config.window, columns=2, clock=clock)
        self.deposit: Callable[[float], None] = self._window.count

    @property
    def balance(self) -> float:
        """
        How many extra calls may be made now. May be called from any thread.
        """
        return self._left(self._window.peek(_CALLS), self._window.peek(_EXTRA)) / _UNIT

    def withdraw(self) -> bool:
        """
        Whether an extra call may be made; if so, it is paid for.
        """
        if self._left(*self._window.roll()) < _UNIT:
            return False
        self._window.add(_EXTRA)
        return True

    def _left(self, calls: int, extra: int) -> int:
        return self._floor + calls * self._share - extra * _UNIT
