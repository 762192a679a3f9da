"""
TLS as every transport that encrypts has it: the same errors, the same care with files.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.abc import TaskStatus

from remora import Call, CertificateRejected, ConfigError, Endpoint, Manager, RemoraError, Reply, WrongProtocol
from remora.config import ConnectionConfig
from remora.protocols import Transport
from remora.tls import CertificateFiles, Watched, client_context, identity_of, server_context
from remora_grpc.plugin import GrpcOptions
from remora_grpc.plugin import build as build_grpc
from remora_http.plugin import Options
from remora_http.plugin import build as build_http
from tests.transports.tls import Authority, replace_file, spoil

pytestmark = pytest.mark.anyio

HOST = "127.0.0.1"
SCHEMES = ["https", "grpcs"]


def make(scheme: str, **options: Any) -> Transport:
    """
    The transport of a scheme.
    """
    connection = ConnectionConfig(connection_timeout=3)
    if scheme == "https":
        return build_http(Options(connection=connection, **options))
    return build_grpc(GrpcOptions(connection=connection, **options))


async def whose(call: Call, peer: str) -> Reply:
    """Tell the caller the name in its certificate."""
    return Reply(payload=call.identity.encode(), content_type=call.content_type)


async def ask(transport: Transport, endpoint: Endpoint) -> str:
    """
    The answer to one call on a connection of its own.
    """
    async with transport.open(endpoint) as channel:
        return (await channel.call(Call(service="s", method="m"))).payload.decode()


@pytest.mark.fault(43)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("reason", "names", "days", "trusted"),
    [
        ("expired", (HOST,), (-9, -1), True),
        ("not-yet-valid", (HOST,), (1, 9), True),
        ("wrong-host", ("elsewhere.example",), (-1, 9), True),
        ("wrong-host", ("127.0.0.2",), (-1, 9), True),
        ("unknown-authority", (HOST,), (-1, 9), False),
    ],
)
async def test_certificate_that_is_not_accepted_has_a_reason(
    scheme: str,
    reason: str,
    names: tuple[str, ...],
    days: tuple[int, int],
    trusted: bool,
    authority: Authority,
    stranger: Authority,
) -> None:
    """
    One line, the same on both transports.
    """
    server = make(scheme, **authority.issue(*names, days=days))
    client = make(scheme, ca_file=(authority if trusted else stranger).ca_file)
    with anyio.fail_after(15):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            with pytest.raises(CertificateRejected, match="the server's certificate is not accepted") as caught:
                await ask(client, listener.endpoint)

    assert reason == caught.value.reason
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_public_authorities_are_the_default(scheme: str, authority: Authority) -> None:
    """
    Nothing is trusted because nothing was said.
    """
    server = make(scheme, **authority.issue(HOST))
    with anyio.fail_after(15):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            with pytest.raises(CertificateRejected) as caught:
                await ask(make(scheme), listener.endpoint)

    assert "unknown-authority" == caught.value.reason


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_an_application_learns_the_reason_and_what_to_do(scheme: str, authority: Authority) -> None:
    """
    The error of its call has what the transport has found out.
    """
    server = make(scheme, **authority.issue(HOST))
    with anyio.fail_after(15):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            table = {"endpoint": listener.endpoint.url, "service": "s", "method": "m"}
            async with Manager({"plugins": {"p": table}}) as manager:
                with pytest.raises(CertificateRejected) as caught:
                    await manager.plugin("p", str, str).execute("who")

    assert "unknown-authority" == caught.value.reason
    assert caught.value.message.endswith("; ca_file names the authorities to trust")


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_server_name_stands_for_the_host(scheme: str, authority: Authority) -> None:
    """
    And is checked like one.
    """
    server = make(scheme, **authority.issue("plugin.internal"))
    with anyio.fail_after(15):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            assert "" == await ask(
                make(scheme, ca_file=authority.ca_file, server_name="plugin.internal"), listener.endpoint
            )
            with pytest.raises(CertificateRejected) as caught:
                await ask(make(scheme, ca_file=authority.ca_file, server_name="other.internal"), listener.endpoint)

    assert "wrong-host" == caught.value.reason


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_clients_certificate_says_who_calls(scheme: str, authority: Authority) -> None:
    """
    The plugin sees the first name in it.
    """
    server = make(scheme, **authority.issue(HOST), ca_file=authority.ca_file)
    client = make(scheme, **authority.issue("billing.example", "other.example"), ca_file=authority.ca_file)
    with anyio.fail_after(15):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            assert "billing.example" == await ask(client, listener.endpoint)


@pytest.mark.fault(43)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("nobody", "client-certificate-missing"),
        ("stranger", "client-certificate-refused"),
        ("expired", "client-certificate-refused"),
    ],
)
async def test_client_that_is_refused_knows_why(
    scheme: str, who: str, reason: str, authority: Authority, stranger: Authority
) -> None:
    """
    Without a certificate, or with one that is not accepted.
    """
    shown = {
        "nobody": {},
        "stranger": stranger.issue("client"),
        "expired": authority.issue("client", days=(-9, -1)),
    }[who]
    server = make(scheme, **authority.issue(HOST), ca_file=authority.ca_file)
    with anyio.fail_after(15):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            with pytest.raises(CertificateRejected) as caught:
                await ask(make(scheme, ca_file=authority.ca_file, **shown), listener.endpoint)

    assert reason == caught.value.reason


@pytest.mark.fault(45)
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_server_shows_a_renewed_certificate_to_new_connections(scheme: str, authority: Authority) -> None:
    """
    Without a restart; those that are open go on.
    """
    server = make(scheme, **authority.issue(HOST, into="server"))
    with anyio.fail_after(20):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            async with make(scheme, ca_file=authority.ca_file).open(listener.endpoint) as old:
                await old.call(Call(service="s", method="m"))
                authority.issue("renewed.example", into="server")
                renewed = make(scheme, ca_file=authority.ca_file, server_name="renewed.example")

                assert "" == await ask(renewed, listener.endpoint)
                assert b"" == (await old.call(Call(service="s", method="m"))).payload


@pytest.mark.fault(45)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("spoilt", ["mismatched", "half", "empty", "missing"])
async def test_pair_that_cannot_be_used_leaves_the_old_one(
    scheme: str, spoilt: str, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """
    With one warning, until the pair is whole again.
    """
    files = authority.issue(HOST, into="server")
    cert, other = Path(files["cert_file"]), authority.pem(into="other")
    server = make(scheme, **files)
    client = make(scheme, ca_file=authority.ca_file)
    with anyio.fail_after(20):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            spoil(cert, {"mismatched": other, "half": other[:300], "empty": b""}.get(spoilt))
            answers = [await ask(client, listener.endpoint) for _ in range(2)]
            warnings = [each for each in caplog.records if each.levelno == logging.WARNING and "stays" in each.message]
            authority.issue("renewed.example", into="server")
            renewed = make(scheme, ca_file=authority.ca_file, server_name="renewed.example")
            answers.append(await ask(renewed, listener.endpoint))

    assert [""] * 3 == answers
    assert 1 == len(warnings)


@pytest.mark.fault(45)
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_client_reads_its_files_again_when_it_connects_again(
    scheme: str, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    """
    An authority that is replaced is trusted by the channel that is open already.
    """
    trusted = tmp_path / "trusted.pem"
    replace_file(trusted, authority.ca_pem)
    client = make(scheme, ca_file=str(trusted))
    first, second = make(scheme, **authority.issue(HOST)), make(scheme, **stranger.issue(HOST))
    async with first.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
        endpoint = listener.endpoint
    leave, left = anyio.Event(), anyio.Event()

    async def serve_first(*, task_status: TaskStatus[None]) -> None:
        async with first.listen(endpoint, whose):
            task_status.started()
            await leave.wait()
        left.set()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve_first)
            async with client.open(endpoint) as channel:
                leave.set()
                await left.wait()
                replace_file(trusted, stranger.ca_pem)
                async with second.listen(endpoint, whose):
                    assert b"" == (await patiently(channel)).payload


@pytest.mark.fault(45)
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_what_is_opened_while_a_pair_is_replaced_begins_with_the_old_one(
    scheme: str, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Between the writing of the key and that of the certificate.
    """
    server = make(scheme, **authority.issue(HOST, into="server"), ca_file=authority.ca_file)
    files = authority.issue("host.example", into="client")
    renewed = authority.contents("renewed.example")
    with anyio.fail_after(20):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            callers = [await ask(make(scheme, **files, ca_file=authority.ca_file), listener.endpoint)]
            for kind in ("key_file", "cert_file"):
                replace_file(Path(files[kind]), renewed[kind])
                callers.append(await ask(make(scheme, **files, ca_file=authority.ca_file), listener.endpoint))

    assert ["host.example", "host.example", "renewed.example"] == callers
    assert 1 == len([each for each in caplog.records if "stays" in each.message])


