"""
What Linux offers to those who keep processes, and Python does not: a few calls of the system's library.

It stands for the module `signal` too, whose loading would be a third of the time that the keeper takes to start.
"""

from __future__ import annotations

import ctypes
import os

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
    A set of signals, as large as the system's library may have it.
    """

    _fields_ = (("words", ctypes.c_ulong * 16),)


def adopt_orphans(name: bytes) -> None:
    """
    Become the parent of every descendant that loses its own, and be called `name` in lists of processes.

    Raises:
        OSError: The system does not know that.
    """
    _done(_library.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    _library.prctl(_PR_SET_NAME, name, 0, 0, 0)


def die_with_parent() -> None:
    """
    Be killed when the parent ends. What is executed keeps that, what is forked does not.
    """
    _done(_library.prctl(_PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))


def gain_no_privileges() -> None:
    """
    Take nothing from set-user-id files any more.
    """
    _done(_library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def hold_signals() -> Mask:
    """
    Let no signal in that can be kept out.

    Returns:
        Those that were kept out before.
    """
    every, before = Mask(), Mask()
    _library.signal(SIGCHLD, _DEFAULT)  # who ignores it has no children to wait for
    _library.sigfillset(ctypes.byref(every))
    _done(_library.sigprocmask(_SET_MASK, ctypes.byref(every), ctypes.byref(before)))
    return before


def release_signals(before: Mask) -> None:
    """
    Be as open to signals as a program may expect, also to those that Python ignores.
    """
    for number in (SIGPIPE, SIGXFSZ):
        _library.signal(number, _DEFAULT)
    _done(_library.sigprocmask(_SET_MASK, ctypes.byref(before), None))


def ends_of_children() -> int:
    """
    A descriptor that can be read when a child has ended.
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
