"""
Fallbacks: what answers, when, and that it shows.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import anyio
import pytest

from remora import Code, ConfigError, DeadlineExceeded, Manager, PluginError, Unavailable
from remora.config import PluginConfig
from remora.types import FallbackUsed
from tests.core.hosts import Text
from tests.core.scripts import Stage, ouch, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

HEADER = "x-remora-fallback"
KINDS: dict[str, dict[str, Any]] = {
    "value": {"value": {"text": "nobody there"}},
    "last_good": {"last_good": 60},
    "plugin": {"plugin": "q"},
}
ANSWERS = {"value": "nobody there", "last_good": "hello", "plugin": "hello"}


@pytest.mark.parametrize("kind", KINDS)
async def test_fallback_answers_and_says_so(kind: str, anyio_backend: object) -> None:
    """
    In a header of the reply, and as an event with the cause.
    """
    async with stage(table(fallback=KINDS[kind]), q=table("q")) as host:
        good = await host.reply()
        host["a"].failure = ouch
        reply = await host.reply()
        (event,) = host.events(FallbackUsed)

        assert ANSWERS[kind] == await host.call()
        assert (None, kind) == (good.headers.get(HEADER), reply.headers.get(HEADER))
        assert ("p", kind) == (event.plugin, event.kind)
        assert "ouch" in event.cause


@pytest.mark.parametrize("kind", KINDS)
async def test_answer_of_the_plugin_is_never_covered_up(kind: str, anyio_backend: object) -> None:
    """
    Not even one that counts against it, and may be a bug.
    """
    async with stage(table(fallback=KINDS[kind]), q=table("q")) as host:
        await host.call()
        for code in (Code.NOT_FOUND, Code.ABORTED, Code.INTERNAL, Code.UNKNOWN):
            host["a"].failure = lambda code=code: PluginError("no", code=code)
            error = await host.outcome()

            assert isinstance(error, PluginError)
            assert code == error.code
        assert [] == host.events(FallbackUsed)


@pytest.mark.parametrize("kind", KINDS)
async def test_fallback_is_there_when_the_plugin_says_that_it_cannot_answer(kind: str, anyio_backend: object) -> None:
    """
    From the first such answer on, and not only once the breaker has opened because of them.
    """
    settings = {"retry": {"max_retries": 0}, "circuit_breaker": {"enabled": False}}
    async with stage(table(fallback=KINDS[kind], **settings), q=table("q")) as host:
        await host.call()
        host["a"].failure = lambda: PluginError("overrun", code=Code.UNAVAILABLE)

        assert ANSWERS[kind] == await host.call()
        assert ["overrun" in event.cause for event in host.events(FallbackUsed)] == [True]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", ["hanging", "lost", "breaker", "rate", "draining"])
async def test_fallback_is_there_for_all_that_keeps_a_plugin_from_answering(
    kind: str, trouble: str, anyio_backend: object
) -> None:
    """
    Wherever on its way the call ends; but another plugin cannot answer in no time.
    """
    settings: dict[str, Any] = {
        "breaker": {"circuit_breaker": {"failure_threshold": 1, "min_request_threshold": 1}},
        "rate": {"rate_limit": {"enabled": True, "burst_size": 1, "requests_per_second": 0.001}},
    }.get(trouble, {})
    async with stage(table(fallback=KINDS[kind], **settings), q=table("q")) as host:
        await host.call()
        if trouble == "draining":
            await host.manager.drain("p", 1)
        host["a"].is_hanging = trouble == "hanging"
        host["a"].failure = ouch if trouble == "breaker" else None
        if trouble == "lost":
            host["a"].is_refusing = True
            host["a"].crash()
            await anyio.sleep(10)
        if (kind, trouble) == ("plugin", "hanging"):
            assert isinstance(await host.outcome(timeout=1), DeadlineExceeded)
        else:
            assert [ANSWERS[kind]] * 3 == [await host.call(timeout=1) for _ in range(3)]


async def test_caller_s_time_holds_for_the_other_plugin_too(anyio_backend: object) -> None:
    """
    Also where the first one was never asked.
    """
    async with stage(table(fallback={"plugin": "q"}), q=table("q")) as host:
        host["q"].is_hanging = True
        await host.manager.drain("p", 1)
        started = host.now
        error = await host.outcome(timeout=2)

        assert error is not None
        assert pytest.approx(2) == host.now - started
        assert 1 == len(host["q"].calls)


@pytest.mark.parametrize(
    ("first", "other", "called", "names"),
    [
        ({}, {"service": "b.B", "method": "find"}, {}, ("b.B", "find")),
        ({"service": "a.A"}, {"service": "b.B"}, {"method": "look"}, ("b.B", "look")),
        ({"service": "a.A", "method": "find"}, {}, {}, ("a.A", "find")),
        ({"service": "a.A"}, {"service": "b.B"}, {"service": "c.C", "method": "look"}, ("c.C", "look")),
    ],
)
async def test_other_plugin_is_called_by_the_names_in_its_own_table(
    first: dict[str, str],
    other: dict[str, str],
    called: dict[str, str],
    names: tuple[str, str],
    anyio_backend: object,
) -> None:
    """
    Where the table of the plugin that was called named the same thing, or nothing; what the call itself names stays.
    """
    async with stage(table(fallback={"plugin": "q"}, **first), q=table("q", **other)) as host:
        host["a"].failure = ouch
        assert "hello" == (await host.manager.plugin("p", Text, Text, **called).execute(Text("hello"))).text

        ((_, call),) = host["q"].calls
        assert names == (call.service, call.method)


async def test_last_good_reply_is_that_of_the_same_request_and_not_too_old(anyio_backend: object) -> None:
    """
    Answers of a fallback make nothing younger.
    """
    async with stage(table(fallback={"last_good": 60})) as host:
        await host.call(text="one")
        host["a"].failure = ouch

        assert isinstance(await host.outcome(text="other"), Unavailable)
        for _ in range(5):
            await anyio.sleep(11)
            assert "one" == await host.call(text="one")
        await anyio.sleep(11)
        assert isinstance(await host.outcome(text="one"), Unavailable)


async def test_only_so_many_replies_are_kept(anyio_backend: object) -> None:
    """
    The oldest go first.
    """
    async with stage(table(fallback={"last_good": 3600})) as host:
        for number in range(300):
            await host.call(text=str(number))
        host["a"].failure = ouch

        assert "299" == await host.call(text="299")
        assert isinstance(await host.outcome(text="0"), Unavailable)


async def test_plugins_that_stand_in_for_each_other_end_with_an_error(anyio_backend: object) -> None:
    """
    Each is asked once; the caller gets to know why the one that it called did not answer.
    """
    plugins = {"p": "q", "q": "r", "r": "p"}
    tables = {name: table(name, fallback={"plugin": other}) for name, other in plugins.items()}
    async with stage(**tables) as host:
        for name in plugins:
            host[name].failure = lambda name=name: Unavailable(f"{name} is away")
        error = await host.outcome("p")

        assert "plugin 'p' at script:p: p is away" == str(error)
        assert [1, 1, 1] == [len(host[name].calls) for name in plugins]

        host["r"].failure = None
        assert "hello" == await host.call("p")


async def test_two_callers_may_use_fallbacks_crosswise(anyio_backend: object) -> None:
    """
    What goes in no circle is not taken for one.
    """
    async with stage(p=table("p", fallback={"plugin": "q"}), q=table("q", fallback={"plugin": "p"})) as host:
        host["p"].failure = ouch
        await _twice(host)


async def _twice(host: Stage) -> None:
    async with anyio.create_task_group() as group:
        for name in "ppqq":
            group.start_soon(host.call, name)


async def test_missing_fallback_plugin_is_named(anyio_backend: object) -> None:
    """
    Before the first call needs it; oneself is no other plugin.
    """
    tables = {"p": table(fallback={"plugin": "nobody"}), "q": table(fallback={"plugin": "q"})}
    with pytest.raises(ConfigError) as caught:
        Manager({"plugins": tables})

    assert [
        "plugins.p.fallback.plugin: expected another plugin that is configured, got 'nobody'; there are: q",
        "plugins.q.fallback.plugin: expected another plugin that is configured, got 'q'; there are: p",
    ] == list(caught.value.problems)


async def test_fallback_plugin_that_is_gone_leaves_the_error(anyio_backend: object) -> None:
    """
    Plugins come and go at run time.
    """
    async with stage(table(fallback={"plugin": "q"}), q=table("q")) as host:
        await host.manager.unregister("q")
        host["a"].failure = ouch
        error = await host.outcome()

        assert "plugin 'p' at script:a: ouch" == str(error)
        await host.manager.register(PluginConfig(name="q", endpoint="script:q"))
        assert "hello" == await host.call()


@pytest.mark.parametrize("value", [0, False, "", [], {}])
async def test_any_json_value_but_null_may_stand_in(value: object, anyio_backend: object) -> None:
    """
    What is false is a value too.
    """
    async with stage(table(fallback={"value": value})) as host:
        host["a"].failure = ouch

        assert value == await host.manager.execute("p", {}, object)


class Lists(Protocol):
    """
    Two methods, one of which gives back what it gets.
    """

    async def numbers(self, request: list[int]) -> list[int]: ...

    async def text(self, request: list[int]) -> Text: ...


class Texts(Protocol):
    """
    None of whose methods gives a list.
    """

    async def text(self, request: Text) -> Text: ...


WRONG = "plugins.p.fallback.value: it is no reply of {}: $: expected object, got a list"


async def test_value_that_fits_no_reply_is_named_before_it_is_needed(anyio_backend: object) -> None:
    """
    When the handle or the client is made, by its key.
    """
    async with stage(table(fallback={"value": [1]})) as host:
        with pytest.raises(ConfigError, match=re.escape(WRONG.format("S/m"))):
            host.manager.plugin("p", Text, Text, service="S", method="m")
        with pytest.raises(ConfigError, match=re.escape(WRONG.format("Texts/text"))):
            host.manager.client("p", Texts)


async def test_value_that_fits_another_method_blames_its_key_and_not_the_plugin(anyio_backend: object) -> None:
    """
    A plugin has one value for all its methods, so that it need not fit them all. One that does not fit hides no outage.
    """
    async with stage(table(fallback={"value": [1]})) as host:
        lists = host.manager.client("p", Lists)
        assert [2] == await lists.numbers([2])
        host["a"].failure = ouch

        assert [1] == await lists.numbers([2])
        for attempt in (lists.text([2]), host.manager.execute("p", [2], Text, service="Lists", method="text")):
            with pytest.raises(ConfigError, match=re.escape(WRONG.format("Lists/text"))) as caught:
                await attempt
            assert isinstance(caught.value.__cause__, Unavailable)
        assert 1 == len(host.events(FallbackUsed))
