"""
The series of one metric: a cell for every combination of label values that has been used, up to a limit.

What lives here: label values, and the limit. What must not: what the cells hold.
"""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_log = logging.getLogger(__name__)

Cell = TypeVar("Cell")

OVERFLOW = "_overflow"
"""The value of every label of the series that takes what the limit leaves no room for."""


class Series(Generic[Cell]):
    """
    The cells of one metric.

    Args:
        name: The metric's name, for messages.
        labels: The names of its labels.
        make: Makes a cell, with a lock that it shares with the others.
        limit: How many combinations of label values have cells of their own.

    Attributes:
        limit: The same; those that have one keep it when it is lowered.
        overflow: The cell of all others; None while there are none.
    """

    def __init__(self, name: str, labels: Sequence[str], make: Callable[[Lock], Cell], *, limit: int) -> None:
        self._name = name
        self._labels = tuple(labels)
        self._make = make
        self.limit = limit
        self._cells: dict[tuple[str, ...], Cell] = {}
        self.overflow: Cell | None = None
        self._lock = Lock()
        self._lock_of_cells = Lock()
        if not labels:
            self._cells[()] = make(self._lock_of_cells)  # there is only the one, and it counts from the start

    def cell(self, values: tuple[object, ...], named: Mapping[str, object]) -> Cell:
        """
        The cell for label values, given in order or by name.

        Raises:
            ValueError: They are not those of the metric's labels.
        """
        if not named:
            try:
                return self._cells[values]  # type: ignore[index]  # others than texts are not found, and made texts
            except (KeyError, TypeError):
                pass
        return self._slow(self.texts(values, named))

    def remove(self, values: tuple[object, ...], named: Mapping[str, object]) -> None:
        """
        Forget a series; what its handles record from now on is seen by nobody.
        """
        with self._lock:
            self._cells.pop(self.texts(values, named), None)

    def items(self) -> list[tuple[tuple[str, ...], Cell]]:
        """
        All label values with their cells, the overflow last.
        """
        with self._lock:
            overflow = [] if self.overflow is None else [((OVERFLOW,) * len(self._labels), self.overflow)]
            return [*self._cells.items(), *overflow]

    def _slow(self, texts: tuple[str, ...]) -> Cell:
        with self._lock:
            if texts in self._cells:
                return self._cells[texts]
            if len(self._cells) < self.limit:
                return self._cells.setdefault(texts, self._make(self._lock_of_cells))
            if self.overflow is None:
                self.overflow = self._make(self._lock_of_cells)
                _log.warning(
                    "metric %s has %d combinations of label values; further ones are counted together, as %s",
                    self._name,
                    self.limit,
                    OVERFLOW,
                )
            return self.overflow

    def texts(self, values: tuple[object, ...], named: Mapping[str, object]) -> tuple[str, ...]:
        """
        Label values, given in order or by name, as texts in order.

        Raises:
            ValueError: They are not those of the metric's labels.
        """
        rest = self._labels[len(values) :]
        if len(values) > len(self._labels) or named.keys() != set(rest):
            expected = ", ".join(self._labels) or "none"
            given = ", ".join([*(repr(each) for each in values), *named])
            raise ValueError(f"metric {self._name} has the labels {expected}; got {given or 'none'}")
        return tuple(_text(each) for each in (*values, *(named[each] for each in rest)))


def _text(value: object) -> str:
    """
    A label value as text that every exporter can write.
    """
    if type(value) is str and value.isascii():
        return value  # and not a copy of it in every series
    return str(value).encode("utf-8", "backslashreplace").decode()
