"""
Plugins that are where their resolvers say: instances appear and vanish, and no call fails. In virtual time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from remora import (
    Call,
    ConfigError,
    DeadlineExceeded,
    DrainTimeout,
    Endpoint,
    InterceptorSpec,
    Manager,
    NotInstalled,
    ReloadOptions,
    RemoraError,
    Reply,
    ResolverSpec,
    Unavailable,
    hookimpl,
    serving,
)
from remora.testing import MemoryTransport
from remora.types import EndpointsChanged, ResolverFailed
from tests.core.fleet.told import Options, Told
from tests.core.hosts import Observer, Text

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


class Named:
    """
    Says who it is, after a moment.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    async def who(self, request: Text) -> Text:
        """
        The name.
        """
        await anyio.sleep(0.05)
        return Text(self.name)


@dataclass
class Bench:
    """
    A manager whose plugin `p` is where the resolver says, and peers to be found.
    """

    manager: Manager
    transport: MemoryTransport
    told: Told
    observer: Observer

    async def who(self, **options: Any) -> str:
        """
        Who answers.
        """
        return (await self.manager.plugin("p", Text, Text, method="who").execute(Text(), **options)).text

    async def until(self, *names: str) -> None:
        """
        Wait until exactly these answer.
        """
        while await self._answering() != set(names):
            await anyio.sleep(0.1)

    async def _answering(self) -> set[str]:
        """
        Who answers calls that are made at once: one after the other, each of them might come when it is the turn of the
        same one as before, for as long as others call in step with it.
        """
        names = set[str]()

        async def ask() -> None:
            names.add(await self.who())

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(ask)
        return names

    def events(self, kind: type[Any]) -> list[Any]:
        """
        The events of a kind so far.
        """
        return [each for each in self.observer.events if isinstance(each, kind)]


PLAIN: dict[str, Any] = {"resolver": {"method": "told"}, "retry": {"max_retries": 0}}


class Site(AsyncExitStack):
    """
    Peers and a manager.
    """

    async def bench(
        self, *peers: str, plugins: dict[str, Any] | None = None, extensions: Sequence[object] = ()
    ) -> Bench:
        """
        Begin.
        """
        transport, told, observer = MemoryTransport(), Told(), Observer()
        for peer in peers:
            await self.enter_async_context(
                serving(Named(peer), listen=f"memory:{peer}", extensions=[transport.extension])
            )
        config = {"plugins": plugins or {"p": PLAIN}}
        manager = Manager(config, extensions=[transport.extension, told, observer, *extensions])
        return Bench(await self.enter_async_context(manager), transport, told, observer)


async def test_instances_appear_and_vanish_under_load_without_a_failed_call(anyio_backend: object) -> None:
    """
    All of them change again and again, under twenty callers that try each call once.
    """
    errors, asked, is_over = list[RemoraError](), 0, False
    async with Site() as site:
        bench = await site.bench(*"abcd")
        group = await site.enter_async_context(anyio.create_task_group())

        async def call() -> None:
            nonlocal asked
            while not is_over:
                asked += 1
                try:
                    await bench.who()
                except RemoraError as error:
                    errors.append(error)
                await anyio.sleep(0.001)  # virtual time passes only while everybody waits

        bench.told.say("a")
        for _ in range(20):
            group.start_soon(call)
        for names in ["ab", "b", "bcd", "a", "dcb", "cd", "abcd", "d"] * 5:
            bench.told.say(*names)
            await bench.until(*names)
        is_over = True
        changes = bench.events(EndpointsChanged)

    assert [] == errors
    assert asked > 1000
    assert len(changes) > 35


async def test_calls_wait_for_a_first_answer_within_their_deadlines(anyio_backend: object) -> None:
    """
    One that comes in time is used, and the call that had less time says why it failed.
    """
    async with Site() as site:
        bench = await site.bench("a")
        group = await site.enter_async_context(anyio.create_task_group())
        names = list[str]()

        async def call() -> None:
            names.append(await bench.who())

        with pytest.raises(DeadlineExceeded, match="its resolver has not told yet where it is"):
            await bench.who(timeout=1)
        health = await bench.manager.health()
        group.start_soon(call)
        await anyio.sleep(5)
        bench.told.say("a")

    assert ["a"] == names
    assert "its resolver has not told yet where it is" == health["p"].message


