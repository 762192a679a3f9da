"""
Files of credentials that are none: who reads them could wait for ever, or be told by anybody whom to trust.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora import ConfigError, Endpoint, NoCredentials, Reply, ServeOptions, serving
from remora.types import Call
from remora_auth._sources import CommandSource
from remora_grpc.plugin import GrpcOptions
from remora_grpc.plugin import build as build_grpc
from remora_http.plugin import Options
from remora_http.plugin import build as build_http
from tests.faults.peers import ask, manager_of
from tests.fork_server import ForkServer
from tests.transports.tls import Authority

pytestmark = pytest.mark.anyio


def writable(file: Path) -> None:
    """
    A file as it should be, but for its mode.
    """
    file.write_text("a:secret")
    file.chmod(0o666)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "it is not a regular file"),
    "zeros without end": (lambda file: file.symlink_to("/dev/zero"), "it is not a regular file"),
    "a directory": (lambda file: file.mkdir(), "Is a directory"),
    "a huge one": (lambda file: (file.touch(), os.truncate(file, 1 << 40)), "it is larger than 1 MiB"),
    "everybody's": (writable, "everybody may write to it"),
}


@pytest.fixture(params=WRONG)
def wrong(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """
    A file that is none, and what is to be said of it.
    """
    make, reason = WRONG[request.param]
    make(tmp_path / "wrong")
    return str(tmp_path / "wrong"), reason


class Who:
    async def am_i(self) -> str:
        return "you"


async def test_a_token_file_that_is_none_is_one_error_of_the_call(anyio_backend, wrong: tuple[str, str]) -> None:
    """
    Of the host; nothing is sent.
    """
    path, reason = wrong
    auth = {"method": "bearer", "token_file": path}
    with anyio.fail_after(5):
        async with (
            serving(Who(), listen="http:") as served,
            manager_of(a={"endpoint": served.endpoints[0].url, "auth": auth}) as manager,
        ):
            with pytest.raises(NoCredentials) as caught:
                await ask(manager, "a", timeout=2)

    assert not caught.value.sent
    assert f"token_file {path!r}: {reason}" in str(caught.value)


@pytest.mark.parametrize("key", ["token_file", "callers_file"])
async def test_a_plugin_serves_nothing_with_a_file_of_callers_that_is_none(
    anyio_backend, wrong: tuple[str, str], key: str
) -> None:
    """
    Said before anybody can call.
    """
    path, reason = wrong
    options = ServeOptions(auth={"method": "bearer", key: path})
    with anyio.fail_after(5), pytest.raises(ConfigError, match=reason):
        async with serving(Who(), listen="http:", options=options):
            pass


@pytest.mark.parametrize("key", ["ca_file", "cert_file", "key_file"])
@pytest.mark.parametrize("scheme", ["https", "grpcs"])
async def test_a_file_of_tls_that_is_none_is_an_error_of_the_configuration(
    anyio_backend, wrong: tuple[str, str], tmp_path: Path, scheme: str, key: str
) -> None:
    """
    On both sides of both transports that encrypt.
    """
    path, reason = wrong
    files: dict[str, Any] = {**Authority(tmp_path / "ca").issue("127.0.0.1"), key: path}
    transport = build_http(Options(**files)) if scheme == "https" else build_grpc(GrpcOptions(**files))

    async def dispatch(call: Call, peer: str) -> Reply:
        raise AssertionError

    with anyio.fail_after(10):
        with pytest.raises(ConfigError, match=f"{key} .* cannot be read: {reason}"):
            async with transport.open(Endpoint(f"{scheme}://127.0.0.1:9")):
                pass
        with pytest.raises(ConfigError, match=f"{key} .* cannot be read: {reason}"):
            async with transport.listen(Endpoint(f"{scheme}://127.0.0.1:0"), dispatch):
                pass


def test_an_admin_token_that_is_none_starts_no_host(
    wrong: tuple[str, str], tmp_path: Path, fork_server: ForkServer
) -> None:
    """
    One line says why.
    """
    path, reason = wrong
    (tmp_path / "remora.toml").write_text("")
    words = ["-m", "remora_cli", "run", "remora.toml", "--admin-token-file", path]
    done = fork_server.run(words, cwd=tmp_path, env=os.environ)

    assert "" == done.stdout
    if reason == "Is a directory":  # which the command line itself finds out
        assert "is a directory" in done.stderr
    else:
        assert (3, f"remora: --admin-token-file: {path}: {reason}\n") == (done.returncode, done.stderr)


async def test_a_program_that_prints_without_end_gives_no_token(anyio_backend) -> None:
    """
    It is ended at once, and not when the memory is full.
    """
    with anyio.fail_after(10), pytest.raises(NoCredentials, match="token_command 'yes': it prints more than 1 MiB"):
        await CommandSource(["yes"]).fetch()
