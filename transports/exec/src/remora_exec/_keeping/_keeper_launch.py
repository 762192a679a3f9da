"""
Launching a keeper: the process that `_keeper_process` or, with another interpreter, `_forkserver_process` describes.

What lives here: command lines, and waiting until it is ready. What must not: who uses it (see `_keeper`).
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from remora.errors import ConfigError, Unavailable
from remora_exec._keeping._words import READY
from remora_exec._pipes import having_room

if TYPE_CHECKING:
    from remora_exec._keeping._python import Interpreter

START_TIMEOUT = 10.0
"""Seconds until a keeper, or a warden, must have answered."""

_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); from remora_exec._keeping._keeper_process import main; "
    "main(int(sys.argv[2]))"
)
_FORKSERVER = (
    "import sys; before = [*sys.modules]; sys.path[:] = filter(None, sys.path); "
    "from remora_exec._keeping._forkserver_process import main; "
    "main(int(sys.argv[1]), sys.argv[2], sys.argv[3].split(), before)"
)
_ROOM = 512  # for the command lines of its forks, which process lists show instead of its own
_LOAD_TIMEOUT = 60.0  # no call waits that long if it does not want to (see `_hiring`)
_MOST_WORDS = 65536
_SILENCE = b"-"
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_VARIABLES = ("PATH", "LD_LIBRARY_PATH")


def _interpreter() -> str:
    # In a frozen application, or one that embeds Python, this is the application itself.
    path = sys.executable or ""
    is_one = os.path.basename(path).startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
    return path if is_one else ""


KEEPS_DESCENDANTS = (
    sys.platform == "linux"
    and find_spec("_ctypes") is not None
    and _interpreter() != ""
    and os.path.exists("/proc/self/stat")  # descendants are found there
)
"""Whether all descendants can be found and ended, as far as can be told without trying."""


class KeeperLost(Exception):
    """
    The keeper has ended, or could not be used.
    """


class KeeperLate(Unavailable):
    """
    The keeper was not ready in time.
    """


_no_forks = threading.Lock()
"""Held while `subprocess` starts a process: a fork of the host with a copy of its pipe would make it wait on."""

os.register_at_fork(before=_no_forks.acquire, after_in_parent=_no_forks.release, after_in_child=_no_forks.release)


def launch(interpreter: Interpreter | None) -> tuple[subprocess.Popen[bytes], socket.socket, list[str]]:
    """
    A keeper that is ready, the socket on which it takes orders, and where it has loaded packages from. With an
    interpreter, it is a fork server.

    Raises:
        KeeperLost: None can run here.
        ConfigError: The interpreter cannot be a fork server.
        Unavailable: The system lacks resources for another process.
    """
    with having_room():
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, ExitStack() as stack:
        stack.enter_context(ours)
        with _no_forks:
            popen = _run(interpreter, theirs.fileno())
        theirs.close()
        (word, *places), written = _first_words(popen, ours, START_TIMEOUT if interpreter is None else _LOAD_TIMEOUT)
        if word != READY:
            _kill(popen)
            raise _failure(interpreter, word, written)
        _close_output(popen)
        ours.setblocking(False)  # from now on it has room, unless the keeper hangs
        stack.pop_all()
        return popen, ours, [os.fsdecode(each) for each in places]


def _first_words(popen: subprocess.Popen[bytes], control: socket.socket, timeout: float) -> tuple[list[bytes], bytes]:
    """
    The first words of a keeper, none if it says nothing in time, and the last of what it has written meanwhile.
    """
    written, poll, end = b"", select.poll(), time.monotonic() + timeout
    poll.register(control, select.POLLIN)
    output = -1 if popen.stdout is None else popen.stdout.fileno()
    if output >= 0:
        poll.register(output, select.POLLIN)
    while (left := end - time.monotonic()) > 0 and (ready := dict(poll.poll(left * 1000))):
        if output not in ready:
            return _received(control).split(b"\0"), written
        if data := os.read(output, _MOST_WORDS):  # it would wait if nobody read it
            written = (written + data)[-_MOST_WORDS:]
        else:
            poll.unregister(output)
    return [_SILENCE], written


def _received(control: socket.socket) -> bytes:
    try:
        return control.recv(_MOST_WORDS)
    except OSError:
        return b""


def _kill(popen: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(popen.pid, signal.SIGKILL)  # with what it has started while it was loading
    popen.wait()
    _close_output(popen)


def _close_output(popen: subprocess.Popen[bytes]) -> None:
    if popen.stdout is not None:
        popen.stdout.close()


def _run(interpreter: Interpreter | None, control: int) -> subprocess.Popen[bytes]:
    try:
        return _keeper(control) if interpreter is None else _fork_server(interpreter, control)
    except (FileNotFoundError, PermissionError) as error:
        raise _unusable(interpreter, error.strerror or "it cannot be run") from error
    except OSError as error:
        raise Unavailable(f"no process can be started: {error.strerror}", sent=False) from error


def _keeper(control: int) -> subprocess.Popen[bytes]:
    variables = {name: value for name in _VARIABLES if (value := os.environ.get(name)) is not None}
    return subprocess.Popen(
        [_interpreter(), "-I", "-S", "-c", _PROGRAM, _ROOT, str(os.getpid()), "remora-keeper"], stdin=control,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", env=variables, start_new_session=True,
    )  # fmt: skip


def _fork_server(interpreter: Interpreter, control: int) -> subprocess.Popen[bytes]:
    file = interpreter.file
    arguments = [str(os.getpid()), interpreter.backend, " ".join(interpreter.preload), "remora-forks".ljust(_ROOM)]
    return subprocess.Popen(
        [*interpreter.argv, "-c", _FORKSERVER, *arguments], stdin=control, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, cwd="/", env=dict(interpreter.env), start_new_session=True,
        executable=file.address if file else None, pass_fds=[file.descriptor] if file else (),
    )  # fmt: skip


def _failure(interpreter: Interpreter | None, word: bytes, written: bytes) -> Exception:
    if interpreter is not None and word == _SILENCE:
        return KeeperLate(f"{interpreter.argv[0]} is not ready to fork after {_LOAD_TIMEOUT:g} s", sent=False)
    lines = written.decode(errors="replace").strip().splitlines() or ["its remora-exec is another version"]
    fatal = [each for each in lines if each.startswith("Fatal Python error")]  # lines about its state follow
    return _unusable(interpreter, (fatal or lines)[-1])


def _unusable(interpreter: Interpreter | None, why: str) -> Exception:
    if interpreter is None:
        return KeeperLost()
    return ConfigError(f'{interpreter.argv[0]} cannot be used with start_method = "forkserver": {why}')
