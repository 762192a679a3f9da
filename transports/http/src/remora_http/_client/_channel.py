"""
The client: calls of the Connect unary protocol, and health checks.

What lives here: what an answer means, and health. What must not: connections and requests (see `_engine`).
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urljoin
from urllib.request import getproxies, proxy_bypass

import anyio
import anyio.to_thread

from remora.errors import (
    Code,
    ConnectionLost,
    InvalidReply,
    MessageTooLarge,
    PluginError,
    RemoraError,
    WireError,
)
from remora.io import probe_health
from remora.types import Endpoint, HealthStatus, Status
from remora.wire import too_large
from remora_http._address import parse_address
from remora_http._client._engine import Way, open_engine
from remora_http._client._follower import open_following
from remora_http._client._greeting import greet
from remora_http._client._reply import read_reply
from remora_http._failure import is_serving, read_connect_failure, read_failure
from remora_http._headers import media_type
from remora_http._status import SUCCESS
from remora_http._tls import client_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from remora.types import Call, Reply
    from remora_http._address import Address
    from remora_http._client._engine import Engine, Make
    from remora_http._failure import Answer
    from remora_http.plugin import Options

    Page = Callable[[], Awaitable[Answer]]

_PATIENCE = 1.0
"""Seconds to wait for the first answer over HTTP/2. A server that sends none in that time may be just busy."""


class HttpChannel:
    """
    A channel to one server; each call has a connection of its own while it lasts.
    """

    def __init__(
        self, engine: Engine, greet: Callable[[], Awaitable[None]], *, limit: int, page: Page | None = None
    ) -> None:
        self._engine = engine
        self._greet = greet
        self._limit = limit
        self._page = page

    async def call(self, call: Call, /) -> Reply:
        """
        Post a call and read its reply.
        """
        return read_reply(await self._post(call), call.content_type)

    async def probe(self) -> HealthStatus:
        """
        The plugin's health: by its health page if one is configured, otherwise by the standard health service.
        """
        return await (probe_health(self._ask_health) if self._page is None else _probe(self._page))

    def _post(self, call: Call) -> Awaitable[Answer]:
        if len(call.payload) > self._limit:
            raise too_large("request", self._limit, sent=False)
        return self._engine.post(call)

    async def _ask_health(self, call: Call) -> Reply:
        try:
            answer = await self._post(call)
        except ConnectionLost:
            # A simple server may fail at a request that is not its own JSON. If it still answers OPTIONS, it is up.
            await self._greet()
            raise _no_health_service() from None
        except (InvalidReply, MessageTooLarge, WireError):
            raise _no_health_service() from None
        return _read_health(answer, call.content_type)


async def _probe(page: Page) -> HealthStatus:
    started = anyio.current_time()
    answer = await page()
    status = Status.HEALTHY if answer.status in SUCCESS else Status.UNHEALTHY
    took = anyio.current_time() - started
    message = f"the health page answered with HTTP status {answer.status}"
    return HealthStatus(status=status, message=message, last_check=time.time(), response_time=took)


def _read_health(answer: Answer, asked: str) -> Reply:
    if answer.status == 200 and media_type(answer.headers.get("content-type", "")) == asked:
        return read_reply(answer, asked)
    if read_connect_failure(answer) is not None or not is_serving(answer):
        raise read_failure(answer, now=time.time())
    raise _no_health_service()


def _no_health_service() -> RemoraError:
    return PluginError("the server has no health service", code=Code.UNIMPLEMENTED)


@asynccontextmanager
async def open_channel(address: Address, options: Options, make: Make | None = None) -> AsyncIterator[HttpChannel]:
    """
    A channel to the server at an address, once something there has answered in HTTP; with an httpx transport of the
    application's own, which `make` makes, without asking.

    Raises:
        Unavailable: Nothing answers there.
        WrongProtocol: Something else answers there.
        ConfigError: The certificates cannot be used, or the server's is not accepted.
    """
    way = await _way(address, options, make)

    async def contact() -> None:
        if make is not None:
            return
        if options.http2:
            await _greet_over_http2(address, engine)
        elif way.proxy is None:
            await greet(address, way.tls, timeout=options.connection.connection_timeout)

    async with (
        _open_engine(address, options, way) as engine,
        _open_page(address, options, engine, make) as page,
    ):
        await contact()
        yield HttpChannel(engine, contact, limit=options.max_message_size, page=page)


async def _greet_over_http2(address: Address, engine: Engine) -> None:
    """
    The first contact where `greet`, which speaks HTTP/1.1, will not do. Any answer is one.
    """
    try:
        with anyio.move_on_after(_PATIENCE):
            await engine.get(address.target("", ""))
    except ConnectionLost as error:
        raise ConnectionLost(f"{error.message}; does it speak HTTP/2?", sent=False) from error


@asynccontextmanager
async def _open_page(
    address: Address, options: Options, engine: Engine, make: Make | None
) -> AsyncIterator[Page | None]:
    """
    A function that asks for the health page, which may be on another server; None when none is configured.
    """
    if not options.health_check.endpoint:
        yield None
        return
    place = parse_address(Endpoint(urljoin(f"{address.origin}{address.path}/", options.health_check.endpoint)))
    target = place.target("", "")
    if place.origin == address.origin and not (address.socket and "://" in options.health_check.endpoint):
        yield partial(engine.get, target)
        return
    async with _reach(place, options, make) as other:
        yield partial(other.get, target)


@asynccontextmanager
async def _reach(place: Address, options: Options, make: Make | None) -> AsyncIterator[Engine]:
    """
    An engine for a server that is not the endpoint's.
    """
    async with _open_engine(place, options, await _way(place, options, make)) as engine:
        yield engine


@asynccontextmanager
async def _open_engine(address: Address, options: Options, way: Way) -> AsyncIterator[Engine]:
    async with open_engine(address, options, way) as engine:
        if not options.follow_redirects:
            yield engine
            return
        async with open_following(address, options, engine, partial(_reach, make=way.make)) as following:
            yield following


async def _way(address: Address, options: Options, make: Make | None) -> Way:
    if make is not None:
        return Way(make=make)
    tls = await anyio.to_thread.run_sync(client_context, options) if address.secure else None
    return Way(tls, _proxy(address, options))


def _proxy(address: Address, options: Options) -> str | None:
    """
    The proxy that the environment names for an address; None without one, or without `trust_env`.
    """
    if not options.trust_env or address.socket or proxy_bypass(address.host):
        return None
    return getproxies().get(address.scheme)
