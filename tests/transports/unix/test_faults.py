"""
Sockets and directories that are not what they should be. Numbers are those of the faults.

What another user does is done by a real process of another user; where the tests run without the right to start one,
the trusted users are configured so that this process is none of them.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from remora.errors import Code, ConfigError, PeerRefused, RemoraError, Unavailable
from remora.types import Call, Endpoint, Reply
from remora_unix import _directory
from remora_unix._credentials import trusted_users
from remora_unix._socket_file import listening_socket
from remora_unix.plugin import Options, build

pytestmark = pytest.mark.anyio

STRANGER = 64998
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and "CI" not in os.environ, reason="needs root, to become another user"
)


async def echo(call: Call, peer: str) -> Reply:
    """
    Say who calls.
    """
    return Reply(payload=peer.encode())


async def call(path: Path | str, **options: object) -> bytes:
    """
    What a call to the socket brings.
    """
    async with build(Options(**options)).open(Endpoint(f"unix://{path}")) as channel:  # type: ignore[arg-type]
        with anyio.fail_after(10):
            return (await channel.call(Call(method="m", payload=b"1"))).payload


async def test_own_user_and_root_are_trusted_without_configuration(tmp_path):
    """
    On both sides.
    """
    async with build(Options()).listen(Endpoint(f"unix://{tmp_path}/s"), echo):
        assert f"uid:{os.geteuid()} ".encode() in await call(tmp_path / "s")
    assert {os.geteuid(), 0} == trusted_users(None)


async def test_a_server_of_another_user_is_refused(tmp_path):
    """
    Before anything is said; the message names the user and the option.
    """
    async with build(Options()).listen(Endpoint(f"unix://{tmp_path}/s"), echo):
        with pytest.raises(PeerRefused, match=rf"uid:{os.geteuid()} .*peer_uid = {os.geteuid()}") as caught:
            await call(tmp_path / "s", peer_uid=STRANGER)
        assert await call(tmp_path / "s", peer_uid=os.geteuid())

    assert caught.value.code is Code.PERMISSION_DENIED
    assert not caught.value.sent


async def test_a_client_of_another_user_is_refused(tmp_path, caplog):
    """
    Its connection is closed, the log says who it was, and the trusted ones are served on.
    """
    caplog.set_level(logging.WARNING)
    async with build(Options(allowed_uids=(STRANGER,))).listen(Endpoint(f"unix://{tmp_path}/s"), echo):
        with pytest.raises(RemoraError):
            await call(tmp_path / "s")
    async with build(Options(allowed_uids=(os.geteuid(),))).listen(Endpoint(f"unix://{tmp_path}/s"), echo):
        assert await call(tmp_path / "s")

    assert f"pid:{os.getpid()} uid:{os.geteuid()}" in caplog.text
    assert "is none of allowed_uids" in caplog.text


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """
    A directory that other users can reach, unlike pytest's own, and put files into.
    """
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o1777)
        yield Path(name)


SERVER = """
import os, socket, sys
os.chdir(sys.argv[1])  # while it may: what is above the directory may be closed to strangers
os.setgroups([]); os.setgid(64998); os.setuid(64998)
sock = socket.socket(socket.AF_UNIX); sock.bind("theirs"); sock.listen(); print("ready", flush=True)
sys.stdin.read()
"""

CLIENT = """
import os, socket, sys
os.chdir(sys.argv[1])
os.setgroups([]); os.setgid(64998); os.setuid(64998)
sock = socket.socket(socket.AF_UNIX); sock.connect("ours"); print(sock.recv(10))
"""


@needs_root
async def test_a_real_stranger_may_neither_serve_nor_call(open_directory):
    """
    The system says who it is.
    """
    theirs, ours = f"{open_directory}/theirs", f"{open_directory}/ours"
    async with await anyio.open_process([sys.executable, "-c", SERVER, str(open_directory)]) as server:
        assert server.stdout is not None
        await server.stdout.receive()
        with pytest.raises(PeerRefused, match=f"uid:{STRANGER}"):
            await call(theirs)
        server.kill()
    async with build(Options()).listen(Endpoint(f"unix://{ours}"), echo):
        os.chmod(ours, 0o777)
        with anyio.fail_after(10):
            done = await anyio.run_process([sys.executable, "-c", CLIENT, str(open_directory)], check=False)

    assert done.stdout.strip() in (b"b''", b"")


@pytest.mark.fault(52)
@pytest.mark.parametrize("length", [107, 108, 150, 400])
async def test_a_long_path_is_no_obstacle(tmp_path, length):
    """
    On both sides, and nothing of it is left.
    """
    directory = tmp_path
    while len(str(directory)) < length - 60:
        directory = directory / ("d" * 50)
    path = directory / ("s" * (length - len(str(directory)) - 1))
    async with build(Options()).listen(Endpoint(f"unix://{path}"), echo):
        assert length == len(str(path))
        assert await call(path)

    assert not path.exists()


@pytest.mark.fault(52)
async def test_a_name_that_cannot_fit_is_named_with_the_limit(tmp_path):
    """
    The system's address has no room for the name alone.
    """
    with pytest.raises(ConfigError, match="the path of a socket may have 10"):
        async with build(Options()).listen(Endpoint(f"unix://{tmp_path}/{'s' * 200}"), echo):
            pass


@pytest.mark.fault(53)
async def test_directories_that_are_made_are_the_owners_alone(tmp_path):
    """
    All of them, whatever the umask.
    """
    before = os.umask(0)
    try:
        async with build(Options()).listen(Endpoint(f"unix://{tmp_path}/a/b/s"), echo):
            modes = [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("a", "a/b")]
    finally:
        os.umask(before)

    assert [0o700, 0o700] == modes


@pytest.mark.fault(53)
async def test_a_directory_that_everybody_may_write_is_refused(tmp_path):
    """
    Unless the sticky bit keeps others from removing our socket.
    """
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody can write to it"):
        async with build(Options()).listen(Endpoint(f"unix://{tmp_path}/s"), echo):
            pass
    assert not (tmp_path / "s").exists()
    tmp_path.chmod(0o1777)
    async with build(Options()).listen(Endpoint(f"unix://{tmp_path}/s"), echo):
        assert await call(tmp_path / "s")


@pytest.mark.fault(53)
@needs_root
async def test_a_directory_of_another_user_is_refused(tmp_path):
    """
    He may put his own socket there.
    """
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, STRANGER, STRANGER)
    with pytest.raises(ConfigError, match=f"it belongs to the user {STRANGER}"):
        async with build(Options()).listen(Endpoint(f"unix://{theirs}/s"), echo):
            pass


@pytest.mark.fault(53)
async def test_a_link_in_place_of_a_directory_that_was_made_is_not_followed(tmp_path):
    """
    Somebody swaps the directory between its making and its use.
    """
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "made").symlink_to(tmp_path / "elsewhere")
    flags = _directory._FLAGS | os.O_NOFOLLOW
    with pytest.raises(OSError, match="Not a directory|symbolic"):
        _directory._opened(str(tmp_path / "made"), flags, _directory._why_not_ours)

    (tmp_path / "other").mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="somebody has put another directory in its place"):
        _directory._opened(str(tmp_path / "other"), flags, _directory._why_not_ours)


@pytest.mark.fault(53)
async def test_the_socket_stays_where_its_directory_was_opened(tmp_path):
    """
    The directory's name leads elsewhere later; what is removed at the end is our own file, where it is.
    """
    (tmp_path / "here").mkdir(mode=0o700)
    with listening_socket(f"{tmp_path}/here/s"):
        (tmp_path / "here").rename(tmp_path / "there")
        (tmp_path / "here").mkdir()
        (tmp_path / "here" / "s").touch()

    assert (tmp_path / "here" / "s").exists()
    assert not (tmp_path / "there" / "s").exists()


@pytest.mark.fault(51)
@pytest.mark.parametrize("path", ["/proc/remora/s", "/proc/remora/a/s", "/proc/s"])
async def test_a_place_that_takes_no_files_is_named(path):
    """
    The file system has no room for anything, whoever asks.
    """
    with pytest.raises(Unavailable, match=f"cannot listen at {path}"):
        async with build(Options()).listen(Endpoint(f"unix://{path}"), echo):
            pass


def test_a_system_without_a_place_for_temporary_files_is_told(monkeypatch):
    """
    As on a read-only system where TMPDIR leads nowhere.
    """
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent/place")

    with pytest.raises(Unavailable, match="cannot listen at a free path: No such file"), listening_socket(""):
        pass
