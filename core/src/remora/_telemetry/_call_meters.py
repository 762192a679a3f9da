"""
Meters that count how the calls of a plugin and the attempts at an instance end, as the call path reports them.

A call costs two dictionary look-ups with keys at hand, two counts and two observations.

What lives here: counting. What must not: which series there are (see `_meters`), and any decision about a call.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from remora._plain import shortened
from remora.metrics import BoundCounter
from remora.metrics._cells import Tally

if TYPE_CHECKING:
    from remora._telemetry._meters import Meters
    from remora.errors import RemoraError
    from remora.metrics import BoundHistogram
    from remora.protocols import Tracing
    from remora.types import Call, TraceIds

OK = "OK"
_MOST_METHODS = 4096


class Failure(NamedTuple):
    """
    What is kept of an error; the error itself would keep alive everything that its traceback refers to.
    """

    time: float
    code: str
    message: str
    instance: str


def _failure(error: RemoraError, instance: str) -> Failure:
    return Failure(time.time(), error.code, shortened(error.message), instance)


class PluginMeter:
    """
    Counts the calls of one plugin.

    Attributes:
        retries: How often a call was retried.
        last_failure: The last call that failed.
    """

    __slots__ = (
        "_ends",
        "_meters",
        "_method",
        "_no_budget",
        "_past",
        "_plugin",
        "_rate_limited",
        "_registry",
        "_service",
        "_well",
        "last_failure",
        "retries",
    )

    def __init__(self, meters: Meters, plugin: str) -> None:
        self.retries: BoundCounter = meters.retries.bind(plugin)
        self.last_failure: Failure | None = None
        self._meters = meters
        self._registry = meters.registry
        self._plugin = plugin
        self._no_budget = meters.no_budget.bind(plugin)
        self._rate_limited = meters.rate_limited.bind(plugin)
        self._ends: dict[tuple[str, str, str], _Ends] = {}
        self._service: str | None = None
        self._method: str | None = None
        self._well = Tally(())  # counts calls of that method that end well
        self._past: Counter[str] = Counter()

    @property
    def codes(self) -> Counter[str]:
        """
        How its calls have ended: counts by code, "OK" for success.
        """
        codes = self._past.copy()
        for (_, _, code), ends in list(self._ends.items()):
            codes[code] += ends.tally.number
        return codes

    def ended(self, call: Call, seconds: float, failure: RemoraError | None, tracing: Tracing | None) -> None:
        """
        A call has ended, as its caller sees it. The trace that it is in is told by what the application has given the
        registry for that, or else by the tracing of the plugin's interceptors.
        """
        tracing = self._registry.tracing or tracing
        if failure is None and tracing is None and call.method is self._method and call.service is self._service:
            self._well.add(seconds)  # the same method as before
            return
        code = OK if failure is None else failure.code
        try:
            ends = self._ends[call.service, call.method, code]
        except KeyError:
            ends = self._bind(call, code)
        if tracing is None:
            ends.tally.add(seconds)
        else:
            ends.trace(seconds, tracing(call))
        if failure is None:
            self._service, self._method, self._well = call.service, call.method, ends.tally
        else:
            self.last_failure = _failure(failure, failure.instance or "")

    def retried(self) -> None:
        """
        A call is tried again.
        """
        self.retries.inc()

    def limited(self) -> None:
        """
        The rate limit has refused a call.
        """
        self._rate_limited.inc()

    def retry_refused(self) -> None:
        """
        A call is not retried, since the retry budget is used up.
        """
        self._no_budget.inc()

    def end(self) -> None:
        """
        It is gone.
        """
        _absorb(self._ends)

    def _bind(self, call: Call, code: str) -> _Ends:
        if len(self._ends) >= _MOST_METHODS:  # made-up method names must not fill the memory
            self._past = self.codes
            self._method = None
            _absorb(self._ends)
            self._ends.clear()
        requests = self._meters.requests.bind(self._plugin, call.name, code)
        duration = self._meters.duration.bind(self._plugin, call.name)
        ends = self._ends[call.service, call.method, code] = _Ends(requests, duration)
        return ends


class InstanceMeter:
    """
    Counts the attempts at one instance, and at any later one of the same name.

    Attributes:
        instance: Its name.
        duration: How long they took.
        last_failure: The last attempt that failed.
    """

    __slots__ = (
        "_attempts",
        "_ends",
        "_is_over",
        "_labels",
        "_registry",
        "_well",
        "duration",
        "instance",
        "last_failure",
    )

    def __init__(self, meters: Meters, plugin: str, instance: str) -> None:
        self.instance: str = instance
        self.duration: BoundHistogram = meters.attempt_duration.bind(plugin, instance)
        self.last_failure: Failure | None = None
        self._registry = meters.registry
        self._attempts = meters.attempts
        self._labels = (plugin, instance)
        self._ends: dict[str, _Ends] = {}
        self._well: Tally | None = None  # counts those that end well
        self._is_over = False

    @property
    def codes(self) -> Counter[str]:
        """
        How they have ended.
        """
        return Counter({code: ends.tally.number for code, ends in list(self._ends.items())})

    def attempted(self, call: Call, seconds: float, failure: RemoraError | None, tracing: Tracing | None) -> None:
        """
        An attempt has ended; its trace is told as that of a call.
        """
        tracing = self._registry.tracing or tracing
        if failure is None and tracing is None and self._well is not None:
            self._well.add(seconds)
            return
        code = OK if failure is None else failure.code
        try:
            ends = self._ends[code]
        except KeyError:
            ends = self._ends[code] = self._bind(code)
        if tracing is None:
            ends.tally.add(seconds)
        else:
            ends.trace(seconds, tracing(call))
        if failure is None:
            self._well = ends.tally
        else:
            self.last_failure = _failure(failure, self._labels[1])

    def end(self) -> None:
        """
        It is gone; what still comes in makes no series of it any more.
        """
        self._is_over = True
        _absorb(self._ends)

    def _bind(self, code: str) -> _Ends:
        attempts = BoundCounter() if self._is_over else self._attempts.bind(*self._labels, code)
        return _Ends(attempts, self.duration)


class _Ends:
    """
    What has ended in one way: how often, and how long it took. Meters are on one thread, that of the event loop.
    """

    __slots__ = ("_duration", "_number", "tally")

    def __init__(self, number: BoundCounter, duration: BoundHistogram) -> None:
        self._number, self._duration = number, duration
        self.tally = duration.tally()
        number.include(self.tally)

    def trace(self, seconds: float, ids: TraceIds) -> None:
        """
        Something has ended that is part of a trace.
        """
        self.tally.apart += 1
        self._duration.observe(seconds, **ids)

    def absorb(self) -> None:
        """
        Let the metrics keep the numbers.
        """
        self._number.absorb(self.tally)
        self._duration.absorb(self.tally)


def _absorb(ends: dict[Any, _Ends]) -> None:
    for each in ends.values():
        each.absorb()
