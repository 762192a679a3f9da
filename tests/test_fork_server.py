"""
What a fork of the server does is what an interpreter does that begins with the same words.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fork_server import ForkServer

PROGRAMS = {
    "streams": "import sys; print(sys.stdin.read(), sys.argv); print('no', file=sys.stderr)",
    "place": "import os; print(os.getcwd(), os.environ['WORD'], sorted(os.listdir()))",
    "module": "import beside; print(beside.__name__, __name__)",
    "status": "import sys; sys.exit(7)",
    "words": "import sys; sys.exit('no')",
    "error": "1 / 0",
    "signal": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "interruption": "raise KeyboardInterrupt",
    "end": "import atexit; atexit.register(print, 'left'); print('done')",
    "thread": "import threading; print('done'); t = threading.Timer(0.01, print, ('late',)); t.start()",
    "warning": "import warnings; warnings.warn('old')",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_fork_does_what_an_interpreter_does(program: str, fork_server: ForkServer, tmp_path: Path) -> None:
    """
    The same status and output, and the same last line of what is wrong.
    """
    (tmp_path / "beside.py").touch()
    words, env = ["-W", "error", "-c", PROGRAMS[program], "a", "b"], {**os.environ, "WORD": "schön"}
    forked = fork_server.run(words, cwd=tmp_path, env=env, stdin="asked")
    executed = subprocess.run(
        [sys.executable, "-B", *words], cwd=tmp_path, env=env, input="asked", capture_output=True, text=True, timeout=60
    )

    assert (executed.returncode, executed.stdout) == (forked.returncode, forked.stdout)
    assert executed.stderr.splitlines()[-1:] == forked.stderr.splitlines()[-1:]


def test_a_fork_leaves_nothing_for_the_next_one(fork_server: ForkServer, tmp_path: Path) -> None:
    """
    Neither what it has imported nor what it has set.
    """
    leave = "import os, sys, wave; os.environ['LEFT'] = 'x'; sys.path.append('left'); os.chdir('/')"
    look = "import os, sys; print('wave' in sys.modules, 'LEFT' in os.environ, 'left' in sys.path, os.getcwd())"
    for code in (leave, look):
        said = fork_server.run(["-c", code], cwd=tmp_path, env=os.environ).stdout

    assert f"False False False {tmp_path}\n" == said
