"""
TLS: who is trusted, and what is said when somebody is not.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import pytest
from anyio import from_thread, to_thread
from anyio.abc import SocketAttribute, SocketStream

from remora.errors import ConfigError, WrongProtocol
from remora.types import Call, Endpoint, Reply
from remora_http._address import parse_address
from remora_http._client._engine import Way, open_engine
from remora_http._tls import client_context
from remora_http.plugin import Options, build
from tests.transports.tls import Authority

pytestmark = pytest.mark.anyio
T = TypeVar("T")


async def echo(call: Call, peer: str) -> Reply:
    """Answer with what was asked."""
    return Reply(payload=call.payload)


async def test_a_named_authority_is_trusted(authority: Authority) -> None:
    """And the endpoint says https."""
    server = build(Options(**authority.issue("127.0.0.1")))
    client = build(Options(ca_file=authority.ca_file))
    with anyio.fail_after(5):
        async with server.listen(Endpoint("https:"), echo) as listener, client.open(listener.endpoint) as channel:
            replies = [(await channel.call(Call(payload=b"%d" % number))).payload for number in range(3)]

    assert listener.endpoint.url.startswith("https://127.0.0.1:")
    assert [b"0", b"1", b"2"] == replies


@pytest.mark.fault(43)
async def test_an_unknown_authority_is_refused_by_default(authority: Authority, stranger: Authority) -> None:
    """Whether nobody is named, or somebody else."""
    server = build(Options(**authority.issue("127.0.0.1")))
    with anyio.fail_after(5):
        async with server.listen(Endpoint("https:"), echo) as listener:
            for options in (Options(), Options(ca_file=stranger.ca_file)):
                with pytest.raises(ConfigError, match="certificate is not accepted"):
                    async with build(options).open(listener.endpoint):
                        pass


@pytest.mark.fault(43)
async def test_a_certificate_for_another_host_is_refused(authority: Authority) -> None:
    """And the message names the host that was asked for."""
    server = build(Options(**authority.issue("elsewhere.example")))
    client = build(Options(ca_file=authority.ca_file))
    with anyio.fail_after(5):
        async with server.listen(Endpoint("https:"), echo) as listener:
            with pytest.raises(ConfigError, match=r"127\.0\.0\.1"):
                async with client.open(listener.endpoint):
                    pass


async def test_verification_can_be_switched_off(authority: Authority) -> None:
    """By name only."""
    server, client = build(Options(**authority.issue("elsewhere.example"))), build(Options(verify=False))
    with anyio.fail_after(5):
        async with server.listen(Endpoint("https:"), echo) as listener, client.open(listener.endpoint) as channel:
            assert b"x" == (await channel.call(Call(payload=b"x"))).payload


async def test_a_server_may_ask_for_the_clients_certificate(authority: Authority, stranger: Authority) -> None:
    """And refuses those without, and those of strangers."""
    server = build(Options(**authority.issue("127.0.0.1"), ca_file=authority.ca_file))
    known = build(Options(**authority.issue("client"), ca_file=authority.ca_file))
    unknown = build(Options(**stranger.issue("client"), ca_file=authority.ca_file))
    with anyio.fail_after(5):
        async with server.listen(Endpoint("https:"), echo) as listener:
            async with known.open(listener.endpoint) as channel:
                assert b"x" == (await channel.call(Call(payload=b"x"))).payload
            for client in (build(Options(ca_file=authority.ca_file)), unknown):
                with pytest.raises(ConfigError, match=r"refuses the TLS connection|ask for a certificate"):
                    async with client.open(listener.endpoint):
                        pass


@pytest.mark.fault(44)
async def test_https_spoken_to_a_plain_server_is_the_wrong_protocol() -> None:
    """The message speaks of TLS."""
    transport = build(Options())
    with anyio.fail_after(5):
        async with transport.listen(Endpoint("http:"), echo) as listener:
            with pytest.raises(WrongProtocol, match="TLS"):
                async with transport.open(Endpoint(listener.endpoint.url.replace("http:", "https:"))):
                    pass


async def test_plain_http_spoken_to_a_tls_server_is_the_wrong_protocol(authority: Authority) -> None:
    """It answers with an alert, or not at all."""
    transport = build(Options(**authority.issue("127.0.0.1")))
    with anyio.fail_after(5):
        async with transport.listen(Endpoint("https:"), echo) as listener:
            with pytest.raises(WrongProtocol, match="does not speak HTTP"):
                async with transport.open(Endpoint(listener.endpoint.url.replace("https:", "http:"))):
                    pass


@pytest.mark.parametrize("name", ["ca_file", "cert_file"])
async def test_a_file_that_is_not_there_is_an_error_of_the_configuration(name: str, tmp_path: Path) -> None:
    """Named in the message."""
    path = str(tmp_path / "nowhere.pem")
    options: dict[str, Any] = {name: path, "key_file": path}
    with anyio.fail_after(5), pytest.raises(ConfigError, match=r"nowhere\.pem"):
        async with build(Options(**options)).open(Endpoint("https://127.0.0.1:1")):
            pass


@pytest.mark.fault(43)
async def test_a_certificate_that_expires_meanwhile_is_found_at_the_call(
    authority: Authority, stranger: Authority, json_server: Any, answer_with: Any
) -> None:
    """Any later connection is checked like the first one."""
    trusted, other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("127.0.0.1").configure_cert(trusted)
    stranger.ca.issue_cert("127.0.0.1").configure_cert(other)
    served = [trusted]

    def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = served[-1]

    trusted.sni_callback = choose
    transport = build(Options(ca_file=authority.ca_file))
    with json_server(answer_with(200, {}), tls=trusted) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"https://{place}")) as channel:
            served.append(other)
            with pytest.raises(ConfigError, match="certificate is not accepted"):
                await channel.call(Call())


def fetch(port: int, ca_file: str, request: bytes, begun: anyio.Event) -> bytes:
    """The answer to a request, to a client with little room; until the server closes the connection."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(5)
        plain.connect(("127.0.0.1", port))
        context = ssl.create_default_context(cafile=ca_file)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
            stream.sendall(request)
            answer = stream.recv(1)
            from_thread.run_sync(begun.set)
            return answer + b"".join(iter(lambda: stream.recv(16384), b""))


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_large_reply_is_sent_whole_before_its_connection_ends(authority: Authority, is_told: bool) -> None:
    """Because the client wishes so, or because the server is stopped."""
    reply, begun, ended, answers = b"x" * 6_000_000, anyio.Event(), anyio.Event(), list[bytes]()

    async def answer(call: Call, peer: str) -> Reply:
        return Reply(payload=reply)

    async def ask(port: int) -> None:
        end = b"Connection: close\r\n" if is_told else b""
        request = b"POST / HTTP/1.1\r\n%bContent-Length: 1\r\n\r\n1" % end
        answers.append(await to_thread.run_sync(fetch, port, authority.ca_file, request, begun))
        ended.set()

    server = build(Options(**authority.issue("127.0.0.1")))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, server.listen(Endpoint("https:"), answer) as listener:
            tasks.start_soon(ask, int(listener.endpoint.address.rpartition(":")[2]))
            await (ended if is_told else begun).wait()

    assert len(reply) == len(answers[0].partition(b"\r\n\r\n")[2])


