"""
How strangers' code behaves: what it raises is logged and counted, and so is how long it holds up the event loop.

What lives here: the book-keeping. What must not: decisions about what happens to a call.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from remora._faults import cancellation, innermost, raise_explained, told
from remora.errors import RemoraError
from remora.types import ExtensionFaults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import NoReturn

_log = logging.getLogger(__name__)

PATIENCE = 0.1
"""Seconds that code on the event loop may take before somebody is told."""


class Conduct:
    """
    The record of all strangers' code that one manager runs.

    Args:
        clock: Seconds, for measuring code that blocks.
        patience: Seconds that it may take.

    Attributes:
        clock: Seconds.
        patience: What took longer is to be told by `took`.
    """

    def __init__(self, *, clock: Callable[[], float] = perf_counter, patience: float = PATIENCE) -> None:
        self.clock = clock
        self.patience = patience
        self._book = _Book()
        self._fields: Mapping[str, object] = {}

    @property
    def count(self) -> Callable[[str, str], object] | None:
        """
        What is told who did something wrong, and what kind of thing it was; also of what is `about` something.
        """
        return self._book.count

    @count.setter
    def count(self, count: Callable[[str, str], object] | None) -> None:
        self._book.count = count

    def about(self, **fields: object) -> Conduct:
        """
        The same record, for strangers' code that does something for a plugin, an instance, a call: log records say so.
        """
        other = copy(self)
        other._fields = {**self._fields, **fields}
        return other

    def faults(self) -> dict[str, ExtensionFaults]:
        """
        What has been recorded so far, by who did it.
        """
        return dict(self._book.record)

    def failed(self, culprit: str, error: BaseException) -> None:
        """
        Log and count an exception that came out of strangers' code.
        """
        _log.error("%s failed", culprit, exc_info=error, extra={"culprit": culprit, **self._fields})
        self._count(culprit, error)

    def explain(self, culprit: str, error: Exception) -> NoReturn:
        """
        Raise the Remora error in an exception of a call; any other is logged and counted (see `raise_explained`).
        """
        inner = innermost(error)
        if not isinstance(inner, RemoraError):
            self._count(culprit, inner)
        raise_explained(culprit, error, self._fields)

    def cancelled(self, culprit: str, group: BaseExceptionGroup[BaseException]) -> BaseException:
        """
        The cancellation out of a group; the errors in it are logged and counted (see `cancellation`).
        """
        errors, _ = group.split(Exception)
        if errors is not None:
            self._count(culprit, errors)
        return cancellation(group, culprit, self._fields)

    @contextmanager
    def watching(self, culprit: str) -> Iterator[None]:
        """
        Run strangers' code that nothing else can run beside; it is told on when it takes too long.
        """
        started = self.clock()
        try:
            yield
        finally:
            self.took(culprit, self.clock() - started)

    def took(self, culprit: str, seconds: float) -> None:
        """
        Record how long strangers' code has held up the event loop.
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
    What all records of one manager have in common.
    """

    def __init__(self) -> None:
        self.count: Callable[[str, str], object] | None = None
        self.record: dict[str, ExtensionFaults] = {}
