"""
Time for tests: a clock that is moved by hand, and event loops whose time jumps to the next timer.
"""

from __future__ import annotations

import asyncio
import importlib.util
import selectors
from typing import Any


class ManualClock:
    """
    A clock for policies, which stands still until `advance` is called. Calling the object returns the time.

    Attributes:
        now: The time, in seconds.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now: float = now

    def __call__(self) -> float:
        """
        The time, in seconds.
        """
        return self.now

    def advance(self, seconds: float) -> None:
        """
        Let this many seconds pass.
        """
        self.now += seconds


def virtual_backends() -> list[tuple[str, dict[str, Any]]]:
    """
    Every installed backend, with options that make its time virtual, as parameters of the fixture `anyio_backend`.

    Whenever all tasks wait, time jumps to the next timer: sleeping for an hour takes no time.
    Not for tests with sockets, threads or processes: time would jump past them.
    """
    backends: list[tuple[str, dict[str, Any]]] = [("asyncio", {"loop_factory": _VirtualLoop})]
    if importlib.util.find_spec("trio"):
        backends.append(("trio", {"clock": _trio_clock()}))
    return backends


def _trio_clock() -> object:
    from trio.testing import MockClock

    return MockClock(autojump_threshold=0)


class _VirtualSelector(selectors.DefaultSelector):
    """
    Never blocks: the time that it was to wait is added to the loop's clock.
    """

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now
