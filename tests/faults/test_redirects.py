"""
Servers that send a call elsewhere, to hosts that have allowed them to.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSListener

from remora import Call, Code, ConfigError, ConnectionLost, DeadlineExceeded, PluginError, Status, Unavailable
from remora.config import ConnectionConfig, HealthCheckConfig
from remora.types import Endpoint
from remora_http.plugin import Options, build
from tests.faults.peers import ask, http_answer, http_request, manager_of
from tests.ports import deaf_port
from tests.transports.tls import Authority

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("engine", ["direct", "httpx"])]


def to(place: str, status: str = "307 Elsewhere") -> tuple[str, str]:
    """
    An answer that redirects.
    """
    return status, place


@dataclass
class Site:
    """
    A server that answers by path, and remembers what it was asked.
    """

    ways: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """The paths of all requests but greetings."""
        return [request.split(b" ")[1].decode() for request in self.asked]

    async def talk(self, stream: Any) -> None:
        """Answer one connection's requests."""
        while request := await http_request(stream):
            if not request.startswith(b"OPTIONS"):
                self.asked.append(request)
            await self._answer(stream, request.split(b" ")[1].decode())

    async def _answer(self, stream: SocketStream, path: str) -> None:
        status, place = self.ways.get(path, ("200 OK", ""))
        if status == "silent":
            await anyio.sleep_forever()
        if status == "gone":
            raise anyio.EndOfStream
        places = [f"Location: {each}" for each in place.split(" and ")] if place else []
        await stream.send(http_answer(b'"here"', status, *places))


@asynccontextmanager
async def serve(site: Site, tls: ssl.SSLContext | None = None, *, path: Path | None = None) -> AsyncIterator[str]:
    """
    Have a site answer at a port of its own, or at a Unix socket.
    """

    async def handle(stream: Any) -> None:
        try:
            await site.talk(stream)
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            pass
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(stream)

    listener, url = await _listen(tls, path)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield url
        tasks.cancel_scope.cancel()


async def _listen(tls: ssl.SSLContext | None, path: Path | None) -> tuple[Any, str]:
    if path is not None:
        return await anyio.create_unix_listener(path), f"http+unix://{path}"
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    place = f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
    if tls is None:
        return listener, f"http://{place}"
    return TLSListener(listener, tls, standard_compatible=False), f"https://{place}"


def following(engine: Any, **options: Any) -> Any:
    """
    The transport of a host that follows redirects.
    """
    return build(Options(engine=engine, follow_redirects=True, **options))


async def call(transport: Any, url: str, **what: Any) -> bytes:
    """
    The payload of the reply to one call.
    """
    async with transport.open(Endpoint(url)) as channel:
        payload: bytes = (await channel.call(Call(payload=b'{"a": 1}', **what))).payload
        return payload


CREDENTIALS = {"authorization": "Bearer secret", "x-api-key": "secret", "cookie": "a=secret", "x-own": "secret"}


@pytest.mark.fault(67)
@pytest.mark.parametrize("status", ["307 Again", "308 For Good"])
@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("/b?x=1", "/b?x=1"),
        ("b", "/base/s/b"),
        ("?x", "/base/s/m?x"),
        ("../c", "/base/c"),
        ("{here}/b", "/b"),
        ("HTTP:{there}/b#part", "/b"),
        ("/%0d%0aX-Evil:1", "/%0d%0aX-Evil:1"),
    ],
)
async def test_a_redirect_inside_the_origin_is_followed_with_all_that_the_call_has(
    engine: str, status: str, where: str, path: str
) -> None:
    """
    Verb, body and headers are the same.
    """
    site = Site()
    with anyio.fail_after(5):
        async with serve(site) as here:
            site.ways["/base/s/m"] = to(where.format(here=here, there=here.removeprefix("http:")), status)
            payload = await call(
                following(engine), f"{here}/base", service="s", method="m", headers=CREDENTIALS, request_id="r1"
            )

    first, second = (request.replace(b" /base/s/m ", b" ? ").split(b"\r\n") for request in site.asked)
    assert payload == b'"here"'
    assert site.paths == ["/base/s/m", path]
    assert second[0] == f"POST {path} HTTP/1.1".encode()
    assert sorted(first[1:]) == sorted(second[1:])


