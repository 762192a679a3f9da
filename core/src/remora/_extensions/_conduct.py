"""
How third-party code behaves: what it raises is logged and counted, and so is how long it blocks the event loop.

What lives here: the bookkeeping. What must not: decisions about what happens to a call.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from remora._extensions._faults import cancellation, innermost, parted, raise_explained, told
from remora.errors import RemoraError
from remora.types import ExtensionFaults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import NoReturn

_log = logging.getLogger(__name__)

PATIENCE = 0.1
"""Seconds that code may block the event loop before it is logged and counted."""


class Conduct:
    """
    The record of all third-party code that one manager runs.

    Args:
        clock: Seconds, for measuring code that blocks.
        patience: Seconds that code may block.

    Attributes:
        clock: The clock, in seconds.
        patience: Code that took longer is to be reported with `took`.
    """

    def __init__(self, *, clock: Callable[[], float] = perf_counter, patience: float = PATIENCE) -> None:
        self.clock = clock
        self.patience = patience
        self._book = _Book()
        self._fields: Mapping[str, object] = {}

    @property
    def count(self) -> Callable[[str, str], object] | None:
        """
        A function that is called with the culprit and the kind of each fault, including those of `about`; or None.
        """
        return self._book.count

    @count.setter
    def count(self, count: Callable[[str, str], object] | None) -> None:
        self._book.count = count

    def about(self, **fields: object) -> Conduct:
        """
        The same record, whose log entries also have these fields: the plugin, the instance or the call concerned.
        """
        other = copy(self)
        other._fields = {**self._fields, **fields}
        return other

    def faults(self) -> dict[str, ExtensionFaults]:
        """
        What has been recorded so far, by culprit.
        """
        return dict(self._book.record)

    def failed(self, culprit: str, error: BaseException, *, next_try: float | None = None) -> None:
        """
        Log and count an exception that third-party code has raised; one of Remora's says it all without a traceback.

        Args:
            culprit: Whose code it is.
            error: The exception.
            next_try: The seconds until it is tried again; None when nobody does, or nobody knows.
        """
        extra = {"culprit": culprit, **self._fields}
        then = "" if next_try is None else f" (next try in {next_try:.1f} s)"
        if isinstance(error, RemoraError):
            _log.error("%s failed: %s%s", culprit, error, then, extra=extra)
        else:
            _log.error("%s failed%s", culprit, then, exc_info=error, extra=extra)
        self._count(culprit, error)

    def explain(self, culprit: str, error: BaseException) -> NoReturn:
        """
        Raise the Remora error in an exception of a call; any other is logged and counted (see `raise_explained`).
        """
        inner = innermost(error)
        if not isinstance(inner, RemoraError):
            self._count(culprit, inner)
        raise_explained(culprit, error, self._fields)

    def cancelled(self, culprit: str, error: BaseException) -> BaseException:
        """
        The cancellation, be it out of a group; the errors in it are logged and counted (see `cancellation`).
        """
        errors, _ = parted(error)
        if errors is not None:
            self._count(culprit, errors)
        return cancellation(error, culprit, self._fields)

    def lingers(self, culprit: str, seconds: float) -> None:
        """
        Log that third-party code is still waited for although it is to close what it has opened.
        """
        what = self._fields.get("instance", "what it has opened")
        extra = {"culprit": culprit, **self._fields}
        _log.warning("%s has not closed %s within %g s; it is waited for", culprit, what, seconds, extra=extra)

    @contextmanager
    def watching(self, culprit: str) -> Iterator[None]:
        """
        Run synchronous third-party code; it is logged and counted when it takes too long.
        """
        started = self.clock()
        try:
            yield
        finally:
            self.took(culprit, self.clock() - started)

    def took(self, culprit: str, seconds: float) -> None:
        """
        Record how long third-party code has blocked the event loop, in seconds.
        """
        if seconds <= self.patience:
            return
        extra = {"culprit": culprit, **self._fields}
        _log.warning("%s held up the event loop for %.0f ms; it must not block", culprit, seconds * 1000, extra=extra)
        known = self._book.record.get(culprit, ExtensionFaults())
        self._book.record[culprit] = replace(known, delays=known.delays + 1, longest=max(known.longest, seconds))
        if self.count is not None:
            self.count(culprit, "delay")

    def _count(self, culprit: str, error: BaseException) -> None:
        known = self._book.record.get(culprit, ExtensionFaults())
        self._book.record[culprit] = replace(known, failures=known.failures + 1, last=told(error))
        if self.count is not None:
            self.count(culprit, "failure")


class _Book:
    """
    What all records of one manager share.
    """

    def __init__(self) -> None:
        self.count: Callable[[str, str], object] | None = None
        self.record: dict[str, ExtensionFaults] = {}
