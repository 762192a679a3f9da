"""
No new privileges: neither a started program nor its descendants gain privileges from set-user-id files.

The keeper marks a process before a program runs in it (see `_birth`). This module is for systems without a keeper. The
system keeps that mark for each thread, and a child inherits it from the thread that starts it. So a new thread marks
itself, starts the child and ends; the host's other threads stay as they are. `preexec_fn` would be slow, and unsafe in
a process with threads; `setpriv` is one more program in between, is not installed everywhere, and cannot pass on the
name by which a program was called.
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
    The result of `start`, which starts a process; the process never gains privileges.

    Raises:
        Unavailable: The system cannot start a thread, or does not support no_new_privileges.
        Exception: Whatever `start` raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            _mark_this_thread()
            results.append(start())
        except BaseException as error:  # raised again below, in the calling thread
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
    import ctypes  # not every build of Python has it

    if ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise Unavailable("the system does not know no_new_privileges; switch it off in [security]", sent=False)