@pytest.mark.fault(67)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other"])
async def test_a_call_never_becomes_a_get(engine: str, status: str) -> None:
    """
    Which it would with every client of HTTP.
    """
    site = Site({"/": to("/b", status)})
    with anyio.fail_after(5):
        async with serve(site) as here:
            with pytest.raises(PluginError, match=r"redirect to '/b'; it is not followed: .* a GET") as caught:
                await call(following(engine), here)

    assert caught.value.code is Code.UNKNOWN
    assert site.paths == ["/"]


@pytest.mark.fault(67)
async def test_redirects_have_an_end(engine: str) -> None:
    """
    In a circle as well as on a way that always leads further.
    """
    round_about = Site({"/": to("/a"), "/a": to("/b"), "/b": to("/a")})
    endless = Site({f"/{number or ''}": to(f"/{number + 1}") for number in range(9)})
    with anyio.fail_after(5):
        async with serve(round_about) as one, serve(endless) as other:
            with pytest.raises(PluginError, match="not followed: it leads round in a circle"):
                await call(following(engine), one)
            with pytest.raises(PluginError, match=r"more than 5 redirects \(max_redirects\)"):
                await call(following(engine), other)
            with pytest.raises(PluginError, match="more than 1 redirects"):
                await call(following(engine, max_redirects=1), other)
            assert await call(following(engine, max_redirects=9), other) == b'"here"'

    assert round_about.paths == ["/", "/a", "/b"]
    assert len(endless.paths) == 6 + 2 + 10


async def test_one_deadline_is_that_of_the_whole_way(engine: str) -> None:
    """
    The second server is told how much is left.
    """
    site = Site({"/": to("/b"), "/b": to("/c"), "/c": ("silent", "")})
    with anyio.fail_after(5):
        async with serve(site) as here:
            with pytest.raises(DeadlineExceeded):
                await call(following(engine), here, deadline=anyio.current_time() + 0.3)

    left = [int(request.lower().partition(b"connect-timeout-ms: ")[2].split(b"\r\n")[0]) for request in site.asked]
    assert len(left) == 3
    assert 300 >= left[0] >= left[1] >= left[2] > 0


@pytest.mark.fault(67, 69)
@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("{elsewhere}/", "another origin"),
        ("//169.254.169.254/latest/meta-data/", "another origin"),
        ("http://[::ffff:169.254.169.254]/", "another origin"),
        ("http://2852039166/", "another origin"),
        ("http://localhost.:{port}/", "another origin"),
        ("http://127.0.0.1.nip.io:{port}/", "another origin"),
        ("https://127.0.0.1:{port}/", "another origin"),
        ("http://user:pass@127.0.0.1:{port}/", "credentials of its own"),
        ("http://@127.0.0.1:{port}/", "credentials of its own"),
        ("http+unix:///run/docker.sock:/", "not HTTP"),
        ("unix:///run/docker.sock", "not HTTP"),
        ("file:///etc/passwd", "not HTTP"),
        ("javascript:alert(1)", "not HTTP"),
        ("/a b", "not a URL"),
        ("/\\evil.example/", "not a URL"),
        ("http://[::1/", "not a URL"),
        ("http://127.0.0.1:99999/", "not a URL"),
        ("/b and /c", "not a URL"),
        ("http://127.0.0.1%3a{port}/", "not a URL"),
        (f"/{'a' * 16_384}", "a URL of 16385 characters"),
        ("", "does not say where to"),
    ],
)
async def test_a_redirect_to_another_place_is_one_error(engine: str, where: str, reason: str) -> None:
    """
    Which shows neither what stands before an "at" nor what follows a question mark.
    """
    site, other = Site(), Site()
    with anyio.fail_after(5):
        async with serve(site) as here, serve(other) as elsewhere:
            site.ways["/"] = to(where.format(elsewhere=elsewhere, port=here.rpartition(":")[2]))
            with pytest.raises(PluginError, match=f"it is not followed: .*{reason}") as caught:
                await call(following(engine), here)

    assert (site.paths, other.asked) == (["/"], [])
    assert "pass@" not in str(caught.value)


