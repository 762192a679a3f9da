"""
gRPC in processes that have been forked: where it works, and that it is refused in time where it cannot.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, sys, warnings
from remora import ConfigError, sync
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
url, backend, when = sys.argv[1:]
make = lambda: sync.Manager({"plugins": {"p": {"endpoint": url, "service": "demo.v1.TextProcessor"}}}, backend=backend)
call = lambda manager: print(manager.execute("p", {"text": "a"}, dict, method="upper")["text"], flush=True)
manager = make().open()
call(manager)
if when == "closed":
    manager.close()
if os.fork() == 0:
    with make() as own:
        try:
            call(own)
        except ConfigError as error:
            print(error.message, flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
if when == "open":
    call(manager)
    manager.close()
"""


@pytest.fixture(scope="module")
def url():
    """
    The address of a plugin in another process.
    """
    command = [sys.executable, "-m", "remora_cli", "serve", "remora_cli.demo.text:TextProcessor"]
    with subprocess.Popen([*command, "--listen", "grpc://127.0.0.1:0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


def lines(url: str, backend: str, when: str) -> list[str]:
    """
    What the program says.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url, backend, when], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_process_that_was_forked_while_grpc_was_in_use_is_told(url: str, anyio_backend: str) -> None:
    """
    grpcio would let it wait for ever, or crash; the parent notices nothing.
    """
    said, why, status, again = lines(url, anyio_backend, "open")

    assert ("A", "0", "A") == (said, status, again)
    assert why.startswith("gRPC cannot be used here, because this process was forked")


def test_a_process_that_was_forked_after_the_last_use_calls(url: str, anyio_backend: str) -> None:
    """
    As any other.
    """
    assert ["A", "A", "0"] == lines(url, anyio_backend, "closed")
