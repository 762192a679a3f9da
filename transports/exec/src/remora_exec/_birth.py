"""
From an order to a running program: what happens between fork and exec, in a process that has one thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource

from remora_exec import _kernel as kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from remora_exec._order import Order


def born(order: Order, files: Mapping[int, int], signals: kernel.Mask) -> int:
    """
    The PID of a new process that runs a program: a session leader that is killed when its parent ends.

    Args:
        order: The program.
        files: The descriptors that it gets, by the numbers that they will have in it.
        signals: The signals that it blocks, as returned by `hold_signals`.

    Raises:
        OSError: The program cannot be run.
    """
    top = max([*files, *files.values()]) + 1
    reading, writing = os.pipe()
    report = fcntl.fcntl(writing, fcntl.F_DUPFD_CLOEXEC, top)
    os.close(writing)
    parent, pid = os.getpid(), os.fork()
    if pid == 0:
        _become(order, files, signals, parent, report, top)
    os.close(report)
    failure = os.read(reading, 16)  # empty when the program runs
    os.close(reading)
    if failure:
        os.waitpid(pid, 0)
        raise OSError(int(failure), os.strerror(int(failure)))
    return pid


def _become(
    order: Order, files: Mapping[int, int], signals: kernel.Mask, parent: int, report: int, top: int
) -> NoReturn:
    try:
        os.setsid()
        kernel.die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        _place(files, top)
        if order.directory:
            os.chdir(order.directory)
        kernel.release_signals(signals)
        if order.no_new_privileges:
            kernel.gain_no_privileges()
        for number, soft, hard in order.limits:
            resource.setrlimit(number, (soft, hard))
        os.execve(order.executable, order.argv, order.env)
    except BaseException as error:  # whatever it is, the fork must report it and end
        number = error.errno if isinstance(error, OSError) and error.errno else errno.ENOMEM
        os.write(report, str(number).encode())
    finally:
        os._exit(127)


def _place(files: Mapping[int, int], top: int) -> None:
    # first moved out of the way, so that none is overwritten before it has its place
    aside = {number: fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, top) for number, file in files.items()}
    for number, file in aside.items():
        os.dup2(file, number)
