"""
The engine on top of httpx, for what the direct one cannot do. Only this file and `_httpx_*` know httpx.

Its transport is used without its client, so that there are no redirects, cookies, environment proxies or read timeouts
to switch off, and a call costs less.

What lives here: one HTTP exchange, and what its failures mean. What must not: the Connect protocol (see `_channel`).
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from remora.errors import (
    ConnectionLost,
    DeadlineExceeded,
    InvalidReply,
    InvalidRequest,
    RemoraError,
    Unavailable,
    WireError,
    WrongProtocol,
)
from remora.tls import tls_failure
from remora.wire import too_large
from remora_http._body import BadEncoding, Body, BodyTooLarge
from remora_http._client._greeting import unreachable
from remora_http._client._httpx_heard import HearingBackend, HearingStream
from remora_http._client._httpx_unix import UnixTransport
from remora_http._client._request import call_headers, connection_headers
from remora_http._failure import Answer
from remora_http._headers import HeaderReader
from remora_http._status import SUCCESS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from remora.types import Call
    from remora_http._address import Address
    from remora_http._client._engine import Way
    from remora_http._headers import RawHeaders
    from remora_http.plugin import Options

_CLOSING_TIME = 2.0
_QUOTED = 200
_EVENTS = ("<StreamReset", "<ConnectionTerminated")
"""How httpcore names what a server of HTTP/2 ends a call with."""


class HttpxEngine:
    """
    Calls and pages over a pool.
    """

    def __init__(self, address: Address, options: Options, pool: Pool) -> None:
        self._address = address
        self._pool = pool
        headers = connection_headers(address.authority, options.connection)
        self._headers = [each for each in headers if not (options.http2 and each[0] == b"connection")]

    async def post(self, call: Call, /, *, target: str = "") -> Answer:
        """
        Send a call, and read the whole answer (see `Engine`).
        """
        remaining = None if call.deadline is None else call.deadline - anyio.current_time()
        if remaining is not None and remaining <= 0:
            raise DeadlineExceeded("the deadline had passed before the request was sent", sent=False)
        headers = [*self._headers, *call_headers(call, remaining=remaining)]
        url = self._address.origin + (target or self._address.target(call.service, call.method))
        with anyio.move_on_after(remaining):
            return await self._pool.exchange("POST", url, headers, call.payload, idempotent=call.idempotent)
        raise DeadlineExceeded("the time was over before the reply arrived")

    async def get(self, target: str, /) -> Answer:
        """
        Ask for a page of the server (see `Engine`).
        """
        return await self._pool.exchange("GET", self._address.origin + target, self._headers, idempotent=True)


class Pool:
    """
    Connections to one server.

    Args:
        address: The server.
        options: The options.
        transport: What makes and keeps the connections.
        is_foreign: Whether that is not httpx's usual one, and does not say how far a request has come.
    """

    def __init__(
        self, address: Address, options: Options, transport: httpx.AsyncBaseTransport, *, is_foreign: bool = False
    ) -> None:
        self._is_foreign = is_foreign
        self._address = address
        self._limit = options.max_message_size
        self._transport = transport
        self._url = lru_cache(maxsize=256)(_parse_url)
        # Only connecting has a time limit here; the caller enforces the call's deadline.
        self._connect_timeout = options.connection.connection_timeout
        self._timeout = {"connect": self._connect_timeout, "read": None, "write": None, "pool": None}
        self._known = HeaderReader()
        self._is_closed = False

    async def aclose(self) -> None:
        """
        Close all connections; what is under way on them ends with an error, and nothing new begins.
        """
        self._is_closed = True
        with anyio.move_on_after(_CLOSING_TIME, shield=True), suppress(httpx.HTTPError, OSError):
            await self._transport.aclose()

    async def exchange(
        self, verb: str, url: str, headers: RawHeaders, content: bytes = b"", *, idempotent: bool = False
    ) -> Answer:
        """
        Send a request and read the whole answer.

        An idle connection may turn out to be closed by the server. Then the request is sent once more, if the server
        has certainly not seen it, or may see it twice.

        Raises:
            Unavailable: No connection can be made.
            ConnectionLost: The connection broke before the answer was complete.
            WrongProtocol: The answer is not HTTP.
            MessageTooLarge: The answer is over the limit.
            InvalidReply: The answer cannot be decompressed.
        """
        progress = _Progress()
        if self._is_foreign:
            progress.fresh = progress.sent = True
        try:
            return await self._attempt(verb, url, headers, content, progress)
        except ConnectionLost:
            if not progress.may_repeat(idempotent=idempotent):
                raise
        return await self._attempt(verb, url, headers, content, _Progress())

    async def _attempt(self, verb: str, url: str, headers: RawHeaders, content: bytes, progress: _Progress) -> Answer:
        if self._is_closed:
            # The transport would connect again, and that connection would never be closed.
            raise ConnectionLost(f"the channel to {self._address.place} is closed", sent=False)
        request = httpx.Request(
            verb,
            self._url(url),
            headers=headers,
            stream=_Content(content),
            extensions={"timeout": self._timeout, "trace": progress},
        )
        try:
            with _mapped(self._address, progress, self._connect_timeout):
                response = await self._transport.handle_async_request(request)
                if _was_unasked(response):
                    progress.answered = False
                    await response.aclose()
                    raise ConnectionLost(f"{self._address.place} had answered before it was asked")
                return await self._read(response)
        finally:
            if progress.unfinished is not None:
                # httpcore forgets the connection of a TLS handshake that is cancelled.
                with anyio.move_on_after(_CLOSING_TIME, shield=True), suppress(OSError):
                    await progress.unfinished.aclose()

    async def _read(self, response: httpx.Response) -> Answer:
        headers, own = self._known.read(response.headers.raw)
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        try:
            content = await self._collect(stream, headers.get("content-encoding", ""))
        except BadEncoding as exc:
            raise InvalidReply(f"the reply cannot be decoded: {exc}") from exc
        except BodyTooLarge as exc:
            if response.status_code in SUCCESS:
                raise too_large("reply", self._limit) from exc
            # An error is an error even when it is too long; its beginning is enough.
            content = exc.args[0]
        finally:
            await stream.aclose()
        return Answer(status=response.status_code, headers=headers, own=own, body=content)

    async def _collect(self, stream: httpx.AsyncByteStream, encoding: str) -> bytes:
        body = Body(self._limit, encoding)
        chunks = aiter(stream)
        try:
            async for chunk in chunks:
                body.feed(chunk)
        except (BadEncoding, BodyTooLarge):
            # The generators inside httpcore must run to their end, which they do once their connection is closed;
            # left to the garbage collector, they would be closed in another task.
            await stream.aclose()
            with suppress(httpx.HTTPError):
                async for _ in chunks:
                    pass
            raise
        return body.finish()


def _was_unasked(response: httpx.Response) -> bool:
    """
    Whether a response had arrived before its request, behind the previous response. Those of HTTP/2 have numbers.
    """
    if response.extensions.get("http_version") == b"HTTP/2":
        return False
    stream = response.extensions.get("network_stream")
    return isinstance(stream, HearingStream) and not stream.has_heard


class _Content(httpx.AsyncByteStream):
    """
    The body of a request, in one piece.

    httpx's own is an asynchronous generator, which a call that is cancelled while it sends would leave to the garbage
    collector.
    """

    def __init__(self, content: bytes) -> None:
        self._left = content

    def __aiter__(self) -> _Content:
        return self

    async def __anext__(self) -> bytes:
        content, self._left = self._left, b""
        if not content:
            raise StopAsyncIteration
        return content


class _Progress:
    """
    How far an exchange has come, as httpcore's trace extension reports it.
    """

    __slots__ = ("_connected", "answered", "fresh", "sent", "unfinished")

    def __init__(self) -> None:
        self.fresh = self.sent = self.answered = False
        self.unfinished: Any = None  # a connection during its TLS handshake
        self._connected: Any = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.started", "connection.connect_unix_socket.started"):
            self.fresh = True
        elif event == "connection.connect_tcp.complete":
            self._connected = info["return_value"]
        elif event == "connection.start_tls.started":
            self.unfinished = self._connected
        elif event == "connection.start_tls.complete":
            self.unfinished = self._connected = None
        elif event.endswith(".send_request_headers.complete"):
            self.sent = True
        elif event.endswith(".receive_response_headers.complete"):
            self.answered = True

    def may_repeat(self, *, idempotent: bool) -> bool:
        """
        Whether a failed exchange may be repeated: its connection was an old one, and a repetition does no harm.
        """
        return not self.fresh and not self.answered and (idempotent or not self.sent)


def _parse_url(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as exc:  # the only reason left is that it is too long
        raise InvalidRequest(f"the request cannot be sent: {exc}") from exc


@contextmanager
def _mapped(address: Address, progress: _Progress, timeout: float) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectTimeout as exc:
        raise Unavailable(f"{address.place} did not answer within {timeout:g} s", sent=False) from exc
    except (httpx.ConnectError, httpx.ProxyError) as exc:
        raise unreachable(address, exc) from exc
    except httpx.LocalProtocolError as exc:
        raise InvalidRequest(f"the request cannot be sent over HTTP: {exc}") from exc
    except httpx.RemoteProtocolError as exc:
        raise _broken_protocol(address, str(exc), progress) from exc
    except (httpx.TransportError, OSError) as exc:
        reason = str(exc) or "it was closed"
        lost = ConnectionLost(f"the connection to {address.place} broke: {reason}", sent=progress.sent)
        raise tls_failure(exc) or lost from exc


def _broken_protocol(address: Address, reason: str, progress: _Progress) -> RemoraError:
    if "disconnected" in reason or "closed connection" in reason or reason.startswith(_EVENTS):
        return ConnectionLost(f"{address.place} closed the connection: {reason}", sent=progress.sent)
    if not progress.answered:
        return WrongProtocol(f"what answers at {address.place} does not speak HTTP: {reason[:_QUOTED]}")
    return WireError(f"{address.place} broke the rules of HTTP: {reason[:_QUOTED]}")


@asynccontextmanager
async def open_httpx(address: Address, options: Options, way: Way) -> AsyncIterator[HttpxEngine]:
    """
    An engine for one server. It connects on first use; leaving the context closes its connections.
    """
    async with open_pool(address, options, way) as pool:
        yield HttpxEngine(address, options, pool)


@asynccontextmanager
async def open_pool(address: Address, options: Options, way: Way) -> AsyncIterator[Pool]:
    """
    A pool for one server. It connects on first use; leaving the context closes its connections.
    """
    transport = _transport(address, options, way) if way.make is None else way.make()
    pool = Pool(address, options, transport, is_foreign=way.make is not None)
    try:
        yield pool
    finally:
        await pool.aclose()


def _transport(address: Address, options: Options, way: Way) -> httpx.AsyncHTTPTransport:
    connection = options.connection
    limits = httpx.Limits(
        max_connections=None,  # the host limits calls; a health check must not wait for a call to end
        max_keepalive_connections=connection.max_idle_connections if connection.keep_alive else 0,
        keepalive_expiry=connection.idle_timeout,
    )
    if address.socket:
        transport: httpx.AsyncHTTPTransport = UnixTransport(address, limits, http2=options.http2)
    else:
        transport = httpx.AsyncHTTPTransport(
            verify=way.tls or False,  # without TLS this avoids loading certificates that are not needed
            trust_env=False,
            limits=limits,
            proxy=way.proxy,
            http1=address.secure or not options.http2,  # without TLS nothing is negotiated
            http2=options.http2,
        )
    # httpx has no argument for this either (see `_httpx_unix`).
    transport._pool._network_backend = HearingBackend(transport._pool._network_backend)
    return transport