class Records:
    """
    A server that answers each request with several records of TLS in one piece, and counts its connections.
    """

    def __init__(self, context: ssl.SSLContext, *records: bytes) -> None:
        self.connections = 0
        self._context = context
        self._records = records

    async def talk(self, stream: SocketStream) -> None:
        """Answer what comes, until it is the end."""
        self.connections += 1
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secured = self._context.wrap_bio(incoming, outgoing, server_side=True)

        async def done(step: Callable[[], T]) -> T:
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    await stream.send(outgoing.read() or b"")
                    incoming.write(await stream.receive())

        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await done(secured.do_handshake)
                while await done(lambda: secured.read(65536)):
                    for record in self._records:
                        secured.write(record)
                    await stream.send(outgoing.read())


@pytest.mark.parametrize(("further", "connections"), [([], 1), ([b"again"], 3)])
@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_a_second_answer_in_a_record_of_its_own_is_never_that_to_the_next_call(
    authority: Authority, engine: Literal["direct", "httpx"], further: list[bytes], connections: int
) -> None:
    """Though it has arrived with the first one, and only waits to be decrypted. Without one the connection stays."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("127.0.0.1").configure_cert(context)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    server = Records(context, *(head + body for body in (b"first", *further)))
    transport = build(Options(ca_file=authority.ca_file, engine=engine))
    with anyio.fail_after(5):
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listener.serve, server.talk)
            url = f"https://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
            async with transport.open(Endpoint(url)) as channel:
                server.connections = 0
                replies = [(await channel.call(Call())).payload for _ in range(3)]
            tasks.cancel_scope.cancel()

    assert [b"first"] * 3 == replies
    assert connections == server.connections


@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_a_handshake_that_is_cancelled_leaves_no_connection(
    authority: Authority, engine: Literal["direct", "httpx"]
) -> None:
    """The server sees it end at once."""
    ended, begun = anyio.Event(), anyio.Event()

    async def listen(stream: Any) -> None:
        async with stream:
            await stream.receive()
            begun.set()
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await stream.receive()
            ended.set()

    options = Options(ca_file=authority.ca_file, engine=engine)
    with anyio.fail_after(5):
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listener.serve, listen)
            address = parse_address(Endpoint(f"https://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"))
            async with open_engine(address, options, Way(client_context(options))) as carrier:
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as calls:
                        calls.start_soon(carrier.get, "/")
                        await begun.wait()
                        scope.cancel()
                await ended.wait()
            tasks.cancel_scope.cancel()
