"""
The client: calls of the Connect unary protocol, and questions about health.

What lives here: what is sent for a call, and what an answer means. What must not: connections (see `_pool`).
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import anyio
import anyio.to_thread

from remora.errors import (
    Code,
    ConnectionLost,
    DeadlineExceeded,
    InvalidReply,
    MessageTooLarge,
    PluginError,
    RemoraError,
    WireError,
)
from remora.io import probe_health
from remora.types import HealthStatus, Status
from remora_http._failure import is_serving, read_connect_failure, read_failure
from remora_http._greeting import greet
from remora_http._headers import media_type
from remora_http._pool import find_proxy, open_pool
from remora_http._reply import read_reply
from remora_http._request import call_headers, connection_headers
from remora_http._tls import client_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from remora.types import Call, Reply
    from remora_http._address import Address
    from remora_http._failure import Answer
    from remora_http._pool import Pool
    from remora_http.plugin import Options


class HttpChannel:
    """
    The way to one server; each call has a connection to itself while it lasts.
    """

    def __init__(self, address: Address, options: Options, pool: Pool, greet: Callable[[], Awaitable[None]]) -> None:
        self._options = options
        self._pool = pool
        self._greet = greet
        self._headers = connection_headers(address.authority, options.connection)
        self._url = lru_cache(maxsize=256)(lambda service, method: address.origin + address.target(service, method))
        self._health_url = _health_url(address, options.health_check.endpoint)

    async def call(self, call: Call, /) -> Reply:
        """
        Post a call and read its reply.
        """
        return read_reply(await self._post(call), call.content_type)

    async def probe(self) -> HealthStatus:
        """
        The plugin's health: by its health page where one is configured, by the standard health service otherwise.
        """
        return await (self._probe_page() if self._health_url else probe_health(self._ask_health))

    async def _post(self, call: Call) -> Answer:
        if len(call.payload) > self._options.max_message_size:
            raise MessageTooLarge(f"the request is larger than {self._options.max_message_size} bytes", sent=False)
        headers = [*self._headers, *call_headers(call, remaining=_remaining(call.deadline))]
        url = self._url(call.service, call.method)
        return await self._pool.exchange("POST", url, headers, call.payload, idempotent=call.idempotent)

    async def _ask_health(self, call: Call) -> Reply:
        try:
            answer = await self._post(call)
        except ConnectionLost:
            # A simple server may trip over a request that is not its own JSON. Whoever still greets is there.
            await self._greet()
            raise _no_health_service() from None
        except (InvalidReply, MessageTooLarge, WireError):
            raise _no_health_service() from None
        return _read_health(answer, call.content_type)

    async def _probe_page(self) -> HealthStatus:
        started = anyio.current_time()
        answer = await self._pool.exchange("GET", self._health_url, self._headers, idempotent=True)
        status = Status.HEALTHY if 200 <= answer.status < 300 else Status.UNHEALTHY
        took = anyio.current_time() - started
        message = f"the health page answered with HTTP status {answer.status}"
        return HealthStatus(status=status, message=message, last_check=time.time(), response_time=took)


def _remaining(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    remaining = deadline - anyio.current_time()
    if remaining <= 0:
        raise DeadlineExceeded("the deadline had passed before the request was sent", sent=False)
    return remaining


def _read_health(answer: Answer, asked: str) -> Reply:
    if answer.status == 200 and media_type(answer.headers.get("content-type", "")) == asked:
        return read_reply(answer, asked)
    if read_connect_failure(answer) is not None or not is_serving(answer):
        raise read_failure(answer, now=time.time())
    raise _no_health_service()


def _no_health_service() -> RemoraError:
    return PluginError("the server has no health service", code=Code.UNIMPLEMENTED)


def _health_url(address: Address, endpoint: str) -> str:
    return urljoin(f"{address.origin}{address.path}/", endpoint) if endpoint else ""


@asynccontextmanager
async def open_channel(address: Address, options: Options) -> AsyncIterator[HttpChannel]:
    """
    A channel to the server at an address, once something there has answered in HTTP.

    Raises:
        Unavailable: Nobody answers there.
        WrongProtocol: Something else answers there.
        ConfigError: The certificates do not fit.
    """
    tls = await anyio.to_thread.run_sync(client_context, options) if address.secure else None
    proxy = find_proxy(address) if options.trust_env else None

    async def contact() -> None:
        if proxy is None:
            await greet(address, tls, timeout=options.connection.connection_timeout)

    await contact()
    async with open_pool(address, options, tls=tls, proxy=proxy) as pool:
        yield HttpChannel(address, options, pool, contact)
