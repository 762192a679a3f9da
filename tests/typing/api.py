"""
The API as hosts and plugins use it. Never run; mypy and pyright check that types are kept, and that mistakes are found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, assert_type

import remora.testing
from remora import (
    CallOptions,
    CurrentCall,
    HealthStatus,
    Manager,
    ManagerConfig,
    Plugin,
    PluginConfig,
    PluginInfo,
    PluginReload,
    ReloadOptions,
    ReloadPlan,
    ReloadReport,
    RemoraError,
    ServeOptions,
    current_call,
    idempotent,
    method,
    serve,
    service,
    serving,
)
from remora.serve import dispatcher_for, entered, leave_threads_behind, preload
from remora.types import Event
from remora_http import asgi


@dataclass(frozen=True)
class Text:
    """
    A request.
    """

    text: str


@dataclass(frozen=True)
class Count:
    """
    A reply.
    """

    words: int


class Texts(Protocol):
    """
    A service as a host sees it.
    """

    async def count(self, request: Text) -> Count:
        """
        Count words.
        """
        ...

    async def join(self, first: str, second: str = "") -> str:
        """
        Join texts.
        """
        ...


@service("text.v1.Texts", version="1.0", capabilities=["counting"])
class TextService:
    """
    A service as a plugin's author writes it.
    """

    @idempotent
    @method("Count")
    async def count(self, request: Text) -> Count:
        """
        Count words.
        """
        assert_type(current_call(), CurrentCall)
        return Count(len(request.text.split()))

    @idempotent
    def blocking(self, request: Text) -> Count:
        """
        A synchronous handler.
        """
        return Count(0)


async def host(path: Path) -> None:
    """
    A host.
    """
    Manager({"plugins": {"text": {"endpoint": "unix:///run/text.sock"}}})
    Manager(ManagerConfig(plugins={"text": PluginConfig(name="text", endpoint="exec:./text")}))
    async with Manager.from_file(path) as manager:
        assert_type(manager, Manager)

        plugin = manager.plugin("text", Text, Count, service="text.v1.Texts", method="Count")
        assert_type(plugin, Plugin[Text, Count])
        assert_type(await plugin.execute(Text("a b"), timeout=1.5, headers={"x-tenant": "acme"}), Count)
        assert_type(await plugin.info(), PluginInfo)
        await plugin.execute(Count(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await plugin.execute(Text("a"), timeout="1s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await plugin.execute(Text("a"), 1.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

        maybe = manager.plugin("text", Text | None, list[Count] | None)
        assert_type(maybe, Plugin[Text | None, list[Count] | None])
        assert_type(await maybe.execute(None), list[Count] | None)
        assert_type(await manager.execute("text", {}, Text | None), Text | None)
        assert_type(await manager.execute("text", {}, dict[str, int]), dict[str, int])
        await maybe.execute("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        manager.plugin("text", Text("a"), Text)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

        texts = manager.client("text", Texts)
        assert_type(texts, Texts)
        assert_type(await texts.count(Text("a")), Count)
        assert_type(await texts.join("a", second="b"), str)
        await texts.count("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await texts.nosuch()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

        own = manager.client("text", TextService)
        assert_type(own, TextService)
        assert_type(await own.count(Text("a")), Count)

        answer = await manager.execute("text", Text("a"), Count, method="Count", options=CallOptions(timeout=1))
        assert_type(answer, Count)

        assert_type(await manager.health(), dict[str, HealthStatus])
        assert_type(await manager.overall_health(), HealthStatus)
        assert_type(manager.list_plugins(), list[str])
        assert_type(manager.active_requests(), int)
        await manager.drain("text", 3, force=True, progress=lambda progress: print(progress.remaining))
        await manager.register(PluginConfig(name="other", endpoint="http://127.0.0.1:1"))
        await manager.unregister("other", drain=False)
        options = ReloadOptions(strategy="rolling", drain_timeout=5)
        report = await manager.reload({"plugins": {}}, options)
        assert_type(report, ReloadReport)
        assert_type(report.plugins["text"], PluginReload)
        assert_type(report.error, RemoraError | None)
        assert_type(report.summary, str)
        assert_type(manager.plan({"plugins": {}}), ReloadPlan)
        assert_type(manager.config, ManagerConfig)
        manager.hurry()
        manager.restart("text")
        with manager.events() as events:
            assert_type(events, AsyncIterator[Event])


async def decorated() -> None:
    """
    Decorators keep the types of what they mark.
    """
    texts = TextService()
    assert_type(texts, TextService)
    assert_type(await texts.count(Text("a")), Count)
    assert_type(texts.blocking(Text("a")), Count)
    await texts.count(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def plugin_in_a_test() -> None:
    """
    A plugin and its host in one process.
    """
    transport = remora.testing.MemoryTransport()
    extensions = [transport.extension]
    async with serving(TextService(), listen="memory:text", extensions=extensions) as served:
        assert_type(served.endpoints[0].url, str)
        async with Manager({"plugins": {}}, extensions=extensions) as manager:
            assert_type(await manager.client("text", Texts).count(Text("a")), Count)
        assert_type(await served.wait_closed(), None)
    async with entered(TextService(), options=ServeOptions(drain_timeout=1)):
        dispatcher_for(TextService())
    async with asgi(TextService()).lifespan():
        pass


def program() -> None:
    """
    The last line of a plugin.
    """
    serve(TextService(), listen="stdio:", backend="trio", options=ServeOptions(max_concurrent_calls=10, max_threads=4))
    preload("trio")
    leave_threads_behind(0)
    serve(TextService(), listen=["unix:///run/a.sock", "http://127.0.0.1:0"])