async def test_a_resolver_that_cannot_tell_is_one_event_and_is_asked_again(anyio_backend: object) -> None:
    """
    Calls fail at once while nothing is known, and go on as before where something is.
    """
    async with Site() as site:
        bench = await site.bench(*"ab")
        bench.told.fail(Unavailable("the name server is on fire"))
        await anyio.sleep(100)
        with pytest.raises(Unavailable, match="cannot tell where it is: the name server is on fire"):
            await bench.who()
        asked = len(bench.told.watches)
        bench.told.say("a")
        await anyio.sleep(40)
        assert "a" == await bench.who()
        bench.told.fail(ValueError("a bug"))
        await anyio.sleep(100)
        assert "a" == await bench.who()
        causes = [each.cause for each in bench.events(ResolverFailed)]
        bench.told.say("b")
        await anyio.sleep(40)
        assert "b" == await bench.who()

    assert 4 < asked < 20
    assert 2 == len(causes)
    assert "ValueError: a bug" in causes[1]
    assert bench.told.ended == len(bench.told.watches)


class Hasty:
    """
    A resolver that wants to be asked again at once, some times, and then has nothing to tell.
    """

    def __init__(self) -> None:
        self.asked: list[float] = []

    @hookimpl
    def remora_register_resolvers(self) -> list[ResolverSpec[Options]]:
        """
        The resolver.
        """
        return [ResolverSpec("hasty", Options, lambda options: self)]

    async def watch(self, report: Callable[[Sequence[Endpoint]], None], /) -> None:
        """
        Fail.
        """
        self.asked.append(anyio.current_time())
        if len(self.asked) < 5:
            raise Unavailable("busy", retry_after=len(self.asked) - 2.0)


async def test_a_resolver_that_wants_to_be_asked_again_at_once_has_to_wait(anyio_backend: object) -> None:
    """
    As one that says nothing about it has to; else it would keep the event loop busy.
    """
    hasty = Hasty()
    async with Site() as site:
        await site.bench(plugins={"p": {"resolver": {"method": "hasty"}}}, extensions=[hasty])
        await anyio.sleep(100)
        pauses = [after - before for before, after in pairwise(hasty.asked)]

    assert min(pauses[:2]) > 0.4
    assert [1, 2] == pytest.approx(pauses[2:])


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ([], "nowhere"),
        (["memory:b"], "a str instead of an Endpoint"),
        ([Endpoint("nosuch:b")], 'transport "nosuch"'),
        ([Endpoint("plain words")], "has no scheme"),
        ([Endpoint("memory:b"), Endpoint("memory:c", weight=10**400)], "weight: expected a number"),
        ([Endpoint("memory:gone")], "none of the new endpoints can be reached"),
    ],
    ids=lambda each: str(each)[:12],
)
async def test_an_answer_of_no_use_leaves_the_last_good_one(
    answer: list[Any], cause: str, anyio_backend: object
) -> None:
    """
    With one event, and nothing of it stays.
    """
    async with Site() as site:
        bench = await site.bench(*"ac")
        bench.told.say("a")
        await bench.until("a")
        bench.told.endpoints = answer
        bench.told.news.set()
        await anyio.sleep(60)
        assert "a" == await bench.who()
        (failed,) = bench.events(ResolverFailed)
        bench.told.say("c")
        await bench.until("c")

    assert cause in failed.cause


async def test_one_endpoint_that_is_away_keeps_no_other_waiting(anyio_backend: object) -> None:
    """
    What is ready is used at once; what vanished goes after a while; what is away is used when it comes.
    """
    async with Site() as site:
        bench = await site.bench(*"ab")
        bench.told.say("a")
        await bench.until("a")
        bench.told.say("b", "away")
        await anyio.sleep(0.5)
        early = {await bench.who() for _ in range(4)}
        await anyio.sleep(15)
        late = {await bench.who() for _ in range(4)}

    assert ({"a", "b"}, {"b"}) == (early, late)


@pytest.mark.parametrize(
    ("change", "early", "late"),
    [
        ({"q": {"endpoint": "memory:c", "labels": {"a": "b"}}}, {"a", "b"}, {"b"}),
        ({"p": {**PLAIN, "labels": {"a": "b"}}}, {"a"}, {"b"}),
        ({"security": {"limits": {"open_files": 64}}}, {"a"}, {"b"}),
        ({"p": {"endpoint": "memory:c"}}, {"c"}, {"c"}),
    ],
    ids=["of another plugin", "of the plugin", "of all plugins", "of where it is"],
)
async def test_no_change_waits_for_endpoints_that_are_slow(
    change: dict[str, Any], early: set[str], late: set[str], anyio_backend: object
) -> None:
    """
    Nor does it lose them: they are in force in the end. Calls go on meanwhile, each tried once.
    """
    security = change.pop("security", {})
    plugins: dict[str, Any] = {"p": PLAIN, "q": {"endpoint": "memory:c"}}
    errors, is_over = list[RemoraError](), False
    async with Site() as site:
        bench = await site.bench(*"abc", plugins=plugins)
        group = await site.enter_async_context(anyio.create_task_group())

        async def call() -> None:
            while not is_over:
                try:
                    await bench.who()
                except RemoraError as error:
                    errors.append(error)
                await anyio.sleep(0.001)

        bench.told.say("a")
        await bench.until("a")
        for _ in range(5):
            group.start_soon(call)
        bench.told.say("b", "away")
        await bench.until("a", "b")
        began = anyio.current_time()
        report = await bench.manager.reload({"plugins": {**plugins, **change}, "security": security})
        took = anyio.current_time() - began
        seen = {each.name.removeprefix("memory:") for each in bench.manager._fleet["p"].route.instances}
        await bench.until(*late)
        is_over = True
        await anyio.sleep(60)
        owners = len(bench.manager._fleet.entered()._owners)

    assert report.applied, report.error
    assert took < 1
    assert early <= seen
    assert [] == errors
    assert (3 if late == {"b"} else 2) == owners  # of `q`, of `b`, and the one that goes on trying


