"""
`remora serve` with services that are context managers: what a signal ends, and when.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from remora import Manager, RemoraError
from tests.contrib.cli.conftest import spawned

pytestmark = pytest.mark.anyio

POOL = '''
import os
import anyio


def say(words):
    print(words, flush=True)


class Pool:
    """Says what happens to it; a word in the environment is where it stays for ever."""

    async def __aenter__(self):
        say(f"{type(self).__name__} opens")
        await self.stay("start")

    async def __aexit__(self, *exc):
        say(f"{type(self).__name__} closes")
        await self.stay("end")

    async def ask(self) -> str:
        return "answer"

    async def wait(self) -> None:
        say("call begins")
        try:
            await anyio.sleep_forever()
        finally:
            say("call ends")

    async def stay(self, where):
        if os.environ.get("STAY") == f"{type(self).__name__} {where}":
            say("stays")
            try:
                await anyio.sleep_forever()
            finally:
                say("stays no more")


class Other(Pool):
    pass


class Failing(Pool):
    async def __aenter__(self):
        raise OSError("no\\ndatabase")
'''


@contextmanager
def started(place: Path, backend: str, *words: str, stay: str = "") -> Iterator[subprocess.Popen[str]]:
    """
    A `remora serve` of the pool and another one.
    """
    (place / "pool.py").write_text(POOL)
    with spawned(place, "serve", "pool:Pool", "pool:Other", "--backend", backend, *words, STAY=stay) as process:
        yield process


def lines(process: subprocess.Popen[str], until: str) -> list[str]:
    """
    What it says, to a line that begins with a word, which is the last of the lines.
    """
    assert process.stdout is not None
    found = list[str]()
    while not found or not found[-1].startswith(until):
        line = process.stdout.readline()
        assert line, found
        found.append(line.rstrip())
    return found


def rest(process: subprocess.Popen[str]) -> tuple[int, list[str], list[str]]:
    """
    The exit code, and what it says at last.
    """
    out, err = process.communicate(timeout=20)
    return process.returncode, out.splitlines(), err.splitlines()


@pytest.mark.parametrize("address", ["unix:", "http:", "grpc:"])
async def test_services_are_entered_before_it_can_be_called_and_left_after_the_signal(
    place: Path, anyio_backend: str, address: str
) -> None:
    """
    Whatever the address.
    """
    with started(place, anyio_backend, "--listen", address) as process:
        *before, serving = lines(process, "serving")
        config = {"plugins": {"s": {"endpoint": serving.rpartition(" ")[2], "service": "Pool"}}}
        with anyio.fail_after(20):
            async with Manager(config) as manager:
                answer = await manager.execute("s", None, str, method="ask")
        process.terminate()
        found = rest(process)

    assert ["Pool opens", "Other opens"] == before
    assert "answer" == answer
    assert (0, ["Other closes", "Pool closes"], []) == found


@pytest.mark.parametrize("address", ["unix:", "http:", "grpc:"])
async def test_a_second_signal_ends_the_calls_and_then_the_services(
    place: Path, anyio_backend: str, address: str
) -> None:
    """
    These end in order all the same.
    """
    with started(place, anyio_backend, "--listen", address) as process:
        *_, serving = lines(process, "serving")
        retry = {"max_retries": 0}
        config = {"plugins": {"s": {"endpoint": serving.rpartition(" ")[2], "service": "Pool", "retry": retry}}}

        async def call() -> None:
            with pytest.raises(RemoraError):
                await manager.execute("s", None, object, method="wait")

        with anyio.fail_after(20):
            async with Manager(config) as manager, anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await anyio.to_thread.run_sync(lines, process, "call begins")
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGINT)
        found = rest(process)

    assert (0, ["call ends", "Other closes", "Pool closes"]) == found[:2]


def test_a_signal_ends_a_start_that_takes_too_long(place: Path, anyio_backend: str) -> None:
    """
    What has been entered by then is left.
    """
    with started(place, anyio_backend, "--listen", "unix:", stay="Other start") as process:
        lines(process, "stays")
        process.terminate()
        found = rest(process)

    assert (0, ["stays no more", "Pool closes"], []) == found


def test_a_signal_ends_a_service_that_takes_too_long_to_end(place: Path, anyio_backend: str) -> None:
    """
    The first signal has begun its end. The service after it is left as well.
    """
    with started(place, anyio_backend, "--listen", "unix:", stay="Other end") as process:
        lines(process, "serving")
        process.terminate()
        lines(process, "stays")
        process.terminate()
        code, out, _ = rest(process)

    assert (0, ["stays no more", "Pool closes"]) == (code, out)


def test_a_service_that_does_not_end_is_cancelled_when_the_time_is_over(place: Path, anyio_backend: str) -> None:
    """
    And named in the log.
    """
    words = ("--listen", "unix:", "--drain-timeout", "0.1")
    with started(place, anyio_backend, *words, stay="Other end") as process:
        lines(process, "serving")
        process.terminate()
        code, out, err = rest(process)

    assert (0, ["Other closes", "stays", "stays no more", "Pool closes"]) == (code, out)
    (line,) = err
    assert "remora: error: Other has not ended within 2 s, and was cancelled" == line.partition(" ")[2]


def test_a_service_that_cannot_start_is_one_line(place: Path, anyio_backend: str) -> None:
    """
    And nothing has been served.
    """
    (place / "pool.py").write_text(POOL)
    with spawned(place, "serve", "pool:Failing", "--listen", "unix:", "--backend", anyio_backend) as process:
        found = rest(process)

    assert (1, [], ["remora: Failing cannot start: OSError: no database"]) == found
