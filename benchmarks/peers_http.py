"""
The peers over HTTP: bare clients, and one with the policies of four libraries wired by hand.

httpx2 is httpx as others maintain it further, with the same names.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import httpx
import httpx2
from aiolimiter import AsyncLimiter
from purgatory import AsyncCircuitBreakerFactory
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from benchmarks.ours import METHOD, SERVICE
from benchmarks.rounds import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.rounds import Contender, Slice

_HEADERS = {"content-type": "application/json"}
_TIMEOUT = 10.0


def bare_httpx(url: str, payload: bytes, callers: int) -> Contender:
    """
    Bare `httpx.AsyncClient.post`.
    """
    limits = httpx.Limits(**_limits(callers))
    return _posting(lambda: httpx.AsyncClient(limits=limits, timeout=_TIMEOUT, trust_env=False), url, payload, callers)


def bare_httpx2(url: str, payload: bytes, callers: int) -> Contender:
    """
    Bare `httpx2.AsyncClient.post`.
    """
    limits = httpx2.Limits(**_limits(callers))
    return _posting(lambda: httpx2.AsyncClient(limits=limits, timeout=_TIMEOUT, trust_env=False), url, payload, callers)


def httpx_over_unix(path: str, payload: bytes, callers: int) -> Contender:
    """
    Bare `httpx.AsyncClient.post` over a Unix socket.
    """
    limits = httpx.Limits(**_limits(callers))

    def make() -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=path, limits=limits)
        return httpx.AsyncClient(transport=transport, timeout=_TIMEOUT, trust_env=False)

    return _posting(make, f"http://localhost/{SERVICE}/{METHOD}", payload, callers)


def _limits(callers: int) -> dict[str, int]:
    return dict.fromkeys(("max_connections", "max_keepalive_connections"), max(callers, 32))


def _posting(
    make: Callable[[], httpx.AsyncClient | httpx2.AsyncClient], url: str, payload: bytes, callers: int
) -> Contender:
    async def contender(seconds: float) -> Slice:
        async with make() as client:

            async def call() -> bytes:
                response = await client.post(url, content=payload, headers=_HEADERS)
                return response.content

            return await measure(call, seconds, callers=callers, batch=1)

    return contender


def bare_aiohttp(url: str, payload: bytes, callers: int) -> Contender:
    """
    Bare `aiohttp.ClientSession.post`.
    """

    async def contender(seconds: float) -> Slice:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        connector = aiohttp.TCPConnector(limit=max(callers, 32))
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:

            async def call() -> bytes:
                async with session.post(url, data=payload, headers=_HEADERS) as response:
                    return await response.read()

            return await measure(call, seconds, callers=callers, batch=1)

    return contender


def hand_wired_httpx(url: str, payload: bytes, callers: int) -> Contender:
    """
    httpx with retries, a circuit breaker, a rate limit and a deadline, each used as its documentation shows.
    """

    async def contender(seconds: float) -> Slice:
        breakers = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=30)
        limiter = AsyncLimiter(10**9, 1)
        limits = httpx.Limits(**_limits(callers))
        async with httpx.AsyncClient(limits=limits, timeout=None, trust_env=False) as client:

            @retry(
                stop=stop_after_attempt(4),
                wait=wait_random_exponential(multiplier=0.1, max=5),
                retry=retry_if_exception_type(httpx.TransportError),
                reraise=True,
            )
            async def call() -> bytes:
                async with limiter, await breakers.get_breaker("echo"), asyncio.timeout(_TIMEOUT):
                    response = await client.post(url, content=payload, headers=_HEADERS)
                    return response.content

            return await measure(call, seconds, callers=callers, batch=1)

    return contender