@pytest.mark.fault(68)
async def test_a_listed_origin_gets_what_could_be_no_credential(engine: str) -> None:
    """
    And it may send the call back.
    """
    site, other = Site(), Site()
    with anyio.fail_after(5):
        async with serve(site) as here, serve(other) as elsewhere:
            site.ways["/"], other.ways["/b?token=1"] = to(f"{elsewhere}/b?token=1"), to(f"{here}/c")
            transport = following(engine, redirect_origins=(elsewhere.upper().replace("HTTP", "http"), here))
            assert await call(transport, here, headers={"traceparent": "00-1-2-3"}, request_id="r") == b'"here"'
            other.ways.clear()
            site.ways["/"] = to(f"{elsewhere}/b")
            assert await call(transport, here) == b'"here"'

    assert (site.paths, other.paths) == (["/", "/c", "/"], ["/b?token=1", "/b"])
    head = other.asked[0].lower()
    assert head.endswith(b'\r\n\r\n{"a": 1}')
    assert f"host: {elsewhere.removeprefix('http://')}\r\n".encode() in head
    assert b"x-request-id: r\r\n" in head
    assert b"traceparent: 00-1-2-3\r\n" in head


@pytest.mark.fault(68)
@pytest.mark.parametrize(
    "auth",
    [
        {"method": "bearer", "token": "canary-1"},
        {"method": "api-key", "api_key": "canary-1"},
        {"method": "api-key", "api_key": "canary-1", "header": "x-tenant"},
        {"method": "basic", "username": "canary-1", "password": "canary-1"},
        {"method": "custom", "headers": {"cookie": "canary-1"}},
        {"method": "none"},
    ],
)
async def test_a_credential_never_reaches_another_origin(engine: str, auth: dict[str, Any]) -> None:
    """
    Whatever the name of its header; not even one that the caller alone has given.
    """
    site, other = Site(), Site()
    headers = {"x-session": "canary-1"} if auth["method"] == "none" else {}
    with anyio.fail_after(5):
        async with serve(site) as here, serve(other) as elsewhere:
            site.ways["/"] = to(elsewhere)
            options = {"engine": engine, "follow_redirects": True, "redirect_origins": [elsewhere]}
            async with manager_of(a={"endpoint": here, "auth": auth, "options": options}) as manager:
                with pytest.raises(PluginError, match=r"another origin, and the header .* could be a cred") as caught:
                    await ask(manager, "a", headers=headers)

    assert (site.paths, other.asked) == (["/"], [])
    assert "canary-1" not in str(caught.value)


@pytest.mark.fault(68)
async def test_a_client_certificate_is_for_one_origin_only(engine: str, tmp_path: Path) -> None:
    """
    Inside it, it is shown at every step; to a listed one nothing is sent.
    """
    site, other = Site(), Site()
    authority = Authority(tmp_path / "ca")
    tls = _server_tls(authority)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(authority.ca_file)
    mine = {"ca_file": authority.ca_file, **authority.issue("me")}
    with anyio.fail_after(10):
        async with serve(site, tls) as here, serve(other, tls) as elsewhere:
            site.ways |= {"/": to(elsewhere), "/a": to("/b")}
            transport = following(engine, redirect_origins=(elsewhere,), **mine)
            with pytest.raises(PluginError, match="a client certificate is for one origin only"):
                await call(transport, here)
            assert await call(transport, f"{here}/a") == b'"here"'

    assert (site.paths, other.asked) == (["/", "/a", "/b"], [])


@pytest.mark.fault(44, 67)
async def test_no_redirect_leads_out_of_encryption(engine: str, tmp_path: Path) -> None:
    """
    Not even to an origin that is listed; into it one may lead, and what is listed is checked as ever.
    """
    site, plain, stranger = Site(), Site(), Site()
    authority, unknown = Authority(tmp_path / "ca"), Authority(tmp_path / "other")
    with anyio.fail_after(10):
        async with (
            serve(site, _server_tls(authority)) as here,
            serve(plain) as open_,
            serve(stranger, _server_tls(unknown)) as strange,
        ):
            site.ways["/"], plain.ways["/"], plain.ways["/strange"] = to(open_), to(f"{here}/b"), to(strange)
            transport = following(engine, ca_file=authority.ca_file, redirect_origins=(open_, here, strange))
            with pytest.raises(PluginError, match="it leads from https to http"):
                await call(transport, here)
            assert await call(transport, open_) == b'"here"'
            with pytest.raises(ConfigError, match="certificate is not accepted"):
                await call(transport, f"{open_}/strange")

    assert (site.paths, plain.paths, stranger.asked) == (["/", "/b"], ["/", "/strange"], [])


