"""
A balancer that may be a stranger's code, behind something that keeps the calls going whatever it does.

What lives here: the guard. What must not: strategies.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from remora.protocols import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora._conduct import Conduct
    from remora.protocols import Balancer

C = TypeVar("C", bound=Candidate)


class GuardedBalancer:
    """
    The balancer; when it fails, or chooses what was not offered, the candidates take turns.
    """

    def __init__(self, balancer: Balancer, culprit: str, conduct: Conduct) -> None:
        self._balancer = balancer
        self._culprit = culprit
        self._conduct = conduct
        self._turn = 0

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        The balancer's choice, or else the next in turn.
        """
        started = perf_counter()
        try:
            chosen = self._balancer.pick(candidates, key)
            if chosen in candidates:
                return chosen
            raise TypeError(f"it chose {chosen!r}, which was not offered")
        except Exception as error:  # a stranger's code may raise anything
            self._conduct.failed(self._culprit, error)
        finally:
            self._conduct.took(self._culprit, perf_counter() - started)
        self._turn += 1
        return candidates[self._turn % len(candidates)]

    def started(self, candidate: Candidate, /) -> None:
        """
        Pass it on.
        """
        self._tell(lambda: self._balancer.started(candidate))

    def finished(self, candidate: Candidate, /, *, latency: float, ok: bool | None) -> None:
        """
        Pass it on.
        """
        self._tell(lambda: self._balancer.finished(candidate, latency=latency, ok=ok))

    def forget(self, name: str, /) -> None:
        """
        Pass it on.
        """
        self._tell(lambda: self._balancer.forget(name))

    def _tell(self, tell: Callable[[], None]) -> None:
        started = perf_counter()
        try:
            tell()
        except Exception as error:  # a stranger's code may raise anything
            self._conduct.failed(self._culprit, error)
        self._conduct.took(self._culprit, perf_counter() - started)