def test_what_one_user_of_files_negotiates_is_not_the_next_ones(authority: Authority) -> None:
    """
    Although both use the same files.
    """
    files = CertificateFiles(ca_file=authority.ca_file)
    first, second = client_context(files), client_context(files)
    first.set_alpn_protocols(["h2"])
    greetings = []
    for context in (first, second):
        outgoing = ssl.MemoryBIO()
        with suppress(ssl.SSLWantReadError):
            context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a.example").do_handshake()
        greetings.append(outgoing.read())

    assert [True, False] == [b"\x02h2" in each for each in greetings]


async def patiently(channel: Any) -> Reply:
    """
    The reply to a call, made again while the connection is not there yet.
    """
    while True:
        try:
            return await channel.call(Call(service="s", method="m", idempotent=True))
        except Exception as error:
            if not getattr(error, "retryable", False):
                raise
        await anyio.sleep(0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_old_versions_of_tls_are_refused(scheme: str, authority: Authority) -> None:
    """
    Nothing under 1.2.
    """
    server = make(scheme, **authority.issue(HOST))
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(authority.ca_file)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.set_alpn_protocols(["h2"])
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with anyio.fail_after(15):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            port = int(listener.endpoint.url.rpartition(":")[2])
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await anyio.to_thread.run_sync(_handshake, port, old)


def _handshake(port: int, context: ssl.SSLContext) -> None:
    with socket.create_connection((HOST, port), timeout=5) as plain, context.wrap_socket(plain, server_hostname=HOST):
        pass


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_server_that_speaks_only_old_versions_is_refused(scheme: str, authority: Authority) -> None:
    """
    By every client.
    """
    files = authority.issue(HOST)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(files["cert_file"], files["key_file"])
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with anyio.fail_after(15), _server_that_only_greets(old) as port:
        with pytest.raises(RemoraError):
            await ask(make(scheme, ca_file=authority.ca_file), Endpoint(f"{scheme}://{HOST}:{port}"))


@pytest.mark.fault(46)
@pytest.mark.parametrize("offered", [[], ["http/1.1"]])
async def test_server_that_does_not_offer_http2_is_an_error_at_once(offered: list[str], authority: Authority) -> None:
    """
    gRPC has no other wire, whatever the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = authority.issue(HOST)
    context.load_cert_chain(files["cert_file"], files["key_file"])
    if offered:
        context.set_alpn_protocols(offered)
    with anyio.fail_after(15), _server_that_only_greets(context) as port, pytest.raises(WrongProtocol, match="ALPN"):
        await ask(make("grpcs", ca_file=authority.ca_file), Endpoint(f"grpcs://{HOST}:{port}"))


@contextmanager
def _server_that_only_greets(context: ssl.SSLContext) -> Iterator[int]:
    def run() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                with suppress(OSError):
                    context.wrap_socket(connection, server_side=True).close()

    with socket.create_server((HOST, 0)) as listening, ThreadPoolExecutor(1) as pool:
        pool.submit(run)
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def test_contexts_begin_at_version_1_2(authority: Authority) -> None:
    """
    On both sides.
    """
    files = CertificateFiles(ca_file=authority.ca_file, **authority.issue(HOST))
    for context, is_server in ((client_context(files), False), (server_context(files), True)):
        wrapped = context.wrap_bio(
            ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=is_server, server_hostname=None if is_server else HOST
        )

        assert wrapped.context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert wrapped.context.verify_mode == ssl.CERT_REQUIRED
        assert wrapped.context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    ("scheme", "ready", "refusal"),
    [("https", b"---\n", b"no renegotiation"), ("grpcs", b"\x04\0\0\0\0\0", b"unexpected eof")],
)
async def test_a_client_that_asks_for_a_new_handshake_gets_none(
    scheme: str, ready: bytes, refusal: bytes, authority: Authority
) -> None:
    """
    Each would cost the server many times what it costs the client. Others are served as ever.
    """
    server = make(scheme, **authority.issue(HOST))
    with anyio.fail_after(15):
        async with server.listen(Endpoint(f"{scheme}://{HOST}:0"), whose) as listener:
            said = await renegotiate(listener.endpoint, ready)
            answer = await ask(make(scheme, ca_file=authority.ca_file), listener.endpoint)

    assert b"Secure Renegotiation IS supported" in said
    assert b"ALPN protocol: " + (b"http/1.1" if scheme == "https" else b"h2") in said
    assert refusal in said.partition(b"RENEGOTIATING")[2]
    assert "" == answer


async def renegotiate(endpoint: Endpoint, ready: bytes) -> bytes:
    """
    What OpenSSL's client says until the server hangs up, when it is told to ask for a new handshake.

    Args:
        endpoint: The server.
        ready: What is seen of it once the first handshake is over, and gRPC has said hello.
    """
    place = endpoint.url.partition("//")[2]
    command = ["openssl", "s_client", "-tls1_2", "-alpn", "h2,http/1.1", "-connect", place]
    said, is_told = b"", False
    async with await anyio.open_process(command, stderr=subprocess.STDOUT) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        async for chunk in client.stdout:
            said += chunk
            if not is_told and ready in said.partition(b"Verify return code")[2]:
                is_told = True
                await client.stdin.send(b"R\n")
    return said


@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        (None, ""),
        ({}, ""),
        ({"subject": ((("organizationName", "o"),), (("commonName", "bob"),))}, "bob"),
        (
            {"subject": ((("commonName", "bob"),),), "subjectAltName": (("URI", "spiffe://a/b"), ("DNS", "b"))},
            "spiffe://a/b",
        ),
    ],
)
def test_name_in_a_certificate_is_the_first_alternative_one(certificate: Any, name: str) -> None:
    """
    Or the common one.
    """
    assert name == identity_of(certificate)


@pytest.mark.fault(45)
def test_files_that_change_while_they_are_read_are_read_again(tmp_path: Path) -> None:
    """
    What was read then may be the old half of one pair and the new half of another.
    """
    path = tmp_path / "pair"

    def load() -> str:
        content = path.read_text()
        if content == "half":
            replace_file(path, b"whole")
            os.utime(path, (0, 0))  # its inode may be that of the first file
        return content

    path.write_text("first")
    watched = Watched([str(path)], load)
    replace_file(path, b"half")

    assert ["first", "whole"] == [watched.current(), watched.current()]


@pytest.mark.fault(45)
def test_files_that_may_be_used_only_later_are_used_then(tmp_path: Path) -> None:
    """
    Who puts a new key in place may give the right to read it in a second step, which leaves its content as it is.
    """
    path = tmp_path / "bundle"

    def load() -> str:
        if path.stat().st_mode & 0o077:
            raise ConfigError("others may read it")
        return path.read_text()

    path.touch(0o600)
    watched = Watched([str(path)], load)
    (tmp_path / "new").write_text("new")
    (tmp_path / "new").chmod(0o644)
    os.utime(tmp_path / "new", (0, 0))  # as one that was written a while ago
    os.replace(tmp_path / "new", path)
    answers = [watched.current()]
    path.chmod(0o600)

    assert ["", "new"] == [*answers, watched.current()]


@pytest.mark.fault(45)
def test_files_that_are_being_written_in_place_are_left_alone(tmp_path: Path) -> None:
    """
    Half of a bundle can be used as well, but says something else.
    """
    path = tmp_path / "bundle"
    path.write_text("one two")
    watched = Watched([str(path)], path.read_text)
    path.write_text("one")
    answers = [watched.current()]
    os.utime(path, ns=(0, os.stat(path).st_mtime_ns - 10**9))  # a second later

    assert ["one two", "one"] == [*answers, watched.current()]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "there is no certificate in it"),
        (b"WHOLE-----BEGIN CERTIFICATE-----\nMII", "is cut off"),
        (b"WHOLE-----BEG", "is cut off"),
        (b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n", "cannot be read as PEM"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(content: bytes, words: str, authority: Authority) -> None:
    """
    And no other one.
    """
    files = authority.issue(HOST)
    Path(authority.ca_file).write_bytes(content.replace(b"WHOLE", authority.ca_pem))

    with pytest.raises(ConfigError, match=words) as caught:
        CertificateFiles(**files, ca_file=authority.ca_file).check()

    assert f"ca_file {authority.ca_file!r}" in str(caught.value)
    assert files["cert_file"] not in str(caught.value)


def test_a_key_of_another_certificate_is_named(authority: Authority) -> None:
    """
    With both files, but not the authorities'.
    """
    files = authority.issue(HOST) | {"key_file": authority.issue("other.example")["key_file"]}

    with pytest.raises(ConfigError, match="the key does not belong to the certificate") as caught:
        CertificateFiles(**files, ca_file=authority.ca_file).check()

    assert all(path in str(caught.value) for path in files.values())
    assert authority.ca_file not in str(caught.value)
