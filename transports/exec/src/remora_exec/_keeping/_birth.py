"""
From an order to a running program: what happens between fork and exec, in a process that has one thread.

A fork server does not execute a program of Python: the fork that is ready for it leaves as a `Forked`, through all that
the process did before, to the place that runs programs (see `_forkserver_process`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from contextlib import suppress

from remora_exec._keeping import _kernel as kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import NoReturn

    from remora_exec._keeping._order import Order, PythonMain


class Forked(BaseException):
    """
    This process is a fork that is to run a program of Python: what raised it is not its business any more.

    Attributes:
        main: The program.
        name: What the system would call the process.
        env: Its whole environment.
    """

    def __init__(self, main: PythonMain, order: Order) -> None:
        self.main = main
        self.name = os.path.basename(order.argv[0])
        self.env = order.env


def born(order: Order, files: Mapping[int, int], signals: kernel.Mask, own: Iterable[int]) -> int:
    """
    The PID of a new process that runs a program: a session leader that is killed when its parent ends.

    Args:
        order: The program.
        files: The descriptors that it gets, by the numbers that they will have in it.
        signals: The signals that it blocks, as returned by `hold_signals`.
        own: The descriptors of this process that it does not get.

    Raises:
        OSError: The program cannot be run.
        Forked: This is the new process.
    """
    top = max([*files, *files.values()]) + 1
    reading, writing = os.pipe()
    report = fcntl.fcntl(writing, fcntl.F_DUPFD_CLOEXEC, top)
    os.close(writing)
    parent, pid = os.getpid(), os.fork()
    if pid == 0:
        _become(order, files, signals, parent, report, [*own, reading])
    os.close(report)
    failure = os.read(reading, 16)  # empty when the program runs
    os.close(reading)
    if failure:
        os.waitpid(pid, 0)
        raise OSError(int(failure), os.strerror(int(failure)))
    return pid


def _become(
    order: Order, files: Mapping[int, int], signals: kernel.Mask, parent: int, report: int, own: Iterable[int]
) -> NoReturn:
    try:
        _detach(parent)
        aside = _place(files, report)
        if order.directory:
            os.chdir(order.directory)
        kernel.release_signals(signals)
        if order.no_new_privileges:
            kernel.gain_no_privileges()
        for number, soft, hard in order.limits:
            resource.setrlimit(number, (soft, hard))
        if order.main is None:
            kernel.restore_actions()
            os.execve(order.executable, order.argv, order.env)
    except BaseException as error:  # whatever it is, the fork must report it and end
        number = error.errno if isinstance(error, OSError) and error.errno else errno.ENOMEM
        os.write(report, str(number).encode())
        os._exit(127)
    _drop({report, *own, *aside, *files.values()}.difference(files))
    raise Forked(order.main, order)


def _detach(parent: int) -> None:
    os.setsid()
    kernel.die_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def _place(files: Mapping[int, int], top: int) -> Iterable[int]:
    # first moved out of the way, so that none is overwritten before it has its place
    aside = {number: fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, top) for number, file in files.items()}
    for number, file in aside.items():
        os.dup2(file, number)
    return aside.values()


def _drop(descriptors: Iterable[int]) -> None:
    for each in descriptors:
        with suppress(OSError):  # a number may stand there twice
            os.close(each)
