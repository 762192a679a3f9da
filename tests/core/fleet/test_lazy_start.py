"""
Plugins that are started by their first call, in virtual time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from remora import ConfigError, DeadlineExceeded, Endpoint, Manager, ReloadOptions, RemoraError, Unavailable
from remora.config import structure_config
from remora.types import InstanceFailed, InstanceLost, InstanceReady, Status
from tests.core.fleet.told import Told
from tests.core.hosts import Observer, PlainChannel, Stranger, Text, strange
from tests.core.scripts import Stage, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

HOUR = 3600.0


def lazy(addresses: Any = "a", **settings: Any) -> dict[str, Any]:
    """
    The table of such a plugin.
    """
    return table(addresses, start="lazy", **settings)


def opened(host: Stage, *addresses: str) -> list[int]:
    """
    How often each address was connected to.
    """
    return [host[each].opened for each in addresses]


async def test_lazy_plugin_is_started_by_its_first_call(anyio_backend: object) -> None:
    """
    With all of its instances, once.
    """
    async with stage(lazy("ab")) as host:
        await anyio.sleep(HOUR)
        assert [0, 0] == opened(host, "a", "b")
        assert "hello" == await host.call()
        await host.outcomes(10)

        assert [1, 1] == opened(host, "a", "b")


async def test_health_of_a_lazily_started_plugin_is_unknown_and_never_offline(anyio_backend: object) -> None:
    """
    However long nobody calls it; asking for its health does not start it.
    """
    async with stage(lazy(health_check={"enabled": True})) as host:
        for _ in range(10):
            await anyio.sleep(HOUR)
            health = (await host.manager.health())["p"]
            assert (Status.UNKNOWN, "it is started by its first call") == (health.status, health.message)
        figures = host.manager.observability().plugin_metrics["p"]
        assert ("dormant", 0, []) == (figures.instances["script:a"].state, host["a"].opened, host["a"].probes)
        await host.call()
        await anyio.sleep(1)

        assert Status.HEALTHY == (await host.manager.health())["p"].status


async def test_plugin_that_waits_for_its_first_call_does_not_speak_against_the_host(anyio_backend: object) -> None:
    """
    Nor does it hide that another one is ill.
    """
    async with stage(lazy(), q=table("q", health_check={"enabled": True})) as host:
        assert Status.HEALTHY == (await host.manager.overall_health()).status
        host["q"].is_refusing = True
        host["q"].crash()
        await anyio.sleep(10)
        overall = await host.manager.overall_health()

        assert (Status.UNHEALTHY, "q is offline") == (overall.status, overall.message)


async def test_lazy_start_has_a_deadline_of_its_own_and_that_of_the_call(anyio_backend: object) -> None:
    """
    Whichever is earlier; the start goes on when the call that asked for it is over.
    """
    async with stage(lazy(connection={"connection_timeout": 4})) as host:
        host["a"].start_time = 3
        assert isinstance(await host.outcome(timeout=1), DeadlineExceeded)
        await anyio.sleep(2.1)
        assert await host.outcome(timeout=0.1) is None

    async with stage(lazy(connection={"connection_timeout": 4})) as host:
        host["a"].start_time, started = HOUR, host.now
        error = await host.outcome(timeout=100)

        assert isinstance(error, Unavailable)
        assert "not ready after 5 s" in str(error)
        assert pytest.approx(5) == host.now - started


async def test_lazy_plugin_that_cannot_start_is_a_crash_loop_like_any_other(anyio_backend: object) -> None:
    """
    It is left alone after five failures, and starts by itself when five minutes are over.
    """

    @asynccontextmanager
    async def at_last(attempt: int) -> AsyncIterator[PlainChannel]:
        if attempt <= 5:
            raise Unavailable("exits at once", sent=False)
        yield PlainChannel()

    observer, stranger = Observer(), Stranger(at_last, launches=True)
    async with Manager(strange(start="lazy"), extensions=[stranger, observer]) as manager:
        plugin = manager.plugin("p", Text, Text)
        await anyio.sleep(HOUR)
        assert 0 == stranger.attempts
        with pytest.raises(Unavailable, match="exits at once"):
            await plugin.execute(Text())
        await anyio.sleep(60)
        assert 5 == stranger.attempts
        await anyio.sleep(300)
        await plugin.execute(Text())

    kinds = [type(each) for each in observer.events if isinstance(each, InstanceLost | InstanceFailed | InstanceReady)]
    assert [*[InstanceLost] * 4, InstanceFailed, InstanceReady] == kinds


async def test_call_cancelled_while_it_starts_a_plugin_leaves_it_starting(anyio_backend: object) -> None:
    """
    The next call finds it ready.
    """
    async with stage(lazy()) as host:
        host["a"].start_time = 1
        with anyio.move_on_after(0.5):
            await host.call()
        await anyio.sleep(0.6)
        started = host.now
        await host.call()

        assert (0, [1]) == (host.now - started, opened(host, "a"))


async def test_lazy_start_starts_what_the_plugin_requires_first(anyio_backend: object) -> None:
    """
    Also when that is lazy itself; a chain of them starts in order.
    """
    chain = {"db": lazy("d"), "cache": lazy("c", requires=["db"])}
    async with stage(lazy("a", requires=["cache"]), **chain) as host:
        host["d"].start_time, host["c"].start_time, started = 2, 1, host.now
        await anyio.sleep(HOUR)
        assert [0, 0, 0] == opened(host, "d", "c", "a")
        await host.call()

        assert pytest.approx(HOUR + 3) == host.now - started
        ready = [each.plugin for each in host.events(InstanceReady)]
        assert ["db", "cache", "p"] == ready


async def test_lazy_plugin_is_started_with_an_eager_one_that_requires_it(anyio_backend: object) -> None:
    """
    Before it.
    """
    async with stage(table("a", requires=["db"]), db=lazy("d")) as host:
        await anyio.sleep(1)

        assert ["db", "p"] == [each.plugin for each in host.events(InstanceReady)]


async def test_restart_starts_a_lazy_plugin(anyio_backend: object) -> None:
    """
    An operator may want it warm; also after draining.
    """
    async with stage(lazy()) as host:
        await host.manager.drain("p", 1)
        assert [0] == opened(host, "a")
        host.manager.restart("p")
        await anyio.sleep(0.1)

        assert ([1], None) == (opened(host, "a"), await host.outcome())


async def test_lazy_plugin_can_be_registered_and_taken_out_unstarted(anyio_backend: object) -> None:
    """
    Nothing was ever opened.
    """
    async with stage(table("q")) as host:
        await host.manager.register(structure_config({"plugins": {"x": lazy("x")}}).plugins["x"])
        assert Status.UNKNOWN is (await host.manager.health())["x"].status
        await host.manager.unregister("x")

        assert ([0], ["p"]) == (opened(host, "x"), host.manager.list_plugins())


@pytest.mark.parametrize("strategy", ["graceful", "rolling", "recreate"])
async def test_reload_leaves_a_lazy_plugin_unstarted(strategy: Any, anyio_backend: object) -> None:
    """
    Its first call finds the instances of the newest configuration.
    """
    async with stage(lazy("ab")) as host:
        report = await host.manager.reload({"plugins": {"p": lazy("bc")}}, ReloadOptions(strategy=strategy))
        assert report.applied
        await anyio.sleep(HOUR)
        assert [0, 0, 0] == opened(host, "a", "b", "c")
        await host.call()

        assert [0, 1, 1] == opened(host, "a", "b", "c")


async def test_reload_to_eager_starts_what_waited_and_rolls_back_when_it_cannot(anyio_backend: object) -> None:
    """
    After which it waits for its first call as before.
    """
    async with stage(lazy("a")) as host:
        host["a"].is_refusing = True
        report = await host.manager.reload({"plugins": {"p": table("a")}})
        assert report.rolled_back
        assert "dormant" == host.route().instances[0].state
        host["a"].is_refusing = False
        report = await host.manager.reload({"plugins": {"p": table("a")}})

        assert (True, [1], Status.UNKNOWN) == (report.applied, opened(host, "a"), host.route().health().status)
        assert "ready" == host.route().instances[0].state


async def test_reload_to_lazy_stops_nothing_that_runs(anyio_backend: object) -> None:
    """
    It holds for the next start of the host.
    """
    async with stage(table("a")) as host:
        report = await host.manager.reload({"plugins": {"p": lazy("a")}})

        assert ("retuned", [1], None) == (report.plugins["p"].action, opened(host, "a"), await host.outcome())


async def test_first_call_in_the_middle_of_a_reload_is_answered(anyio_backend: object) -> None:
    """
    By what there is; what is new is opened when the reload is through.
    """
    async with stage(lazy("a"), q=table("q")) as host:
        host["r"].start_time = 5
        answered: list[RemoraError | None] = []

        async def call() -> None:
            await anyio.sleep(1)
            answered.append(await host.outcome())

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            report = await host.manager.reload({"plugins": {"p": lazy("b"), "q": table("r")}})
        answered.append(await host.outcome())

        assert (True, [None, None], [1, 1]) == (report.applied, answered, opened(host, "a", "b"))


async def test_lazy_plugin_whose_resolver_tells_other_places_stays_unstarted(anyio_backend: object) -> None:
    """
    The first call finds the places that were told last.
    """

    told = Told([Endpoint("script:a")])
    async with stage({"resolver": {"method": "told"}, "start": "lazy"}, extensions=[told]) as host:
        await anyio.sleep(HOUR)
        told.endpoints = [Endpoint("script:b")]
        told.news.set()
        await anyio.sleep(HOUR)
        assert [0, 0] == opened(host, "a", "b")
        assert ["script:b"] == [each.name for each in host.route().instances]
        await host.call()

        assert [0, 1] == opened(host, "a", "b")


async def test_lazy_plugin_that_shuts_down_unstarted_opens_nothing(anyio_backend: object) -> None:
    """
    Nor does a late call.
    """
    async with stage(lazy()) as host:
        plugin = host.manager.plugin("p", Text, Text)
    with pytest.raises(RemoraError, match="shut down"):
        await plugin.execute(Text())

    assert [0] == opened(host, "a")


def test_other_starts_are_refused_with_the_two_that_there_are() -> None:
    """
    The key is named.
    """
    with pytest.raises(ConfigError) as caught:
        structure_config({"plugins": {"p": {"endpoint": "memory:p", "start": "later"}}})

    assert 'plugins.p.start: expected "eager" or "lazy"' in caught.value.problems[0]
