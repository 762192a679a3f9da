"""
Typed clients from Protocol classes and from service classes.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import pytest

from remora import (
    Call,
    ConfigError,
    InvalidReply,
    Manager,
    PluginConfig,
    PluginError,
    PluginNotFound,
    Reply,
    idempotent,
    method,
    service,
    serving,
)
from remora._methods import methods_of
from tests.core.hosts import PlainChannel, Stranger, Text, bench, strange

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


class Texts(Protocol):
    """
    What a host wants of a plugin.
    """

    @method("Upper")
    @idempotent
    async def upper(self, request: Text) -> Text:
        """
        The text in capitals.
        """
        ...

    async def join(self, first: str, second: str = "b", *, separator: str = "-") -> str:
        """
        The texts, joined.
        """
        ...

    async def count(self) -> int:
        """
        How many calls there were.
        """
        ...


@service("Texts")
class Plugin:
    """
    What a plugin is.
    """

    def __init__(self) -> None:
        self.calls = 0

    @method("Upper")
    async def upper(self, request: Text) -> Text:
        """
        The text in capitals.
        """
        self.calls += 1
        return Text(request.text.upper())

    async def join(self, first: str, second: str = "b", *, separator: str = "-") -> str:
        """
        The texts, joined.
        """
        self.calls += 1
        return f"{first}{separator}{second}"

    def count(self) -> int:
        """
        How many calls there were.
        """
        return self.calls


class Recorder(PlainChannel):
    """
    A channel that writes down its calls, and gives one reply.
    """

    def __init__(self, payload: bytes) -> None:
        self.calls: list[Call] = []
        self._payload = payload

    async def call(self, call: Call) -> Reply:
        """
        Write it down.
        """
        self.calls.append(call)
        return Reply(payload=self._payload)


@asynccontextmanager
async def recorded(payload: bytes, **table: object) -> AsyncIterator[tuple[Manager, Recorder]]:
    """
    A manager whose plugin `p` gives one reply.
    """
    recorder = Recorder(payload)

    @asynccontextmanager
    async def opens(attempt: int) -> AsyncIterator[Recorder]:
        yield recorder

    async with Manager(strange(**table), extensions=[Stranger(opens)]) as manager:
        yield manager, recorder


async def test_a_protocol_class_makes_a_client() -> None:
    """
    Each method is a call, with whatever parameters it has.
    """
    async with bench() as b, serving(Plugin(), listen="memory:texts", extensions=[b.transport.extension]):
        await b.manager.register(PluginConfig(name="texts", endpoint="memory:texts"))
        texts = b.manager.client("texts", Texts)

        assert Text("HELLO") == await texts.upper(Text("hello"))
        assert Text("HELLO") == await texts.upper(request=Text("hello"))
        assert "a-b" == await texts.join("a")
        assert "a+c" == await texts.join("a", second="c", separator="+")


async def test_a_service_class_is_as_good_as_a_protocol() -> None:
    """
    Its name on the wire is the one that it gives itself.
    """
    async with recorded(b'{"text":"x"}') as (manager, recorder):
        await manager.client("p", Plugin).upper(Text())
        await manager.client("p", Texts).upper(Text())

    assert ["Texts/Upper", "Texts/Upper"] == [call.name for call in recorder.calls]
    assert [False, True] == [call.idempotent for call in recorder.calls]


async def test_the_configured_service_wins() -> None:
    """
    The host's class may have any name.
    """
    async with recorded(b'{"text":"x"}', service="text.v1.Texts") as (manager, recorder):
        await manager.client("p", Texts).upper(Text())

    assert "text.v1.Texts" == recorder.calls[0].service


async def test_a_client_reads_like_its_protocol() -> None:
    """
    Docstrings, names and signatures are kept.
    """
    async with recorded(b"") as (manager, _):
        texts = manager.client("p", Texts)

    assert inspect.getdoc(Texts.upper) == inspect.getdoc(texts.upper)
    assert inspect.getdoc(Texts) == inspect.getdoc(texts)
    assert "upper" == texts.upper.__name__
    assert ["first", "second", "separator"] == list(inspect.signature(texts.join).parameters)
    assert inspect.iscoroutinefunction(texts.upper)
    assert "TextsClient" == type(texts).__name__


async def test_wrong_arguments_are_a_type_error_before_anything_is_sent() -> None:
    """
    As with any function.
    """
    async with recorded(b"") as (manager, recorder):
        texts: Any = manager.client("p", Texts)
        for attempt in (texts.upper, lambda: texts.upper(Text(), Text()), lambda: texts.join("a", third="b")):
            with pytest.raises(TypeError):
                await attempt()

    assert [] == recorder.calls


async def test_a_wrong_reply_names_the_field() -> None:
    """
    And the method.
    """
    async with recorded(b'{"text": 3}') as (manager, _):
        with pytest.raises(InvalidReply, match=r"the reply of Texts/Upper is wrong: \$\.text: expected"):
            await manager.client("p", Texts).upper(Text())


async def test_an_error_of_the_plugin_comes_out_of_the_client() -> None:
    """
    As it does of `execute`.
    """
    async with bench() as b:
        with pytest.raises(PluginError, match="there is no service .Texts.; there are: "):
            await b.manager.client("p", Texts).count()


async def test_what_cannot_be_a_client_is_a_clear_error() -> None:
    """
    When the client is made.
    """

    class Stars(Protocol):
        async def all(self, *args: int) -> None: ...

    async with recorded(b"") as (manager, _):
        with pytest.raises(ConfigError, match=r"Stars\.all: "):
            manager.client("p", Stars)
        with pytest.raises(ConfigError, match="a client needs a class"):
            manager.client("p", lambda: None)
        with pytest.raises(PluginNotFound):
            manager.client("q", Texts)


T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """
    Some of many.
    """

    items: list[T]
    next: T | None = None


class Store(Protocol[T]):
    """
    Keeps any records.
    """

    async def page(self, after: T | None = None, limit: int = 10) -> Page[T]:
        """
        Some of them.
        """
        ...


class TextStore(Store[Text], Protocol):
    """
    Keeps texts.
    """


@pytest.mark.parametrize("protocol", [Store[Text], TextStore], ids=["at the call", "in a class"])
async def test_a_generic_protocol_makes_a_client_of_its_records(protocol: Any) -> None:
    """
    What its type variables stand for is found, however deep they are.
    """
    async with recorded(b'{"items":[{"text":"a"}],"next":{"text":"b"}}') as (manager, recorder):
        page = await manager.client("p", protocol).page(limit=3)

    assert Page([Text("a")], Text("b")) == page
    assert {"limit": 3} == {key: value for key, value in json.loads(recorder.calls[0].payload).items() if value}
    assert "Page" in str(methods_of(protocol)["page"].response)


async def test_a_generic_protocol_without_its_records_takes_anything() -> None:
    """
    As `object` does.
    """
    async with recorded(b'{"items":[{"text":"a"}]}') as (manager, _):
        assert Page([{"text": "a"}]) == await manager.client("p", Store).page()
