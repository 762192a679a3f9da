"""
The ASGI application, in servers and under mounts that are not ours.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import anyio
import pytest

from remora.errors import Code, PluginError
from remora.protocols import Transport
from remora.types import Call, Endpoint, Reply
from remora_http import asgi
from remora_http._server._asgi import Application

pytestmark = pytest.mark.anyio

Message = MutableMapping[str, Any]


class Exchange:
    """
    One request to an application, without any server.
    """

    def __init__(self, body: bytes = b"{}", *, path: str = "/a.B/c", method: str = "POST", **more: Any) -> None:
        headers = [(b"content-type", b"application/json"), *more.pop("headers", [])]
        self.scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": ("h", 1), **more}
        self.sent: list[Message] = []
        self.gone = anyio.Event()
        self._body = [body[start : start + 1000] for start in range(0, len(body), 1000)] or [b""]

    async def receive(self) -> Message:
        """The body in pieces, and at last that the client has gone."""
        if self._body:
            return {"type": "http.request", "body": self._body.pop(0), "more_body": bool(self._body)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Keep what is answered."""
        self.sent.append(message)

    async def run(self, application: Any) -> Exchange:
        """Let an application answer."""
        with anyio.fail_after(5):
            await application(self.scope, self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        """The status of the answer."""
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers of the answer."""
        return dict(self.sent[0]["headers"])

    @property
    def failure(self) -> dict[str, Any]:
        """The error in the answer."""
        failure: dict[str, Any] = json.loads(self.sent[1]["body"])
        return failure


async def look(call: Call, peer: str) -> Reply:
    """Answer with the names of what was called."""
    return Reply(payload=json.dumps([call.service, call.method, call.content_type, call.request_id, peer]).encode())


@pytest.mark.parametrize(
    ("root_path", "path"), [("", "/a.B/c"), ("/api", "/api/a.B/c"), ("/api/", "/api/a.B/c"), ("/api", "/a.B/c")]
)
async def test_it_can_be_mounted_anywhere(root_path: str, path: str) -> None:
    """Whether or not the server leaves the mount in the path."""
    exchange = await Exchange(path=path, root_path=root_path, headers=[(b"x-request-id", b"r1")]).run(Application(look))

    assert 200 == exchange.status
    assert ["a.B", "c", "application/json", "r1", "h:1"] == json.loads(exchange.sent[1]["body"])
    assert b"r1" == exchange.headers[b"x-request-id"]


class Greeter:
    """A plugin as its author writes it."""

    async def greet(self, name: str) -> str:
        """Greet somebody."""
        return f"hello {name}"


async def test_an_object_is_served_as_it_is() -> None:
    """The author of a plugin need not know what a dispatch is."""
    exchange = await Exchange(path="/Greeter/greet", body=b'"Ann"').run(asgi(Greeter()))

    assert 200 == exchange.status
    assert b'"hello Ann"' == exchange.sent[1]["body"]


async def test_it_can_be_mounted_in_another_application(transport: Transport, asgi_server: Any) -> None:
    """Which may serve what it likes beside it."""
    plugin = Application(look)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/plugins/"):
            return await plugin({**scope, "root_path": "/plugins"}, receive, send)
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"page not found"})
        return None

    with anyio.fail_after(5):
        async with asgi_server(application) as place:
            async with transport.open(Endpoint(f"http://{place}/plugins")) as channel:
                reply = await channel.call(Call(service="a.B", method="c"))
            async with transport.open(Endpoint(f"http://{place}")) as channel:
                with pytest.raises(PluginError, match="page not found"):
                    await channel.call(Call(service="a.B", method="c"))

    assert ["a.B", "c"] == json.loads(reply.payload)[:2]


async def test_a_lifespan_is_answered() -> None:
    """For servers that insist on it."""
    messages, sent = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}], list[Any]()

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Application(look)({"type": "lifespan"}, receive, send)

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == sent


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
async def test_only_post_makes_a_call(method: str) -> None:
    """The answer says so."""
    exchange = await Exchange(method=method).run(Application(look))

    assert (405, b"POST", "unimplemented") == (exchange.status, exchange.headers[b"allow"], exchange.failure["code"])


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ((b"content-encoding", b"br"), 415, "unimplemented"),
        ((b"content-encoding", b"gzip"), 400, "invalid_argument"),
        ((b"connect-timeout-ms", b"soon"), 400, "invalid_argument"),
        ((b"connect-timeout-ms", b"-1"), 400, "invalid_argument"),
        ((b"connect-timeout-ms", b"12345678901"), 400, "invalid_argument"),
        ((b"connect-protocol-version", b"2"), 400, "invalid_argument"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(header: tuple[bytes, bytes], status: int, code: str) -> None:
    """Before the plugin sees it."""
    exchange = await Exchange(headers=[header]).run(Application(look))

    assert (status, code) == (exchange.status, exchange.failure["code"])


async def test_a_compressed_request_is_decompressed_within_the_limit() -> None:
    """A bomb is not."""

    async def size(call: Call, peer: str) -> Reply:
        return Reply(payload=b"%d" % len(call.payload))

    header = [(b"content-encoding", b"gzip")]
    application = Application(size, max_message_size=10_000)
    fits = await Exchange(gzip.compress(bytes(10_000)), headers=header).run(application)
    bomb = await Exchange(gzip.compress(bytes(50 << 20)), headers=header).run(application)

    assert (200, b"10000") == (fits.status, fits.sent[1]["body"])
    assert (429, "resource_exhausted") == (bomb.status, bomb.failure["code"])


@pytest.mark.parametrize("code", Code)
async def test_every_code_has_its_status(code: Code) -> None:
    """And its own name in the body."""

    async def fail(call: Call, peer: str) -> Reply:
        raise PluginError("no", code=code, retry_after=1.2)

    exchange = await Exchange().run(Application(fail))

    assert 400 <= exchange.status <= 504
    assert code.lower().replace("cancelled", "canceled") == exchange.failure["code"]
    assert b"2" == exchange.headers[b"retry-after"]


async def test_a_client_that_goes_cancels_the_handler() -> None:
    """And gets no answer, even from a handler that would not listen."""
    started, cancelled = anyio.Event(), anyio.Event()

    async def stubborn(call: Call, peer: str) -> Reply:
        started.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.set()
            raise

    exchange = Exchange()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(exchange.run, Application(stubborn))
            await started.wait()
            exchange.gone.set()

    assert cancelled.is_set()
    assert [] == exchange.sent


async def test_a_handlers_group_of_exceptions_stays_on_its_side() -> None:
    """It counts as an unexpected failure."""

    async def fail(call: Call, peer: str) -> Reply:
        raise ExceptionGroup("several", [ValueError("secret"), KeyError("secret")])

    exchange = await Exchange().run(Application(fail))

    assert (500, "internal") == (exchange.status, exchange.failure["code"])
    assert "secret" not in str(exchange.failure)


class Pool:
    """A plugin with something to open and to close."""

    def __init__(self, notes: list[str], *, fails_at: str = "") -> None:
        self.notes = notes
        self.fails_at = fails_at

    async def __aenter__(self) -> None:
        self._note("start")

    async def __aexit__(self, *exc: object) -> None:
        self._note("end")

    def _note(self, word: str) -> None:
        self.notes.append(word)
        if word == self.fails_at:
            raise OSError("no database")

    async def ask(self) -> str:
        """Note a call."""
        self.notes.append("call")
        return "answer"


async def live(application: Any, during: Callable[[], Awaitable[object]]) -> list[dict[str, str]]:
    """What an application says while a server starts it, does something, and ends it."""
    sent = list[dict[str, str]]()

    async def messages() -> AsyncIterator[dict[str, str]]:
        yield {"type": "lifespan.startup"}
        await during()
        yield {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        sent.append(message)

    said = messages()
    await application({"type": "lifespan"}, said.__anext__, send)
    await said.aclose()
    return sent


async def test_services_are_entered_and_left_with_the_server() -> None:
    """Before the first call and after the last; calls that come earlier or later are refused."""
    notes = list[str]()
    application = asgi(Pool(notes))

    early = await Exchange(path="/Pool/ask", body=b"{}").run(application)
    sent = await live(application, lambda: Exchange(path="/Pool/ask", body=b"{}").run(application))
    late = await Exchange(path="/Pool/ask", body=b"{}").run(application)

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == [each["type"] for each in sent]
    assert ["start", "call", "end"] == notes
    assert [503, 503] == [early.status, late.status]
    assert "the plugin has not been started" in early.failure["message"]


@pytest.mark.parametrize(("fails_at", "phase"), [("start", "startup"), ("end", "shutdown")])
async def test_a_service_that_fails_is_named_to_the_server(fails_at: str, phase: str) -> None:
    """Which ends then, or says so."""
    sent = await live(asgi(Pool([], fails_at=fails_at)), anyio.lowlevel.checkpoint)

    assert f"lifespan.{phase}.failed" == sent[-1]["type"]
    assert sent[-1]["message"].startswith("Pool ")
    assert sent[-1]["message"].endswith("OSError: no database")


async def test_an_application_that_it_is_mounted_in_starts_it() -> None:
    """By a context manager in its own lifespan."""
    notes = list[str]()
    application = asgi(Pool(notes))
    async with application.lifespan():
        exchange = await Exchange(path="/Pool/ask", body=b"{}").run(application)

    assert 200 == exchange.status
    assert ["start", "call", "end"] == notes
