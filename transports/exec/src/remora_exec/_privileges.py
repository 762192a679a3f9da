"""
No new privileges: a program that is started gains nothing from set-user-id files, and neither does what it starts.

The keeper marks a process before a program runs in it (see `_birth`). This is for where there is no keeper. The system
keeps that mark for each thread, and a child takes it over from the thread that starts it. So a thread is made that
marks itself, starts the child and ends; the host's other threads stay as they are. `preexec_fn` would be unsafe in a
process with threads, and slow; `setpriv` is one more program in between, is not everywhere, and cannot hand a program
the name that it was called by.
"""

from __future__ import annotations

import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from remora.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_PR_SET_NO_NEW_PRIVS = 38

KNOWS_NO_NEW_PRIVILEGES = sys.platform == "linux" and find_spec("_ctypes") is not None
"""Whether `without_new_privileges` does anything."""


def without_new_privileges(start: Callable[[], T]) -> T:
    """
    What a function returns that starts a process; the process never gains privileges.

    Raises:
        Unavailable: The system has no room for a thread, or does not know the mark.
        Exception: What the function raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            _mark_this_thread()
            results.append(start())
        except BaseException as error:  # raised again below, in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=run, name="remora-start")
    try:
        thread.start()
    except RuntimeError as error:
        raise Unavailable(f"no thread can be started: {error}", sent=False) from error
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _mark_this_thread() -> None:
    import ctypes  # not every Python has it

    if ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise Unavailable("the system does not know no_new_privileges; switch it off in [security]", sent=False)
