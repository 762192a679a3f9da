"""
The server: an ASGI 3 application that turns requests of the Connect unary protocol into calls of a plugin.

What lives here: the life of one request. What must not: sockets, and any particular ASGI server (see `_server`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from remora.errors import RemoraError, Unavailable
from remora.serve import ServeOptions, dispatcher_for, entered
from remora.tls import peer_identity
from remora_http._body import Body, BodyTooLarge
from remora_http._headers import decode_headers
from remora_http._server._answering import REFUSALS, Responder
from remora_http._server._call import read_call
from remora_http._server._response import Response, not_allowed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remora.config import AccessConfig
    from remora.protocols import Dispatch
    from remora.types import Call

_LIMIT = 16 * 1024 * 1024

_CONTEXT_MANAGERS = (AbstractAsyncContextManager, AbstractContextManager)

_NOT_READY = "the plugin has not been started: the ASGI server, or the application it is mounted in, starts it"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def asgi(
    *services: object,
    max_message_size: int = _LIMIT,
    auth: AccessConfig | Mapping[str, object] | str | None = None,
) -> Application:
    """
    An ASGI application that serves a plugin; it runs in any ASGI server, and can be mounted under any path.

    Services that are context managers are entered when the server starts, and left when it ends. An application that it
    is mounted in keeps these events to itself, as a rule: let its own lifespan enter `lifespan()` of this one.

    Args:
        *services: Instances of classes with public, annotated methods.
        max_message_size: The limit of a request or a reply, in bytes after decompression.
        auth: Who may call, as `remora.serve` takes it.

    Raises:
        ConfigError: The objects have nothing to serve.
    """
    dispatcher = dispatcher_for(*services, options=ServeOptions(auth=auth))
    return Application(dispatcher, max_message_size=max_message_size, services=services)


class _Disconnected(Exception):
    """
    The client has disconnected.
    """


class Application:
    """
    A plugin as an ASGI application.

    Args:
        dispatch: Answers the calls.
        max_message_size: The limit of a request or a reply.
        services: What is to be entered before the first call, where that is a context manager.
    """

    def __init__(self, dispatch: Dispatch, *, max_message_size: int = _LIMIT, services: Sequence[object] = ()) -> None:
        self._responder = Responder(dispatch, max_message_size)
        self._limit = max_message_size
        self._services = services
        self._is_ready = not any(isinstance(each, _CONTEXT_MANAGERS) for each in services)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """
        The time in which it answers calls; only applications that it is mounted in need to enter it.

        Raises:
            RemoraError: A service cannot start, or has failed to end.
        """
        async with entered(*self._services):
            self._is_ready = True
            try:
                yield
            finally:
                self._is_ready = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Serve one request, or one lifespan.
        """
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        phase = "startup"
        try:
            async with self.lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
                phase = "shutdown"
        except RemoraError as error:
            await send({"type": f"lifespan.{phase}.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(scope, receive)
        except _Disconnected:
            return
        headers = response.headers + [pair for pair in scope["headers"] if pair[0].lower() == b"x-request-id"][:1]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] != "POST":
            return not_allowed()
        if not self._is_ready:
            return self._responder.refuse(Unavailable(_NOT_READY))
        headers = decode_headers(scope["headers"])
        try:
            payload = await self._read_body(headers, receive)
            call = read_call(
                scope["path"],
                scope.get("root_path", ""),
                headers,
                payload,
                now=anyio.current_time(),
                identity=peer_identity.get() or "",
            )
        except REFUSALS as error:
            return self._responder.refuse(error)
        return await self._run(call, _peer(scope), receive)

    async def _read_body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        body = Body(self._limit, headers.get("content-encoding", ""))
        more = True
        while more:
            chunk, more = await _next_chunk(receive)
            try:
                body.feed(chunk)
            except BodyTooLarge:
                await self._skip(receive, more)
                raise
        return body.finish()

    async def _skip(self, receive: Receive, more: bool) -> None:
        # A client that is still sending would miss an answer now; reading some more lets it see the reason.
        skipped = 0
        while more and skipped < self._limit:
            chunk, more = await _next_chunk(receive)
            skipped += len(chunk)

    async def _run(self, call: Call, peer: str, receive: Receive) -> Response:
        response, is_gone = None, anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch, receive, is_gone, tasks.cancel_scope)
            response = await self._responder.answer(call, peer)
            tasks.cancel_scope.cancel()
        if response is None or is_gone.is_set():
            raise _Disconnected
        return response


async def _next_chunk(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _Disconnected
    return message.get("body", b""), message.get("more_body", False)


async def _watch(receive: Receive, is_gone: anyio.Event, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    is_gone.set()
    scope.cancel()


def _peer(scope: Scope) -> str:
    host, port = scope.get("client") or ("", None)
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host
