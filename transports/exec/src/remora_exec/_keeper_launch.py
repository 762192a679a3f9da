"""
Launching a keeper: the process that `_keeper_process` or, with another interpreter, `_forkserver_process` describes.

What lives here: command lines, and waiting until it is ready. What must not: who uses it (see `_keeper`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING

from remora.errors import ConfigError, Unavailable
from remora_exec._pipes import having_room
from remora_exec._words import READY

if TYPE_CHECKING:
    from remora_exec._python import Interpreter

START_TIMEOUT = 10.0
"""Seconds until a keeper, or a warden, must have answered."""

_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); from remora_exec._keeper_process import main; main(int(sys.argv[2]))"
)
_FORKSERVER = (
    "import sys; from remora_exec._forkserver_process import main; "
    "main(int(sys.argv[1]), sys.argv[2], sys.argv[3].split())"
)
_ROOM = 512  # for the command lines of its forks, which process lists show instead of its own
_LOAD_TIMEOUT = 30.0
_MOST_WORDS = 65536
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
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
        popen = _run(interpreter, theirs.fileno())
        theirs.close()
        word, *places = _first_words(ours, START_TIMEOUT if interpreter is None else _LOAD_TIMEOUT)
        if word != READY:
            popen.kill()
            raise _unusable(interpreter, _last_words(popen))
        if popen.stderr is not None:
            popen.stderr.close()
        stack.pop_all()
        return popen, ours, [os.fsdecode(each) for each in places]


def _first_words(control: socket.socket, timeout: float) -> list[bytes]:
    control.settimeout(timeout)
    try:
        words = control.recv(_MOST_WORDS).split(b"\0")
    except OSError:
        return [b""]
    control.setblocking(False)  # from now on it has room, unless the keeper hangs
    return words


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
        [*interpreter.argv, "-c", _FORKSERVER, *arguments], stdin=control, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, cwd="/", env=dict(interpreter.env), start_new_session=True,
        executable=file.address if file else None, pass_fds=[file.descriptor] if file else (),
    )  # fmt: skip


def _unusable(interpreter: Interpreter | None, why: str) -> Exception:
    if interpreter is None:
        return KeeperLost()
    return ConfigError(f'{interpreter.argv[0]} cannot be used with start_method = "forkserver": {why}')


def _last_words(popen: subprocess.Popen[bytes]) -> str:
    """
    What a keeper says about its failure.
    """
    _, words = popen.communicate()
    lines = (words or b"").decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it is not ready after {_LOAD_TIMEOUT:g} s, or its remora-exec is another version"
