"""
Reloads: what is kept, what is new, what happens when something fails, who is told. In virtual time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from remora import (
    Cancelled,
    ConfigError,
    DrainTimeout,
    Endpoint,
    Manager,
    ManagerClosed,
    PluginConfig,
    PluginDisabled,
    PluginNotFound,
    ReloadOptions,
    ReloadReport,
    RemoraError,
    TransportSpec,
    Unavailable,
    hookimpl,
)
from remora.reload import Action
from remora.types import (
    DrainEnded,
    DrainProgressed,
    Event,
    InstanceReady,
    InstanceStopped,
    ReloadApplied,
    ReloadRolledBack,
    ReloadStarted,
    RequirementLost,
    RequirementMet,
)
from tests.core.hosts import NoOptions, PlainChannel, Stranger, Text, bench
from tests.core.reload.reloads import STRATEGIES, actions, held, reload
from tests.core.scripts import endpoint, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


async def test_a_handle_outlives_every_change(anyio_backend: object) -> None:
    """
    It calls what is there now, says so when nothing is, and works again when it is back.
    """
    async with stage(table("a")) as host:
        plugin, answers = host.manager.plugin("p", Text, Text), list[object]()

        async def ask() -> None:
            try:
                answers.append((await plugin.execute(Text("x"))).text)
            except RemoraError as error:
                answers.append(type(error))

        for tables in [(table("b"),), (), (table("b", enabled=False),), (table("a"),)]:
            await reload(host, *tables)
            await ask()

        assert ["x", PluginNotFound, PluginDisabled, "x"] == answers
        assert (1, 1) == (len(host["a"].calls), len(host["b"].calls))


async def test_a_handle_takes_names_and_codec_from_the_configuration_in_force(anyio_backend: object) -> None:
    """
    As far as it does not fix them itself.
    """
    pytest.importorskip("remora_codecs")
    async with stage(table(service="one", method="m")) as host:
        free = host.manager.plugin("p", Text, Text)
        fixed = host.manager.plugin("p", Text, Text, service="own", method="mine")
        await reload(host, table(service="two", method="n", codec="msgpack"))
        await free.execute(Text("x"))
        await fixed.execute(Text("x"))

        seen = [(call.service, call.method, call.content_type) for _, call in host["a"].calls]
        assert [("two", "n", "application/msgpack"), ("own", "mine", "application/msgpack")] == seen


async def test_the_smallest_action_is_taken(anyio_backend: object) -> None:
    """
    For each plugin; what stays keeps its connection.
    """
    before = {"same": table("a"), "noted": table("b"), "tuned": table("c"), "moved": table("d"), "gone": table("e")}
    after = {
        "same": table("a"),
        "noted": table("b", labels={"team": "x"}),
        "tuned": table("c", retry={"max_retries": 5}),
        "moved": table("f"),
        "new": table("g"),
    }
    async with stage(off=table("h", enabled=False), **before) as host:
        report = await reload(host, off=table("h"), **after)

        expected = {"off": "started", "same": "unchanged", "noted": "noted", "tuned": "retuned", "moved": "replaced"}
        assert {**expected, "gone": "removed", "new": "added"} == actions(report)
        assert (True, False, None) == (report.applied, report.rolled_back, report.error)
        assert ("retry.max_retries",) == report.plugins["tuned"].keys
        assert (("script:f",), ("script:d",)) == (report.plugins["moved"].opened, report.plugins["moved"].closed)
        assert [1] * 8 == [host[each].opened for each in "abcdefgh"]
        assert list({"off": 0, **after}) == host.manager.list_plugins()


async def test_instances_at_other_endpoints_are_kept(anyio_backend: object) -> None:
    """
    Also when their weights change, and when there are more of them.
    """
    async with stage(table([endpoint("a"), endpoint("b")])) as host:
        await reload(host, table([endpoint("c"), endpoint("b", weight=5)]))
        report = await reload(host, table([endpoint("b", weight=7)], instances=2))

        assert (1, 2, 1) == tuple(host[each].opened for each in "abc")
        assert (("script:b#2",), ("script:b#1",)) == (report.plugins["p"].opened, report.plugins["p"].kept)
        assert [7, 7] == [each.weight for each in host.route().instances]


@pytest.mark.fault(50)
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_no_call_fails_while_the_endpoint_changes(strategy: Any, anyio_backend: object) -> None:
    """
    Neither those under way nor those that come; each arrives once.
    """
    async with stage(table("abc", connection={"max_connections": 2})) as host:
        for each in "abcdef":
            host[each].latency, host[each].start_time = 0.3, 0.5
        ends: list[RemoraError | None] = []

        async def load() -> None:
            ends.extend(await host.traffic(5, 10))

        async with anyio.create_task_group() as group:
            group.start_soon(load)
            await anyio.sleep(1)
            report = await reload(host, table("def"), options=ReloadOptions(strategy=strategy))

        assert report.applied
        assert [None] * 50 == ends
        assert 50 == sum(len(host[each].calls) for each in "abcdef")
        assert 0 < sum(len(host[each].calls) for each in "def")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("trouble", ["refusing", "ill"])
async def test_what_fails_changes_nothing(strategy: Any, trouble: str, anyio_backend: object) -> None:
    """
    Also not for the plugins that did not fail; and it is reported with its cause.
    """
    async with stage(table("abc", health_check={"enabled": True}), q=table("q")) as host:
        host["f"].is_refusing = trouble == "refusing"
        host["f"].health = None if trouble == "ill" else host["f"].health
        changed = table("def", health_check={"enabled": True}), table("r", retry={"max_retries": 9})
        options = ReloadOptions(strategy=strategy, health_check_timeout=7, max_concurrent_reloads=1)
        report = await reload(host, changed[0], q=changed[1], n=table("n"), options=options)

        assert (False, True) == (report.applied, report.rolled_back)
        assert isinstance(report.error, Unavailable)
        assert "within 7 s: " in report.error.message
        assert report.error is report.plugins["p"].error
        assert {"unchanged"} == set(actions(report).values())
        assert [None] * 6 == await host.outcomes(6)
        assert [None] == await host.outcomes(1, "q")
        assert ["script:a", "script:b", "script:c"] == sorted(each.name for each in host.route().instances)
        assert (["p", "q"], 0) == (host.manager.list_plugins(), host.route("q").config.retry.max_retries)
        assert report.error.message in host.events(ReloadRolledBack)[0].causes["p"]
        assert (await reload(host, table("de"), q=table("q"), options=options)).applied


async def test_without_rollback_what_can_be_applied_is(anyio_backend: object) -> None:
    """
    The rest stays as it was, and the next reload takes it up.
    """
    options = ReloadOptions(rollback_on_failure=False, health_check_timeout=1)
    async with stage(table("a"), q=table("q")) as host:
        host["b"].is_refusing = True
        report = await reload(host, table("b"), q=table("r"), options=options)

        assert (False, False, "replaced") == (report.applied, report.rolled_back, actions(report)["q"])
        assert ["script:a", "script:r"] == [host.route(each).instances[0].name for each in "pq"]
        assert ("p",) == host.events(ReloadApplied)[0].failed
        host["b"].is_refusing = False
        assert (await reload(host, table("b"), q=table("r"), options=options)).applied
        assert "script:b" == host.route().instances[0].name


@pytest.mark.fault(48)
async def test_a_wrong_configuration_is_refused_before_anything_is_done(anyio_backend: object) -> None:
    """
    With all of its problems.
    """
    async with stage(table("a")) as host:
        with pytest.raises(ConfigError) as caught:
            await host.manager.reload({"plugins": {"p": {"endpoint": "script:b", "instances": 0, "retry": {"x": 1}}}})

        assert 2 == len(caught.value.problems)
        assert not host.events(ReloadStarted)
        assert "script:a" == host.route().instances[0].name


async def test_policies_keep_what_they_know(anyio_backend: object) -> None:
    """
    An open breaker stays open, a bucket empty, a connection up.
    """
    breaker = {"failure_threshold": 1, "min_request_threshold": 1, "recovery_timeout": 60}
    limit = {"enabled": True, "requests_per_second": 0.001, "burst_size": 5}
    async with stage(table("a", circuit_breaker=breaker), q=table("q", rate_limit=limit)) as host:
        host["a"].failure = lambda: Unavailable("ouch")
        await host.outcome()
        await host.outcomes(5, "q")
        await reload(
            host,
            table("a", circuit_breaker={**breaker, "success_threshold": 1}),
            q=table("q", rate_limit={**limit, "mode": "wait"}),
        )

        assert "open" == host.route().instances[0].breaker.state
        assert pytest.approx(0, abs=0.1) == host.route("q").bucket.level
        assert (1, 1) == (host["a"].opened, host["q"].opened)


async def test_of_waiting_reloads_only_the_newest_is_done(anyio_backend: object) -> None:
    """
    The others say that they were superseded.
    """
    async with stage(table("a")) as host:
        host["b"].start_time = 1.0
        reports: dict[str, ReloadReport] = {}

        async def one(address: str) -> None:
            reports[address] = await reload(host, table(address))

        async with anyio.create_task_group() as group:
            for address in "bcde":
                group.start_soon(one, address)
                await anyio.sleep(0.01)

        assert {"b": (True, False), "c": (False, True), "d": (False, True), "e": (True, False)} == {
            address: (each.applied, each.superseded) for address, each in reports.items()
        }
        assert "script:e" == host.route().instances[0].name
        assert (0, 0) == (host["c"].opened, host["d"].opened)
        assert "nothing: a newer reload came while it waited for its turn" == reports["c"].summary


async def test_reload_whose_time_is_over_says_what_it_waited_for(anyio_backend: object) -> None:
    """
    In the error, and in the summary.
    """
    async with stage(table("a")) as host:
        host["b"].is_refusing = True
        report = await host.manager.reload({"plugins": {"p": table("b")}}, ReloadOptions(graceful_timeout=1))

        assert report.rolled_back
        assert "not in force within 1 s: connection refused" in str(report.error)
        assert f"nothing, since it was rolled back: {report.error}" == report.summary


async def test_a_reload_goes_on_when_its_caller_is_cancelled(anyio_backend: object) -> None:
    """
    Half a reload is never left behind.
    """
    async with stage(table("a")) as host:
        host["b"].start_time = 1.0
        with anyio.move_on_after(0.5):
            await reload(host, table("b"))
        await anyio.sleep(1)

        assert "script:b" == host.route().instances[0].name


async def test_calls_that_wait_for_a_start_go_to_the_new_generation(anyio_backend: object) -> None:
    """
    They were never bound to the old one; nor are those in its queue.
    """
    async with stage(table("a", connection={"max_connections": 1})) as host:
        host["a"].is_hanging = True
        async with held(host, 3, timeout=5) as ends:
            await reload(host, table("b"), options=ReloadOptions(drain_timeout=0))

        assert {type(None): 2, Cancelled: 1} == Counter(map(type, ends))
        assert 2 == len(host["b"].calls)


async def test_calls_that_do_not_end_in_time_are_cancelled_or_made_again(anyio_backend: object) -> None:
    """
    Again where they may be made twice.
    """
    retry = {"max_retries": 1}
    async with stage(table("a", retry=retry)) as host:
        host["a"].is_hanging = True
        async with held(host, 1) as once, held(host, 2, idempotent=True) as again:
            started = host.now
            report = await reload(host, table("b", retry=retry), options=ReloadOptions(drain_timeout=3))

            assert (3, pytest.approx(3)) == (report.plugins["p"].cancelled, host.now - started)

        assert ([Cancelled], [None, None]) == ([type(each) for each in once], again)
        assert "still under way when the time for draining was over" in str(once[0])


async def test_draining_is_told_step_by_step(anyio_backend: object) -> None:
    """
    Of the instance that goes, and of the plugin that is taken out.
    """
    async with stage(table("a"), q=table("q")) as host:
        host["a"].latency = host["q"].latency = 1.0
        async with held(host), held(host), held(host, 1, "q"):
            await reload(host, table("b"))

        told = [(each.plugin, each.instance, each.remaining) for each in host.events(DrainProgressed)]
        ended = {(each.plugin, each.instance, each.total, each.remaining) for each in host.events(DrainEnded)}
        assert [("p", "script:a", 2), ("p", "script:a", 1), ("p", "script:a", 0)] == [
            each for each in told if each[0] == "p"
        ]
        assert {("p", "script:a", 2, 0), ("q", "", 1, 0)} == ended


async def test_forced_draining_ends_calls_wherever_they_are(anyio_backend: object) -> None:
    """
    With the plugin, in its queue, or waiting to be made again.
    """
    async with stage(table("a", connection={"max_connections": 1}, retry={"max_retries": 3})) as host:
        host["a"].is_hanging = True
        seen: list[int] = []
        async with held(host, 3) as ends:
            with pytest.raises(DrainTimeout) as caught:
                await host.manager.drain("p", 2, force=True, progress=lambda each: seen.append(each.remaining))

        assert [Cancelled] * 3 == [type(each) for each in ends]
        assert (0, 3) == (caught.value.remaining, caught.value.cancelled)
        assert 3 == seen[0]
        host["a"].is_hanging = False
        host.manager.restart("p")
        assert await host.outcome() is None


async def test_a_shutdown_that_is_hurried_waits_for_nobody(anyio_backend: object) -> None:
    """
    The calls end with an error of its own kind.
    """
    ends: list[RemoraError | None] = []
    async with anyio.create_task_group() as group:
        async with stage(table("a")) as host:
            host["a"].is_hanging = True

            async def call() -> None:
                ends.append(await host.outcome())

            async def hurry() -> None:
                await anyio.sleep(1)
                host.manager.hurry()

            group.start_soon(call)
            group.start_soon(hurry)
            await anyio.sleep(0.1)
            started = host.now

        assert pytest.approx(started + 0.9) == anyio.current_time()

    assert [Cancelled] == [type(each) for each in ends]


async def test_plugins_start_after_what_they_require_and_stop_before(anyio_backend: object) -> None:
    """
    Whatever the order in the file.
    """

    def slow(transport: Any) -> None:
        transport.plugin("db").start_time = 2.0

    tables = {"web": table(["web"], requires=["app"]), "app": table(["app"], requires=["db"]), "db": table(["db"])}
    async with stage(script=slow, **tables) as host:
        error = await host.outcome("web", timeout=1)
        assert error is not None
        assert "it waits for 'app', which it requires" in error.message
        assert await host.outcome("web") is None
        recorder = host.recorder

    ready = [each.plugin for each in recorder.events if isinstance(each, InstanceReady)]
    stopped = [each.plugin for each in recorder.events if isinstance(each, InstanceStopped)]
    assert (["db", "app", "web"], ["web", "app", "db"]) == (ready, stopped)


async def test_dependants_are_told_when_what_they_require_is_away(anyio_backend: object) -> None:
    """
    They go on themselves.
    """
    async with stage(table("a", requires=["db"]), db=table(["db"])) as host:
        await host.call()
        host["db"].is_refusing = True
        host["db"].crash()
        await anyio.sleep(1)
        assert await host.outcome() is None
        host["db"].is_refusing = False
        await anyio.sleep(10)

        lost, met = host.events(RequirementLost), host.events(RequirementMet)
        assert [("p", "db", "the plugin is gone")] == [(each.plugin, each.requirement, each.cause) for each in lost]
        assert [("p", "db")] == [(each.plugin, each.requirement) for each in met]


async def test_shutdown_takes_nothing_away_from_dependants(anyio_backend: object) -> None:
    """
    They have been closed before.
    """
    async with stage(table("a", requires=["db"]), db=table(["db"])) as host:
        await host.call()
        recorder = host.recorder

    assert [each.plugin for each in recorder.events if isinstance(each, InstanceStopped)] == ["p", "db"]
    assert not any(isinstance(each, RequirementLost) for each in recorder.events)


@pytest.mark.parametrize(
    ("requires", "problem"),
    [
        ({"p": ["q"]}, "plugins.p.requires: expected plugins that are configured, got 'q'"),
        ({"p": ["p"]}, "plugins.p.requires: a plugin cannot require itself"),
        ({"p": ["off"], "off": None}, "plugins.p.requires: 'off' is switched off with enabled = false"),
        ({"p": ["q"], "q": ["r"], "r": ["p"]}, "must not form a circle: p requires q requires r requires p"),
    ],
)
async def test_wrong_requirements_are_refused_by_name(requires: Any, problem: str, anyio_backend: object) -> None:
    """
    And nothing changes.
    """
    plugins = {
        name: table("a", enabled=False) if needs is None else table("a", requires=needs)
        for name, needs in requires.items()
    }
    async with stage(table("a")) as host:
        with pytest.raises(ConfigError, match=problem):
            await host.manager.reload({"plugins": plugins})


async def test_all_wrong_requirements_are_named_at_once(anyio_backend: object) -> None:
    """
    Every circle, too, also beside what has another problem.
    """
    requires = {"a": ["b"], "b": ["a"], "c": ["d", "c"], "d": ["e"], "e": ["c", "a"], "f": ["nobody"]}
    with pytest.raises(ConfigError) as caught:
        Manager({"plugins": {name: table("a", requires=needs) for name, needs in requires.items()}})

    assert list(caught.value.problems) == [
        "plugins.c.requires: a plugin cannot require itself",
        "plugins.f.requires: expected plugins that are configured, got 'nobody'",
        "plugins.a.requires: must not form a circle: a requires b requires a",
        "plugins.c.requires: must not form a circle: c requires d requires e requires c",
    ]


async def test_what_is_required_cannot_be_taken_out(anyio_backend: object) -> None:
    """
    The message names those that require it.
    """
    async with stage(table("a", requires=["db"]), db=table(["db"])) as host:
        with pytest.raises(ConfigError, match="plugin 'db': it is required by p"):
            await host.manager.unregister("db")

        assert await host.outcome("db") is None


async def test_registering_is_all_or_nothing(anyio_backend: object) -> None:
    """
    A plugin that does not get ready is not there.
    """
    async with stage(table("a")) as host:
        host["q"].is_refusing = True
        with pytest.raises(Unavailable, match="not ready and healthy within 10 s: connection refused"):
            await host.manager.register(PluginConfig(name="q", endpoint="script:q"))
        assert ["p"] == host.manager.list_plugins()
        host["q"].is_refusing = False
        await host.manager.register(PluginConfig(name="q", endpoint="script:q", requires=("p",)))

        assert await host.outcome("q") is None
        assert Action.ADDED == host.manager.plan({"plugins": {"z": table("z")}}).plugins["z"].action


async def test_only_one_of_many_registrations_of_a_name_wins(anyio_backend: object) -> None:
    """
    The others are told.
    """
    errors: list[str] = []
    async with stage(table("a")) as host:

        async def register() -> None:
            try:
                await host.manager.register(PluginConfig(name="q", endpoint="script:q"))
            except ConfigError as error:
                errors.append(str(error))

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(register)

        assert ["plugin 'q': a plugin named 'q' is there already"] * 49 == errors
        assert 1 == host["q"].opened


async def test_events_tell_of_a_reload(anyio_backend: object) -> None:
    """
    Its start, the new instance before the switch, and the old one after it.
    """
    async with stage(table("a"), q=table("q")) as host:
        await reload(host, table("b"), q=table("q"))

        kinds: list[type[Event]] = [ReloadStarted, InstanceReady, ReloadApplied, InstanceStopped]
        assert kinds == [type(each) for each in host.recorder.events if isinstance(each, tuple(kinds))][2:]
        assert (("p",), ("p",)) == (host.events(ReloadStarted)[0].plugins, host.events(ReloadApplied)[0].plugins)


async def test_a_manager_that_ends_ends_its_reload(anyio_backend: object) -> None:
    """
    Who waits for it is told why.
    """
    errors: list[RemoraError] = []
    async with anyio.create_task_group() as group:
        async with stage(table("a")) as host:
            host["b"].start_time = 100.0

            async def one() -> None:
                with pytest.raises(RemoraError) as caught:
                    report = await reload(host, table("b"), options=ReloadOptions(health_check_timeout=50))
                    assert report.error is not None
                    raise report.error
                errors.append(caught.value)

            group.start_soon(one)
            await anyio.sleep(1)

    assert [ManagerClosed] == [type(each) for each in errors]


async def test_defaults_and_log_level_take_effect(anyio_backend: object) -> None:
    """
    Defaults are part of the plugins that they hold for.
    """
    async with stage(table("a")) as host:
        bare = {"endpoint": "script:a"}
        await host.manager.reload({"plugins": {"p": bare}})
        report = await host.manager.reload(
            {"log_level": "error", "defaults": {"retry": {"max_retries": 7}}, "plugins": {"p": bare}}
        )

        assert (("log_level",), ("retry.max_retries",)) == (report.keys, report.plugins["p"].keys)
        assert 7 == host.route().config.retry.max_retries
        assert logging.ERROR == logging.getLogger("remora").level
        await host.manager.reload({"plugins": {"p": bare}})


async def test_a_strangers_transport_is_told_of_the_keys_that_it_looks_at(anyio_backend: object) -> None:
    """
    Its instances are made anew when one of them changes, whatever it means to others.
    """

    @dataclass(frozen=True)
    class Options:
        labels: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def opens(attempt: int) -> AsyncIterator[PlainChannel]:
        yield PlainChannel()

    stranger = Stranger(opens)

    class Looking:
        @hookimpl
        def remora_register_transports(self) -> list[TransportSpec[Options]]:
            build: Any = lambda _: stranger  # noqa: E731
            return [TransportSpec("looking", ("look",), Options, build)]

    async with bench(Looking(), beside={"l": {"endpoint": "look:x"}}) as b:
        await b.call()
        tables = {"p": {"endpoint": "memory:p"}, "l": {"endpoint": "look:x", "labels": {"a": "b"}}}
        report = await b.manager.reload({"plugins": tables})

        assert {"p": "unchanged", "l": "replaced"} == actions(report)
        assert 2 == stranger.attempts


async def test_plugins_that_stay_the_same_are_not_checked_again() -> None:
    """
    So what a reload costs depends on what it changes.
    """
    checked: list[str] = []

    class Counted:
        @hookimpl
        def remora_register_transports(self) -> list[TransportSpec[Any]]:
            return [TransportSpec("counted", ("counted",), NoOptions, Stranger, check=self._check)]

        def _check(self, endpoint: Endpoint) -> None:
            checked.append(endpoint.address)

    def tables(**labels: str) -> dict[str, Any]:
        return {
            name: {"endpoint": f"counted:{name}", "start": "lazy", "labels": {"is": labels.get(name, "old")}}
            for name in ("one", "two", "three")
        }

    async with Manager({"plugins": tables()}, extensions=[Counted()]) as manager:
        checked.clear()
        await manager.reload({"plugins": tables(two="new")})
        once = list(checked)
        await manager.reload({"plugins": tables(two="new"), "security": {"policy": "strict"}})

    assert {"two"} == set(once)
    assert {"one", "two", "three"} == set(checked)