async def test_a_plugin_that_is_taken_out_takes_its_slow_endpoints_with_it(anyio_backend: object) -> None:
    """
    At once, and for good.
    """
    async with Site() as site:
        bench = await site.bench(*"ab")
        bench.told.say("a")
        await bench.until("a")
        bench.told.say("b", "away")
        await bench.until("a", "b")
        await bench.manager.unregister("p")

        assert [] == bench.manager.list_plugins()
        await anyio.sleep(60)
        assert [] == list(bench.manager._fleet.entered()._owners)
        assert {} == bench.manager._changes._resolution._adoptions


@pytest.mark.parametrize("before", [(), ("b", "away")], ids=["told afterwards", "told before"])
async def test_what_is_told_of_a_plugin_that_was_closed_by_force_is_opened_by_a_restart(
    before: tuple[str, ...], anyio_backend: object
) -> None:
    """
    And not earlier, since no call would go there. That holds as well for what was still being opened.
    """
    async with Site() as site:
        bench = await site.bench(*"abc")
        bench.told.say("a")
        await bench.until("a")
        if before:
            bench.told.say(*before)
            await bench.until("a", "b")
        async with anyio.create_task_group() as group:
            group.start_soon(_ignored, bench.who)
            await anyio.sleep(0.01)
            with pytest.raises(DrainTimeout):
                await bench.manager.drain("p", 0, force=True)
        bench.told.say("b", "c")
        await anyio.sleep(60)
        opened = list(bench.manager._fleet.entered()._owners)
        bench.manager.restart("p")

        assert [] == opened
        with anyio.fail_after(5):
            await bench.until("b", "c")


async def _ignored(ask: Callable[[], Awaitable[object]]) -> None:
    with suppress(RemoraError):
        await ask()


class Counting:
    """
    An extension whose interceptor counts calls.
    """

    def __init__(self) -> None:
        self.calls = 0

    @hookimpl
    def remora_register_interceptors(self) -> list[InterceptorSpec]:
        """
        The interceptor.
        """
        return [InterceptorSpec("counting", lambda plugin: self._count)]

    async def _count(self, call: Call, proceed: Callable[[Call], Awaitable[Reply]]) -> Reply:
        self.calls += 1
        return await proceed(call)


async def test_what_holds_for_all_plugins_changes_while_endpoints_are_slow(anyio_backend: object) -> None:
    """
    An interceptor that is switched off for all is off at once, and when the endpoints are in force.
    """
    async with Site() as site:
        counting = Counting()
        bench = await site.bench(*"ab", extensions=[counting])
        bench.told.say("a")
        await bench.until("a")
        bench.told.say("b", "away")
        await bench.until("a", "b")
        before = counting.calls
        report = await bench.manager.reload({"plugins": {"p": PLAIN}, "interceptors": {"counting": {"enabled": False}}})
        await bench.who()
        await bench.until("b")

    assert ("retuned", before) == (report.plugins["p"].action, counting.calls)


async def test_endpoints_that_are_slow_are_counted_when_metrics_are_switched_on_meanwhile(
    anyio_backend: object,
) -> None:
    """
    As all others are.
    """
    off, on = ({"plugins": {"p": PLAIN}, "metrics": {"enabled": each}} for each in (False, True))
    async with Site() as site:
        bench = await site.bench(*"ab")
        await bench.manager.reload(off)
        bench.told.say("a")
        await bench.until("a")
        bench.told.say("b", "late")
        await bench.until("a", "b")
        await bench.manager.reload(on)
        await bench.until("b")
        await site.enter_async_context(
            serving(Named("late"), listen="memory:late", extensions=[bench.transport.extension])
        )
        await bench.until("b", "late")

        counted = bench.manager.observability().plugin_metrics["p"].instances

    assert {"memory:b", "memory:late"} <= {name for name, each in counted.items() if each.total_requests}


