"""
What operators do to a file that is more than one change: renaming, swapping, changing their mind while the last change
is still being drained, and editing while things are down. In virtual time.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from remora import Draining, ManagerClosed, PluginDisabled, PluginNotFound, ReloadOptions, RemoraError
from remora.types import InstanceReady
from tests.core.reload.reloads import STRATEGIES, actions, held, reload
from tests.core.scripts import Stage, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


def owned(host: Stage) -> set[object]:
    """
    The instances that are kept open.
    """
    return set(host.manager._fleet.entered()._owners)


def placed(host: Stage) -> set[object]:
    """
    The instances that calls may go to.
    """
    return {each for plugged in host.manager._fleet for each in plugged.route.instances}


async def test_a_plugin_that_is_renamed_answers_by_its_new_name_and_ends_its_calls(anyio_backend: object) -> None:
    """
    The old name is not there from the moment on that the new one is.
    """
    async with stage(table("a")) as host:
        host["a"].latency = 5.0
        old = host.manager.plugin("p", object, object)
        async with held(host) as ends:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: reload(host, q=table("a")))
                await anyio.sleep(1)
                assert ["q"] == host.manager.list_plugins()
                host["a"].latency = 0.0
                assert await host.call("q") == "hello"
                with pytest.raises(PluginNotFound, match="there are: q"):
                    await old.execute("x")
        assert [None] == ends

        assert 2 == host["a"].opened
        assert owned(host) == placed(host)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_two_plugins_exchange_their_endpoints_without_a_failed_call(strategy: Any, anyio_backend: object) -> None:
    """
    There and back, under load; and each answers where it is then.
    """
    ends: list[RemoraError | None] = []
    async with stage(table("a"), q=table("b")) as host:
        host["a"].latency = host["b"].latency = 0.02
        async with anyio.create_task_group() as group:
            for name in ("p", "q"):
                group.start_soon(lambda name=name: _collect(host, ends, name))
            for places in ("ba", "ab", "ba"):
                report = await reload(
                    host, table(places[0]), q=table(places[1]), options=ReloadOptions(strategy=strategy)
                )
                assert {"p": "replaced", "q": "replaced"} == actions(report)
                await anyio.sleep(0.5)
        before = len(host["a"].requests()), len(host["b"].requests())
        await host.call("p")

        assert {None} == set(ends)
        assert (before[0], before[1] + 1) == (len(host["a"].requests()), len(host["b"].requests()))
        assert owned(host) == placed(host)


async def _collect(host: Stage, ends: list[RemoraError | None], name: str) -> None:
    ends += await host.traffic(1.6, 100, name)


async def test_a_plugin_is_switched_off_and_on_while_it_is_drained(anyio_backend: object) -> None:
    """
    Each change is in force at once; the calls of every generation end, and nothing is left of any.
    """
    async with stage(table("a")) as host:
        host["a"].latency = host["b"].latency = 20.0
        async with anyio.create_task_group() as group:
            async with held(host, 2) as first:
                group.start_soon(lambda: reload(host, table("b")))
                await anyio.sleep(1)
                async with held(host, 2) as second:
                    group.start_soon(lambda: reload(host, table("b", enabled=False)))
                    await anyio.sleep(1)
                    with pytest.raises(PluginDisabled):
                        await host.call()
                    group.start_soon(lambda: reload(host, table("c")))
                    await anyio.sleep(1)
                    assert await host.call() == "hello"
                    assert 4 == host["a"].active + host["b"].active
        await anyio.sleep(60)

        assert ([None, None], [None, None]) == (first, second)
        assert (1, 1, 1) == tuple(host[each].opened for each in "abc")
        assert owned(host) == placed(host)


async def test_a_plugin_that_is_switched_off_and_on_at_once_is_there_again(anyio_backend: object) -> None:
    """
    Although the former one is still being drained; both are at the same place then.
    """
    async with stage(table("a")) as host:
        host["a"].latency = 20.0
        async with held(host) as ends:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: reload(host, table("a", enabled=False)))
                await anyio.sleep(0.1)
                group.start_soon(lambda: reload(host, table("a")))
                await anyio.sleep(0.1)
                host["a"].latency = 0.0
                assert await host.call() == "hello"
        assert [None] == ends
        assert 2 == host["a"].opened
        assert owned(host) == placed(host)


async def test_what_somebody_drains_by_hand_stays_drained_through_a_reload(anyio_backend: object) -> None:
    """
    Until the restart; a plugin that is taken out and added again begins anew.
    """
    async with stage(table("a")) as host:
        await host.manager.drain("p", 1)
        for places in ("a", "b"):
            await reload(host, table(places, labels={"x": places}))
            with pytest.raises(Draining):
                await host.call()
        host.manager.restart("p")
        assert await host.call() == "hello"
        await host.manager.drain("p", 1)
        await reload(host, q=table("a"))
        await reload(host, table("b"))

        assert await host.call() == "hello"


@pytest.mark.parametrize("change", ["another place", "another limit", "switched off", "gone"])
async def test_a_plugin_that_is_being_restarted_again_and_again_can_be_changed(
    change: str, anyio_backend: object
) -> None:
    """
    At once, without waiting for its next try, and no try is made for what is not wanted any more.
    """
    async with stage(table("a"), other=table("o")) as host:
        host["a"].is_refusing = True
        host["a"].crash()
        await anyio.sleep(60)
        tried, began = host["a"].opened, host.now
        tables = {
            "another place": {"p": table("b")},
            "another limit": {"p": table("a", connection={"max_connections": 3})},
            "switched off": {"p": table("a", enabled=False)},
            "gone": {},
        }[change]
        report = await reload(host, **tables, other=table("o"))
        assert report.applied, report.error
        assert host.now - began < 1
        host["a"].is_refusing = False
        if change.startswith("another"):
            await anyio.sleep(10)
            assert await host.call(timeout=10) == "hello"
        await anyio.sleep(60)

        assert (tried + 1 if change == "another limit" else tried) == host["a"].opened
        assert owned(host) == placed(host)


async def test_reloads_that_come_faster_than_they_can_be_done_end_with_the_newest(anyio_backend: object) -> None:
    """
    Two hundred at once, some of which cannot work, while calls go on: those that are left out say so.
    """
    ends: list[RemoraError | None] = []
    reports: list[Any] = []
    async with stage(table("a")) as host:
        host["away"].is_refusing = True
        for each in "abcd":
            host[each].start_time, host[each].latency = 0.05, 0.02

        async def one(number: int) -> None:
            place = "away" if number % 7 == 0 else "abcd"[number % 4]
            options = ReloadOptions(health_check_timeout=0.2)
            reports.append(await reload(host, table([place], labels={"n": str(number)}), options=options))

        async with anyio.create_task_group() as group:
            group.start_soon(lambda: _collect(host, ends, "p"))
            for number in range(1, 200):
                group.start_soon(one, number)
                if number % 10 == 0:
                    await anyio.sleep(0.05)
            await anyio.sleep(0.001)  # those before have asked
            await one(200)
        await anyio.sleep(60)

        assert {None} == set(ends)
        assert 200 == len(reports) == sum(each.superseded + each.applied + each.rolled_back for each in reports)
        assert 20 < sum(each.superseded for each in reports) < 200
        assert {"n": "200"} == host.route().config.labels
        assert owned(host) == placed(host)
        ready = [each.instance for each in host.events(InstanceReady)]
        assert ready.count("script:away") == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_manager_that_ends_at_any_moment_of_a_reload_leaves_nothing(
    strategy: Any, anyio_backend: object
) -> None:
    """
    Whether it has just begun, waits for what is new, or drains what is old.
    """
    for moment in (0.0, 0.1, 0.5, 1.0, 1.5, 2.5, 4.0):
        ends: list[str] = []
        async with anyio.create_task_group() as group:
            async with stage(table(["a", "b"])) as host:
                host["c"].start_time = host["d"].start_time = 1.0
                host["a"].latency = 3.0

                async def move(host: Stage = host, ends: list[str] = ends) -> None:
                    try:
                        await reload(host, table(["c", "d"]), options=ReloadOptions(strategy=strategy))
                    except ManagerClosed as error:
                        ends.append(error.message)
                    else:
                        ends.append("done")

                group.start_soon(lambda host=host: host.outcomes(1))
                await anyio.sleep(0.01)
                group.start_soon(move)
                await anyio.sleep(moment)
            assert set() == owned(host)
        assert ends in (["the manager is shut down"], ["done"])
