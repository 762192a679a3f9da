"""
Which of the ways each type goes: the short one at first, the shortest one when it is used often.

What lives here: the choice. What must not: the ways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

Function = Callable[[Any], Any]
Maker = Callable[[Any], Function | None]

_HOT = 8
"""The package is loaded for a type that is used so often: a plugin that answers a few calls starts without it."""

_MOST = 1024


class Shortcuts(dict[Any, Function | None]):
    """
    The function of each type that has been used for a while; None for one that has none.

    Args:
        short: Makes the function for a type that is new, or None.
        shortest: Makes the one for a type that is used often, or raises anything.
        needs: The package without which there is no shortest way.
    """

    def __init__(self, short: Maker, shortest: Callable[[Any], Function], *, needs: str = "msgspec") -> None:
        super().__init__()
        self._short = short
        self._shortest = shortest
        self._uses = Counter[object]()
        self._is_installed = find_spec(needs) is not None

    def __missing__(self, type_: Any) -> Function | None:
        if len(self._uses) >= _MOST:  # somebody makes classes all the time
            self.clear()
            self._uses.clear()
        self._uses[type_] += 1
        if self._is_installed and self._uses[type_] < _HOT:
            return self._short(type_)
        self[type_] = found = self._found(type_)
        return found

    def _found(self, type_: Any) -> Function | None:
        try:
            return self._shortest(type_) if self._is_installed else self._short(type_)
        except Exception:  # annotations may be anything; the converter will say what is wrong with them
            return self._short(type_)
