"""
Peers for the tests of HTTP: servers that know nothing of Remora, and sockets that know nothing of HTTP.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

import anyio
import pytest
import sniffio
from anyio.abc import SocketStream
from hypercorn.config import Config

from remora.types import Endpoint
from remora_http.plugin import Options, build

import_module("remora_http._client._httpx")  # else it is loaded in the few seconds that some test has

RawPeer = Callable[[SocketStream], Awaitable[None]]


@pytest.fixture
def transport() -> Any:
    """
    The transport as it is without any option.
    """
    return build(Options())


@pytest.fixture
def raw_peer() -> Callable[[RawPeer], AbstractAsyncContextManager[Endpoint]]:
    """
    A way to let a function talk to whoever connects.
    """

    @asynccontextmanager
    async def serve(talk: RawPeer) -> AsyncIterator[Endpoint]:
        async def handle(stream: SocketStream) -> None:
            async with stream:
                await talk(stream)

        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, handle)
                yield Endpoint(f"http://127.0.0.1:{port}")
                tasks.cancel_scope.cancel()

    return serve


Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """
        Say nothing: what a handler raises is part of a test.
        """


@pytest.fixture
def json_server() -> Callable[..., Any]:
    """
    A way to run the standard library's HTTP server, in a thread, with a function that answers each POST.
    """

    @contextmanager
    def serve(answer: Answer, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *args: object) -> None:
                pass

        server = _QuietServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return serve


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """
    Answer a request in full.
    """
    handler.send_response(status)
    for name, value in {"Content_Type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def answer_with() -> Callable[..., Answer]:
    """
    A way to make an answer that is always the same.
    """

    def make(status: int, body: object, **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return lambda handler, _: send(handler, status, data, **headers)

    return make


@pytest.fixture
def asgi_server() -> Callable[..., AbstractAsyncContextManager[str]]:
    """
    A way to run any ASGI application, by hypercorn on the running backend; with TLS if there are files for it.
    """

    @asynccontextmanager
    async def serve(application: Any, *, cert_file: str = "", key_file: str = "") -> AsyncIterator[str]:
        async def with_lifespan(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await application(scope, receive, send)
            else:
                await send({"type": f"{(await receive())['type']}.complete"})
                await send({"type": f"{(await receive())['type']}.complete"})

        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        config = Config()
        config.bind = [f"fd://{listening.detach()}"]
        config.errorlog = None
        config.certfile, config.keyfile = cert_file or None, key_file or None
        stop = anyio.Event()
        run = import_module(f"hypercorn.{sniffio.current_async_library()}").serve
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(run, with_lifespan, config, shutdown_trigger=stop.wait))
            try:
                yield f"127.0.0.1:{port}"
            finally:
                stop.set()

    return serve
