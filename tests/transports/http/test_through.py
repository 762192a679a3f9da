"""
Calls through an httpx transport of the application's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import anyio
import httpx
import pytest

from remora import ConfigError, ConnectionLost, DeadlineExceeded, Manager, MessageTooLarge, PluginError, Unavailable
from remora_http import asgi, through

pytestmark = pytest.mark.anyio


class Echo:
    """
    A plugin.
    """

    async def say(self, text: str) -> str:
        """Return it, or refuse."""
        if not text:
            raise PluginError("nothing to say")
        return text


class Echoes(Protocol):
    """
    The same as its callers see it.
    """

    async def say(self, text: str) -> str:
        """Return it."""
        ...


class Kept(httpx.AsyncBaseTransport):
    """
    Answers with what a function returns, and knows whether it is closed.
    """

    def __init__(self, answer: Callable[[httpx.Request], Any]) -> None:
        self.requests: list[httpx.Request] = []
        self.closed = 0
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.requests.append(request)
        return await self._answer(request)

    async def aclose(self) -> None:
        """Close it."""
        self.closed += 1


def manager_of(make: Callable[[], httpx.AsyncBaseTransport], **table: Any) -> Manager:
    """
    A host with one plugin that is called so.
    """
    plugin = {"endpoint": "http://app", "service": "Echo", "transport": "httpx", **table}
    return Manager({"plugins": {"echo": plugin}}, extensions=[through(make)])


async def test_an_application_is_called_in_the_same_process() -> None:
    """
    With its errors, and without any socket.
    """
    application = asgi(Echo())
    with anyio.fail_after(5):
        async with manager_of(lambda: httpx.ASGITransport(application)) as manager:
            echo = manager.client("echo", Echoes)
            assert "hello" == await echo.say("hello")
            with pytest.raises(PluginError, match="nothing to say"):
                await echo.say("")


async def test_others_are_called_as_before(json_server: Any, answer_with: Any) -> None:
    """
    It is for those that name it.
    """
    extension = through(lambda: httpx.ASGITransport(asgi(Echo())), name="mine")
    with anyio.fail_after(5), json_server(answer_with(200, "by a socket")) as place:
        plugins = {
            "app": {"endpoint": "http://app", "service": "Echo", "transport": "mine"},
            "server": {"endpoint": f"http://{place}", "service": "Echo"},
        }
        async with Manager({"plugins": plugins}, extensions=[extension]) as manager:
            assert "a" == await manager.client("app", Echoes).say("a")
            assert "by a socket" == await manager.client("server", Echoes).say("b")


@pytest.mark.parametrize(
    ("failure", "error", "attempts"),
    [
        (httpx.ConnectError("no route"), Unavailable, 2),
        (httpx.ReadError("broken"), ConnectionLost, 1),
    ],
)
async def test_its_failures_are_those_of_any_transport(
    failure: Exception, error: type[Exception], attempts: int
) -> None:
    """
    A request of which nobody knows whether it was sent is not sent again.
    """

    async def fail(request: httpx.Request) -> httpx.Response:
        raise failure

    kept = Kept(fail)
    with anyio.fail_after(5):
        async with manager_of(lambda: kept, retry={"max_retries": 1, "initial_interval": 0.001}) as manager:
            with pytest.raises(error, match=str(failure)):
                await manager.client("echo", Echoes).say("x")

    assert attempts == len([each for each in kept.requests if each.url.path == "/Echo/say"])
    assert 1 == kept.closed


async def test_a_call_ends_at_its_deadline_and_meets_the_limits() -> None:
    """
    As any other.
    """

    async def answer(request: httpx.Request) -> httpx.Response:
        if b"late" in await request.aread():
            await anyio.sleep_forever()
        return httpx.Response(200, json="x" * 2000)

    options = {"max_message_size": 1000}
    with anyio.fail_after(5):
        async with manager_of(lambda: Kept(answer), options=options) as manager:
            plugin = manager.plugin("echo", str, str, method="say")
            with pytest.raises(DeadlineExceeded):
                await plugin.execute("late", timeout=0.05)
            with pytest.raises(MessageTooLarge, match="larger than 1000 bytes"):
                await plugin.execute("long")


async def test_an_engine_that_cannot_do_it_is_refused() -> None:
    """
    Before anything is called.
    """
    with pytest.raises(ConfigError, match='not possible with transport = "httpx"'):
        async with manager_of(lambda: httpx.ASGITransport(asgi(Echo())), options={"engine": "direct"}):
            pass
