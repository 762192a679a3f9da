"""
The synchronous API as scripts use it. Never run; mypy and pyright check the types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, assert_type

from remora import HealthStatus, Manager, PluginConfig, sync
from remora.types import Event

T = TypeVar("T")


@dataclass(frozen=True)
class Text:
    """
    A record.
    """

    text: str


@dataclass(frozen=True)
class Page(Generic[T]):
    """
    Some of many.
    """

    items: list[T]


class Texts(Protocol):
    """
    A service as a script sees it.
    """

    def join(self, first: Text, second: Text | None = None, *, separator: str = "") -> Text:
        """
        Join texts.
        """
        ...


class Store(Protocol[T]):
    """
    A service of any records.
    """

    async def put(self, key: str, value: T) -> None:
        """
        Keep one.
        """
        ...

    async def page(self, number: int = 1) -> Page[T]:
        """
        Some of them.
        """
        ...


class TextStore(Store[Text], Protocol):
    """
    The same with its record named.
    """


def script() -> None:
    """
    A script.
    """
    with sync.Manager.from_file("remora.toml", backend="trio") as manager:
        assert_type(manager, sync.Manager)
        plugin = manager.plugin("text", Text, Text, method="upper")
        assert_type(plugin, sync.Plugin[Text, Text])
        assert_type(plugin.execute(Text("a"), timeout=1), Text)
        assert_type(manager.execute("text", Text("a"), Text), Text)
        assert_type(manager.execute("text", Text("a"), Text | None), Text | None)
        assert_type(manager.plugin("text", list[Text], Text | None), sync.Plugin[list[Text], Text | None])
        texts = manager.client("text", Texts)
        assert_type(texts.join(Text("a"), separator="-"), Text)
        texts.join("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert_type(manager.health(), dict[str, HealthStatus])
        manager.register(PluginConfig(name="other", endpoint="http://127.0.0.1:1"))
        with manager.events() as events:
            assert_type(next(events), Event)
    sync.Manager({}, backend="curio")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def generic(manager: Manager) -> None:
    """
    Generic services, with their records given at the call or in a class of its own.
    """
    store = manager.client("text", TextStore)
    assert_type(await store.page(), Page[Text])
    await store.put("a", Text("b"))
    await store.put("a", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    given = manager.client("text", Store[Text])
    assert_type(await given.page(2), Page[Text])
