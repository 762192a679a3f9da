"""
The socket file of a served plugin.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier, Thread

import anyio
import pytest

from remora import Call, Code, ConfigError, Endpoint, PluginError, Reply, Unavailable
from remora_unix._socket_file import listening_socket
from remora_unix.plugin import Options, build

pytestmark = pytest.mark.anyio

transport = build(Options())


async def echo(call: Call, peer: str) -> Reply:
    """
    Answers with the payload, and says who asked.
    """
    if call.service:
        raise PluginError("no such service", code=Code.UNIMPLEMENTED)
    return Reply(payload=call.payload, headers={"x-peer": peer})


def at(path: Path) -> Endpoint:
    """
    The endpoint of a path.
    """
    return Endpoint(f"unix://{path}")


async def ask(endpoint: Endpoint) -> Reply:
    """
    One call over a channel of its own.
    """
    with anyio.fail_after(5):
        async with transport.open(endpoint) as channel:
            return await channel.call(Call(payload=b"hello"))


async def test_a_call_reaches_the_plugin_and_names_the_caller(tmp_path: Path) -> None:
    """
    The kernel says who calls.
    """
    async with transport.listen(at(tmp_path / "s"), echo) as listener:
        reply = await ask(listener.endpoint)

    assert (
        Reply(payload=b"hello", headers={"x-peer": f"pid:{os.getpid()} uid:{os.getuid()} gid:{os.getgid()}"}) == reply
    )


async def test_the_file_is_removed_when_the_listener_stops(tmp_path: Path) -> None:
    """
    It is a socket while it serves.
    """
    path = tmp_path / "s"
    async with transport.listen(at(path), echo):
        assert stat.S_ISSOCK(path.stat().st_mode)

    assert not path.exists()


@pytest.mark.fault(53)
async def test_a_missing_directory_is_made_private(tmp_path: Path) -> None:
    """
    Nobody else can reach a socket in it.
    """
    path = tmp_path / "run" / "s"
    async with transport.listen(at(path), echo):
        assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


async def test_the_bare_scheme_takes_a_private_place_and_gives_it_back() -> None:
    """
    Neither file nor directory remains.
    """
    async with transport.listen(Endpoint("unix:"), echo) as listener:
        path = Path(listener.endpoint.address)
        reply = await ask(listener.endpoint)

        assert b"hello" == reply.payload
        assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    assert not path.parent.exists()


async def test_a_relative_path_counts_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The listener's endpoint names the absolute path.
    """
    monkeypatch.chdir(tmp_path)
    async with transport.listen(Endpoint("unix:s.sock"), echo) as listener:
        assert at(tmp_path / "s.sock") == listener.endpoint
        assert b"hello" == (await ask(Endpoint("unix:s.sock"))).payload


@pytest.mark.fault(54)
async def test_a_stale_file_is_replaced(tmp_path: Path) -> None:
    """
    A socket on which nobody listens is in nobody's use.
    """
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with transport.listen(at(path), echo) as listener:
        assert b"hello" == (await ask(listener.endpoint)).payload


@pytest.mark.fault(54)
async def test_a_live_file_is_never_replaced(tmp_path: Path) -> None:
    """
    The second listener is refused, the first goes on.
    """
    async with transport.listen(at(tmp_path / "s"), echo) as listener:
        with pytest.raises(Unavailable, match="address in use"):
            async with transport.listen(listener.endpoint, echo):
                pass

        assert b"hello" == (await ask(listener.endpoint)).payload


@pytest.mark.fault(54)
async def test_a_live_file_that_is_too_busy_to_answer_is_not_replaced(tmp_path: Path) -> None:
    """
    Its queue is full, which no dead one's is.
    """
    path = str(tmp_path / "s")
    with ExitStack() as there:
        listening = there.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(path)
        listening.listen(0)
        with pytest.raises(BlockingIOError):
            while True:
                waiting = there.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(path)
        with pytest.raises(Unavailable, match="address in use"):
            async with transport.listen(at(tmp_path / "s"), echo):
                pass


@pytest.mark.fault(54)
async def test_a_file_that_is_no_socket_is_never_touched(tmp_path: Path) -> None:
    """
    Its content is still there.
    """
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="not a socket"):
        async with transport.listen(at(path), echo):
            pass

    assert "precious" == path.read_text()


@pytest.mark.fault(54)
async def test_a_successors_file_is_left_alone(tmp_path: Path) -> None:
    """
    Only the file that the listener made itself is removed.
    """
    path = tmp_path / "s"
    async with transport.listen(at(path), echo):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))

    assert path.exists()


@pytest.mark.fault(52)
async def test_a_long_path_works(tmp_path: Path) -> None:
    """
    The system's limit is on the address, not on the file.
    """
    path = tmp_path / ("d" * 100) / ("e" * 100) / "s"
    async with transport.listen(at(path), echo) as listener:
        assert b"hello" == (await ask(listener.endpoint)).payload
    assert not path.exists()


@pytest.mark.fault(52)
async def test_a_name_that_no_address_can_hold_is_refused_with_the_limit(tmp_path: Path) -> None:
    """
    The error says how long a path may be.
    """
    with pytest.raises(ConfigError, match="107"):
        async with transport.listen(at(tmp_path / ("s" * 120)), echo):
            pass


@pytest.mark.parametrize("url", ["unix://run/s", "unix:///", "unix:///run/\0"])
async def test_an_endpoint_that_names_no_file_is_refused(url: str) -> None:
    """
    Before anything is tried.
    """
    with pytest.raises(ConfigError):
        async with transport.open(Endpoint(url)):
            pass


async def test_leaving_cancels_handlers_and_closes_connections(tmp_path: Path) -> None:
    """
    The caller hears of it at once.
    """
    started, cancelled, failed = anyio.Event(), anyio.Event(), anyio.Event()

    async def hang(call: Call, peer: str) -> Reply:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async def expect_loss() -> None:
        with pytest.raises(Unavailable):
            await ask(at(tmp_path / "s"))
        failed.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            async with transport.listen(at(tmp_path / "s"), hang):
                tasks.start_soon(expect_loss)
                await started.wait()

            assert cancelled.is_set()
            await failed.wait()


async def test_the_holders_own_error_leaves_the_listener_unwrapped(tmp_path: Path) -> None:
    """
    No group is raised for it, and the file is gone.
    """
    with pytest.raises(KeyError):
        async with transport.listen(at(tmp_path / "s"), echo):
            raise KeyError("mine")

    assert not (tmp_path / "s").exists()


@pytest.mark.fault(54)
def test_of_many_that_start_at_once_over_a_stale_file_one_wins(tmp_path: Path) -> None:
    """
    The others are told that the address is in use, and the winner stays reachable.
    """
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    everybody = Barrier(8)
    outcomes: list[bool] = []

    def compete() -> None:
        everybody.wait(5)
        won = True
        try:
            with listening_socket(path):
                everybody.wait(5)
        except Unavailable:
            won = False
            everybody.wait(5)
        outcomes.append(won)

    threads = [Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert [False] * 7 + [True] == sorted(outcomes)
    assert not os.path.exists(path)


def test_a_directory_that_stays_locked_is_given_up(tmp_path: Path) -> None:
    """
    Somebody else is looking for a place in it, and does not come to an end.
    """
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="locked"), listening_socket(str(tmp_path / "s")):
            pass
    finally:
        os.close(descriptor)
