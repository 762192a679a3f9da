"""
The balancer of a plugin, guarded, since it may be third-party code.

What lives here: asking and telling. What must not: which instances can be chosen from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora._extensions._faults import is_interruption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora._calls._instance import Instance
    from remora._extensions._conduct import Conduct
    from remora.protocols import Balancer


class Balancing:
    """
    Asks a balancer for instances, and reports calls to it.

    Args:
        balancer: The balancer.
        name: What to call it in messages.
        conduct: Where to note what it does wrong.
        learns: Whether calls are to be reported to it.
    """

    def __init__(self, balancer: Balancer, name: str, conduct: Conduct, *, learns: bool = True) -> None:
        self.learns = learns
        self._pick = balancer.pick
        self._started = balancer.started
        self._finished = balancer.finished
        self._name = name
        self._conduct = conduct
        self._clock = conduct.clock  # a context manager for each question would cost more than most answers

    def pick(self, candidates: Sequence[Instance], key: str) -> Instance:
        """
        The instance for a call.

        Raises:
            RemoraError: The balancer failed.
        """
        clock = self._clock
        began = clock()
        try:
            chosen = self._pick(candidates, key)
            if chosen not in candidates:
                raise TypeError(f"expected one of the candidates, got {chosen!r}")
        except BaseException as error:
            if is_interruption(error):
                raise
            self._conduct.took(self._name, clock() - began)
            self._conduct.explain(self._name, error)
        if (took := clock() - began) > self._conduct.patience:
            self._conduct.took(self._name, took)
        return chosen

    def started(self, instance: Instance) -> None:
        """
        A call is sent to an instance. An error of the balancer does not fail the call.
        """
        clock = self._clock
        began = clock()
        try:
            self._started(instance)
        except BaseException as error:
            if is_interruption(error):
                raise
            self._conduct.failed(self._name, error)
        if (took := clock() - began) > self._conduct.patience:
            self._conduct.took(self._name, took)

    def finished(self, instance: Instance, latency: float, *, ok: bool | None) -> None:
        """
        A call to an instance has ended. An error of the balancer does not fail the call.
        """
        clock = self._clock
        began = clock()
        try:
            self._finished(instance, latency=latency, ok=ok)
        except BaseException as error:
            if is_interruption(error):
                raise
            self._conduct.failed(self._name, error)
        if (took := clock() - began) > self._conduct.patience:
            self._conduct.took(self._name, took)
