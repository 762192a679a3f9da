"""
Signals that come while a command is still being loaded, before it has a handler of its own.

What lives here: what they mean meanwhile. What must not: anything that takes long to import.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    Handler = Callable[[int, FrameType | None], None]

INTERRUPTED = 130
"""The exit code after Ctrl-C."""

_RELOADING = "run"
"""The command that SIGHUP tells to read its configuration again, which it has not read yet."""

_LASTING = (_RELOADING, "serve")
"""The commands that last until a signal ends them, so that such an end is no failure."""


@contextmanager
def early_signals(args: Sequence[str] | None) -> Iterator[None]:
    """
    Let signals mean what they mean later to a command that lasts; not in a thread, where they cannot be heard.

    Args:
        args: The words after `remora`; by default those of this process.
    """
    words = sys.argv[1:] if args is None else args
    name = next((word for word in words if not word.startswith("-")), "")
    before = {}
    try:
        for number, handler in _handlers(name).items():
            if signal.getsignal(number) is signal.SIG_DFL:  # else it is ignored, or somebody handles it
                before[number] = signal.signal(number, handler)
    except ValueError:  # not the main thread
        before.clear()
    try:
        yield
    finally:
        for number, former in before.items():
            if signal.getsignal(number) is not signal.SIG_IGN:  # else a command has ended well
                signal.signal(number, former)


def _handlers(name: str) -> dict[signal.Signals, Handler]:
    if name not in _LASTING:
        return {}
    handlers: dict[signal.Signals, Handler] = {signal.SIGTERM: _exit_at_once}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = _ignore if name == _RELOADING else _exit_at_once
    return handlers


def _exit_at_once(_: int, __: FrameType | None) -> None:
    """
    End the process from within the handler. Nothing has been started that would have to be cleaned up, and an exception
    might be caught by whatever module is being imported.
    """
    os._exit(0)


def _ignore(_: int, __: FrameType | None) -> None:
    """
    Do nothing.
    """