async def test_what_holds_for_the_last_part_of_the_way_holds_for_all_of_it(engine: str) -> None:
    """
    A server that redirects a call has not made it. So it is repeated if nothing was sent to the last one, and not
    otherwise.
    """
    site = Site({"/gone": to("/lost"), "/lost": ("gone", "")})
    with deaf_port() as port, anyio.fail_after(5):
        nobody = f"http://127.0.0.1:{port}"
        site.ways["/away"] = to(nobody)
        options = {"engine": engine, "follow_redirects": True, "redirect_origins": [nobody]}
        table = {"options": options, "retry": {"max_retries": 2, "initial_interval": 0.001}}
        async with serve(site) as here:
            async with manager_of(
                gone={"endpoint": f"{here}/gone", **table}, away={"endpoint": f"{here}/away", **table}
            ) as manager:
                with pytest.raises(ConnectionLost) as lost:
                    await ask(manager, "gone")
                with pytest.raises(Unavailable, match="cannot be reached") as away:
                    await ask(manager, "away")

    assert (lost.value.sent, away.value.sent) == (True, False)
    assert site.paths == ["/gone", "/lost", "/away", "/away", "/away"]


async def test_a_health_page_may_be_redirected_anyhow(engine: str) -> None:
    """
    It is a GET before and after; its other origins must be listed too.
    """
    site, other = Site({"/healthy": to("/page", "302 Found"), "/page": ("204 Fine", "")}), Site()
    with anyio.fail_after(5):
        async with serve(site) as here, serve(other) as elsewhere:
            site.ways["/away"] = to(elsewhere, "301 Moved")
            found = []
            for page, origins in [("/healthy", ()), ("/away", ()), ("/away", (elsewhere,))]:
                health = HealthCheckConfig(endpoint=page)
                transport = following(engine, health_check=health, redirect_origins=origins)
                async with transport.open(Endpoint(here)) as channel:
                    found.append((await channel.probe()).status)

    assert found == [Status.HEALTHY, Status.UNHEALTHY, Status.HEALTHY]
    assert site.paths == ["/healthy", "/page", "/away", "/away"]
    assert [request[:6] for request in other.asked] == [b"GET / "]


async def test_a_unix_socket_is_an_origin(engine: str, tmp_path: Path) -> None:
    """
    Its servers call themselves localhost, which leads back to the socket and to no port.
    """
    site, other = Site(), Site()
    with anyio.fail_after(5):
        async with serve(site, path=tmp_path / "s") as here, serve(other) as elsewhere:
            site.ways |= {"/": to("http://localhost/b"), "/b": to("c"), "/away": to(elsewhere)}
            assert await call(following(engine), here) == b'"here"'
            with pytest.raises(PluginError, match="another origin"):
                await call(following(engine), f"{here}:/away")

    assert (site.paths, other.asked) == (["/", "/b", "/c", "/away"], [])


@pytest.mark.parametrize("origin", ["example.com", "ftp://example.com", "https://example.com/v1", "http://a@b", "*"])
async def test_a_redirect_origin_that_is_none_is_an_error_of_the_configuration(engine: Any, origin: str) -> None:
    """
    Found before anything is called.
    """
    with pytest.raises(ConfigError):
        build(Options(engine=engine, redirect_origins=(origin,)))


async def test_redirected_calls_leave_their_connections_for_the_next(engine: str) -> None:
    """
    One connection carries the whole way, and the next call.
    """
    site, peers = Site({"/": to("/b")}), set[Any]()

    async def talk(stream: SocketStream) -> None:
        peers.add(stream)
        await Site.talk(site, stream)

    site.talk = talk  # type: ignore[method-assign]
    connection = ConnectionConfig(max_idle_connections=1)
    with anyio.fail_after(5):
        async with serve(site) as here, following(engine, connection=connection).open(Endpoint(here)) as channel:
            for _ in range(3):
                await channel.call(Call())

    assert len(site.asked) == 6
    assert len(peers) == 2  # one was for the greeting


def _server_tls(authority: Authority) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = authority.issue("127.0.0.1")
    tls.load_cert_chain(files["cert_file"], files["key_file"])
    return tls