async def test_weights_and_priorities_change_in_place(anyio_backend: object) -> None:
    """
    The instance stays; what is said twice counts once.
    """
    async with Site() as site:
        bench = await site.bench(*"ab")
        bench.told.say(Endpoint("memory:a"), Endpoint("memory:b", priority=0), Endpoint("memory:a"))
        await bench.until("a")
        bench.told.say(Endpoint("memory:a"), Endpoint("memory:b", priority=2))
        await bench.until("b")

    assert 2 == bench.observer.names().count("InstanceReady")
    assert 1 == len(bench.events(EndpointsChanged))


async def test_a_reload_keeps_what_is_known_and_asks_another_resolver_anew(anyio_backend: object) -> None:
    """
    Whether the change is one of policies, of the resolver, to a resolver or away from it.
    """
    async with Site() as site:
        bench = await site.bench(*"abc")
        bench.told.say("a")
        await bench.until("a")
        tuned = await bench.manager.reload({"plugins": {"p": {**PLAIN, "retry": {"max_retries": 1}}}})
        same = len(bench.told.watches)
        bench.told.endpoints = None
        await bench.manager.reload({"plugins": {"p": {**PLAIN, "resolver": {"method": "told", "word": "new"}}}})
        assert "a" == await bench.who()
        bench.told.say("b")
        await bench.until("b")
        await bench.manager.reload({"plugins": {"p": {"endpoint": "memory:c"}}})
        fixed = {await bench.who() for _ in range(3)}
        bench.told.endpoints = None
        await bench.manager.reload({"plugins": {"p": {**PLAIN, "priority": 7}}})
        assert "c" == await bench.who()
        bench.told.say("b")
        await bench.until("b")

    assert ("retuned", 1, {"c"}) == (tuned.plugins["p"].action, same, fixed)
    assert [("", 1), ("new", 1), ("", 7)] == [(each.word, each.priority) for each in bench.told.watches]


async def test_the_static_resolver_is_what_endpoints_are(anyio_backend: object) -> None:
    """
    Also when they change.
    """
    async with Site() as site:
        static = {"resolver": {"method": "static"}, "endpoints": ["memory:a"]}
        bench = await site.bench(*"abc", plugins={"p": static})
        await bench.until("a")
        await bench.manager.reload({"plugins": {"p": {**static, "endpoints": ["memory:b"]}}})
        await bench.until("b")


async def test_own_endpoints_hold_until_the_resolver_has_told(anyio_backend: object) -> None:
    """
    And no longer, also after a reload that says them again.
    """
    async with Site() as site:
        bench = await site.bench(*"ac", plugins={"p": {**PLAIN, "endpoint": "memory:c"}})
        assert "c" == await bench.who()
        await bench.manager.reload({"plugins": {"p": {**PLAIN, "endpoint": "memory:c", "priority": 2}}})
        assert "c" == await bench.who()
        bench.told.say("a")
        await bench.until("a")
        await bench.manager.reload({"plugins": {"p": {**PLAIN, "endpoint": "memory:c"}}})
        assert "a" == await bench.who()


async def test_plugins_with_resolvers_come_and_go(anyio_backend: object) -> None:
    """
    By `register` and `enabled`, after what they require, and nobody is asked for those that are not there.
    """
    later = {**PLAIN, "requires": ["q"]}
    async with Site() as site:
        bench = await site.bench(*"ab", plugins={"p": later, "q": {"endpoint": "memory:b"}})
        bench.told.say("a")
        await bench.until("a")
        off = await bench.manager.reload(
            {"plugins": {"p": {**later, "enabled": False}, "q": {"endpoint": "memory:b"}}}, ReloadOptions()
        )
        await anyio.lowlevel.checkpoint()
        ended = bench.told.ended
        await bench.manager.reload({"plugins": {"p": later, "q": {"endpoint": "memory:b"}}})
        await bench.until("a")
        again = bench.manager.config

    assert ("stopped", 1) == (off.plugins["p"].action, ended)
    assert () == again.plugins["p"].endpoints


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (
            {"method": "nosuch"},
            NotInstalled,
            'plugins.p.resolver.method: resolver "nosuch" is provided by no',
        ),
        ({"method": "told", "wrod": "x"}, ConfigError, "plugins.p.resolver.wrod: unknown key"),
        ({"method": "told", "word": 1}, ConfigError, "plugins.p.resolver.word"),
        ({"method": "told", "word": "bad"}, ConfigError, "plugins.p.resolver: a bad word"),
        ({"method": "told", "priority": 2}, ConfigError, "plugins.p.resolver.priority: belongs in plugins.p"),
        ({"word": "x"}, ConfigError, "plugins.p.resolver.method: missing"),
        ("told", ConfigError, "plugins.p.resolver"),
    ],
)
def test_a_wrong_table_is_refused_with_its_path(table: object, error: type[Exception], message: str) -> None:
    """
    Before anything is started.
    """
    with pytest.raises(error, match=message.replace(".", r"\.")):
        Manager({"plugins": {"p": {"resolver": table}}}, extensions=[Told()])
