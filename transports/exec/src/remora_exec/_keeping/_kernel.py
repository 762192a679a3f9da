"""
Calls of the C library for keeping processes that Linux has and Python does not offer.

It replaces the module `signal` as well, whose import would take a third of the keeper's start time.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

SIGKILL, SIGPIPE, SIGTERM, SIGCHLD, SIGXFSZ = 9, 13, 15, 17, 25
_SET_MASK = 2
_CLOSE_ON_EXEC_NONBLOCK = os.O_CLOEXEC | os.O_NONBLOCK
_DEFAULT = None

_library = ctypes.CDLL(None, use_errno=True)


class Mask(ctypes.Structure):
    """
    A set of signals, at least as large as that of the C library.
    """

    _fields_ = (("words", ctypes.c_ulong * 16),)


def adopt_orphans(name: bytes) -> None:
    """
    Become the parent of every descendant that loses its own, and appear as `name` in process lists.

    Raises:
        OSError: The system does not support it.
    """
    _done(_library.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    _library.prctl(_PR_SET_NAME, name, 0, 0, 0)


def rename_process(name: str, words: Iterable[str]) -> None:
    """
    Appear in process lists under this name and with this command line, of which as much is shown as there is room for.
    """
    _library.prctl(_PR_SET_NAME, os.fsencode(name), 0, 0, 0)
    start, end = _place_of_arguments()
    room = end - start - 2
    if room > 0:  # what does not end with a NUL is one text up to the first, as if `setproctitle` had written it
        ctypes.memmove(start, b" ".join(map(os.fsencode, words))[:room].ljust(room + 1, b"\0") + b".", room + 2)


def _place_of_arguments() -> tuple[int, int]:
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[45]), int(fields[46])


def die_with_parent() -> None:
    """
    Have this process killed when the thread that has started it ends. It stays so across exec, but not for forked
    children.
    """
    _done(_library.prctl(_PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))


def outlive_parent() -> None:
    """
    Take back `die_with_parent`.
    """
    _done(_library.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0))


def gain_no_privileges() -> None:
    """
    Gain no privileges from set-user-id files any more.
    """
    _done(_library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def hold_signals() -> Mask:
    """
    Block all signals that can be blocked.

    Returns:
        The signals that were blocked before.
    """
    every, before = Mask(), Mask()
    _library.signal(SIGCHLD, _DEFAULT)  # if it is ignored, children cannot be waited for
    _library.sigfillset(ctypes.byref(every))
    _done(_library.sigprocmask(_SET_MASK, ctypes.byref(every), ctypes.byref(before)))
    return before


def release_signals(before: Mask) -> None:
    """
    Restore the signal mask.
    """
    _done(_library.sigprocmask(_SET_MASK, ctypes.byref(before), None))


def restore_actions() -> None:
    """
    Restore the default actions, which a program may expect, of the signals that Python ignores.
    """
    for number in (SIGPIPE, SIGXFSZ):
        _library.signal(number, _DEFAULT)


def ends_of_children() -> int:
    """
    A descriptor that becomes readable when a child has ended.
    """
    wanted = Mask()
    _library.sigemptyset(ctypes.byref(wanted))
    _library.sigaddset(ctypes.byref(wanted), SIGCHLD)
    return _done(_library.signalfd(-1, ctypes.byref(wanted), _CLOSE_ON_EXEC_NONBLOCK))


def _done(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
