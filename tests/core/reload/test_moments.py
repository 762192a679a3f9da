"""
Reloads at bad moments: while plugins wait for each other, while calls hang, while instances break. In virtual time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import anyio
import pytest

from remora import (
    Call,
    Cancelled,
    ConfigError,
    ConnectionLost,
    DrainTimeout,
    HealthStatus,
    Manager,
    ManagerClosed,
    PluginConfig,
    ReloadOptions,
    RemoraError,
    Reply,
    Status,
    TransportSpec,
    Unavailable,
    hookimpl,
)
from remora._reload._detached import Detached
from remora.config import structure_config
from remora.testing import ScriptedTransport
from tests.core.hosts import NoOptions, PlainChannel, Stranger, Text, strange
from tests.core.reload.reloads import held, reload
from tests.core.scripts import stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


def waiting(transport: ScriptedTransport) -> None:
    """
    Take the plugin at `away` away, so that those that require it wait.
    """
    transport.plugin("away").is_refusing = True


@pytest.mark.parametrize("change", ["instances", "endpoint"])
async def test_a_plugin_that_waits_is_opened_once_after_a_reload(change: str, anyio_backend: object) -> None:
    """
    What the reload has opened already is not opened again when the plugin that it waited for is up.
    """
    after = {"instances": {"instances": 2}, "endpoint": {"endpoints": ["script:c"]}}[change]
    async with stage(base=table(["away"]), p=table("b", requires=["base"]), script=waiting) as host:
        report = await reload(host, base=table(["away"]), p=table("b", requires=["base"], **after))
        assert report.applied
        assert 0 == host["b"].opened + host["c"].opened
        host["away"].is_refusing = False
        await anyio.sleep(60)

        assert len(host.route().instances) == host["b"].opened + host["c"].opened
        assert await host.call() == "hello"


@pytest.mark.parametrize("way", ["start", "reload", "register"])
async def test_a_new_plugin_waits_for_what_it_requires_however_it_comes(way: str, anyio_backend: object) -> None:
    """
    With what depends on it in turn. It is no fault of the change, which is not undone; calls wait in their deadlines.
    """
    tables = {"base": table(["away"]), "p": table("b", requires=["base"]), "q": table("c", requires=["p"])}
    at_first = tables if way == "start" else {"base": tables["base"]}
    async with stage(script=waiting, **at_first) as host:
        if way == "reload":
            report = await reload(host, **tables)
            assert (True, "added", "added") == (report.applied, *(report.plugins[name].action for name in "pq"))
        if way == "register":
            whole = structure_config({"plugins": tables}).plugins
            for name in "pq":
                await host.manager.register(whole[name])
        for name, requirement in (("p", "base"), ("q", "p")):
            error = await host.outcome(name, timeout=1)
            assert error is not None
            assert f"it waits for '{requirement}', which it requires" in error.message
        assert 0 == host["b"].opened + host["c"].opened
        host["away"].is_refusing = False

        assert (None, None) == (await host.outcome("q", timeout=60), await host.outcome("p"))
        assert (1, 1) == (host["b"].opened, host["c"].opened)


async def test_a_new_plugin_does_not_wait_for_what_comes_with_it(anyio_backend: object) -> None:
    """
    Or is replaced in the same reload, by what is up.
    """
    async with stage(base=table(["away"]), script=waiting) as host:
        tables = {"base": table(["a"]), "other": table(["d"]), "p": table("b", requires=["base", "other"])}
        assert (await reload(host, **tables)).applied

        assert await host.call(timeout=1) == "hello"


async def test_what_fails_in_a_reload_that_nobody_waits_for_is_logged(
    anyio_backend: object, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Whether it is an error that is foreseen or not; whoever waits is told, and nothing is logged then.
    """
    errors: list[Exception] = [RuntimeError("a bug"), Unavailable("nobody there", sent=False), ManagerClosed("over")]
    go = anyio.Event()

    async def fail(error: Exception) -> None:
        await go.wait()
        raise error

    async with anyio.create_task_group() as group:
        for error in errors:
            with anyio.move_on_after(1):
                await Detached(partial(fail, error)).done_in(group)
        go.set()
    async with anyio.create_task_group() as group:
        with pytest.raises(RuntimeError):
            await Detached(partial(fail, errors[0])).done_in(group)

    logged = sorted((each.getMessage(), bool(each.exc_info)) for each in caplog.records if each.levelname == "ERROR")
    assert [
        ("a change whose caller was cancelled has failed", True),
        ("a change whose caller was cancelled has failed: nobody there", False),
    ] == logged


async def test_reloads_that_the_end_of_the_manager_overtakes_say_so(anyio_backend: object) -> None:
    """
    Those that are being done, those that wait for their turn, and those that come later.
    """
    errors: list[str] = []
    async with anyio.create_task_group() as group:
        async with stage(table("a")) as host:
            host["slow"].start_time = 1000.0

            async def move(address: str) -> None:
                with pytest.raises(ManagerClosed) as caught:
                    await reload(host, table([address]))
                errors.append(caught.value.message)

            async def add() -> None:
                with pytest.raises(ManagerClosed) as caught:
                    await host.manager.register(PluginConfig(name="q", endpoint="script:q"))
                errors.append(caught.value.message)

            group.start_soon(move, "slow")
            await anyio.sleep(1)
            group.start_soon(add)
            group.start_soon(move, "b")
            await anyio.sleep(1)
        await move("b")

    assert ["the manager is shut down"] * 4 == errors


async def test_a_plugin_waits_no_longer_for_what_it_does_not_require_any_more(anyio_backend: object) -> None:
    """
    The reload that drops the requirement lets it start.
    """
    async with stage(base=table(["away"]), p=table("b", requires=["base"]), script=waiting) as host:
        await reload(host, base=table(["away"]), p=table("b"))

        assert await host.call(timeout=5) == "hello"


@dataclass(eq=False)
class Native:
    """
    A channel that ends its calls when it is closed, and only then.
    """

    closed: anyio.Event = field(default_factory=anyio.Event)
    calls: int = 0

    async def call(self, call: Call) -> Reply:
        """
        Wait for the end of the channel.
        """
        self.calls += 1
        await self.closed.wait()
        raise ConnectionLost("the channel is closed")

    async def probe(self) -> HealthStatus:
        """
        Always well.
        """
        return HealthStatus(status=Status.HEALTHY)


async def test_forced_draining_ends_calls_over_channels_with_deadlines_of_their_own(anyio_backend: object) -> None:
    """
    By closing the channels; a restart opens new ones.
    """
    channels: list[Native] = []

    @asynccontextmanager
    async def opens(number: int) -> AsyncIterator[Native]:
        channels.append(channel := Native())
        try:
            yield channel
        finally:
            channel.closed.set()

    ends: list[RemoraError] = []
    async with Manager(strange(), extensions=[Stranger(opens, native_deadline=True)]) as manager:
        plugin = manager.plugin("p", Text, Text)

        async def ask() -> None:
            with pytest.raises(RemoraError) as caught:
                await plugin.execute(Text(), idempotent=True, timeout=1000)
            ends.append(caught.value)

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.sleep(1)
            with pytest.raises(DrainTimeout) as caught:
                await manager.drain("p", 1, force=True)
            await anyio.sleep(1)

            assert 1 == caught.value.cancelled
            assert [Cancelled] == [type(each) for each in ends]
            assert 0 == manager.active_requests("p")
        manager.restart("p")
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.sleep(1)

            assert [1, 1] == [channel.calls for channel in channels]
            with pytest.raises(DrainTimeout):
                await manager.drain("p", 1, force=True)


async def test_the_limit_is_what_it_was_after_forced_draining_and_a_restart(anyio_backend: object) -> None:
    """
    Although it was lifted to let those in the queue go.
    """
    async with stage(table(connection={"max_connections": 1})) as host:
        host["a"].is_hanging = True
        async with held(host, 3):
            with pytest.raises(DrainTimeout):
                await host.manager.drain("p", 1, force=True)
        host["a"].is_hanging, host["a"].latency, host["a"].most_active = False, 1.0, 0
        host.manager.restart("p")
        await host.at_once(3)

        assert 1 == host["a"].most_active


async def test_an_instance_that_breaks_while_it_is_drained_is_not_waited_for(anyio_backend: object) -> None:
    """
    Its calls end later than its connection; the last of them ends the draining.
    """
    lost, left = anyio.Event(), anyio.Event()

    class Slow(Native):
        async def call(self, call: Call) -> Reply:
            await left.wait()
            raise ConnectionLost("it is gone")

        async def wait_closed(self) -> RemoraError | None:
            await lost.wait()
            return None

    @asynccontextmanager
    async def opens(number: int) -> AsyncIterator[Native]:
        yield Slow() if number == 1 else Native()

    async with Manager(strange(), extensions=[Stranger(opens, schemes=("strange", "other"))]) as manager:
        plugin = manager.plugin("p", Text, Text)

        async def ask() -> None:
            with pytest.raises(RemoraError):
                await plugin.execute(Text(), timeout=10_000)

        async def move() -> None:
            options = ReloadOptions(drain_timeout=1000)
            await manager.reload({"plugins": {"p": {"endpoint": "other:p"}}}, options)
            ended.append(anyio.current_time())

        ended: list[float] = []
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.sleep(1)
            group.start_soon(move)
            await anyio.sleep(1)
            lost.set()
            await anyio.sleep(1)
            left.set()
            last = anyio.current_time()
            await anyio.sleep(1)

        assert ended
        assert ended[0] < last + 1


async def test_a_move_that_takes_too_long_leaves_calls_their_time(anyio_backend: object) -> None:
    """
    What is being drained when `graceful_timeout` is over has the rest of `drain_timeout`.
    """
    options = ReloadOptions(strategy="rolling", max_concurrent_reloads=1, graceful_timeout=5, drain_timeout=30)
    async with stage(table(["a", "b"])) as host:
        host["a"].latency = host["b"].latency = 20
        async with held(host, 2) as ends:
            report = await reload(host, table(["c", "d"]), options=options)

            assert report.rolled_back
            assert 0 == sum(each.cancelled for each in report.plugins.values())
        assert [None, None] == ends


async def test_what_a_reload_renames_is_counted_under_its_new_name(anyio_backend: object) -> None:
    """
    And nothing is left of the old one; the reloads themselves are counted by how they ended.
    """
    async with stage(table("a")) as host:
        await host.call()
        for count in (2, 1, 2):
            await reload(host, table("a", instances=count))
            await host.outcomes(4)
            series = {
                (metric.name, point.labels[1])
                for metric in host.manager.metrics.snapshot().metrics
                for point in metric.points
                if metric.labels[:2] == ("plugin", "plugin_instance")
            }
            names = {each.name for each in host.route().instances}

            assert names == {instance for _, instance in series}
            assert names == {instance for name, instance in series if name == "remora_attempts_total"}
        host["away"].is_refusing = True
        await reload(host, table(["away"]), options=ReloadOptions(health_check_timeout=1))

        found = host.manager.metrics.snapshot()
        assert [3, 1] == [found.value("remora_reloads_total", outcome) for outcome in ("applied", "rolled_back")]


class Perishable(Stranger):
    """
    A transport that can be built only twice.
    """

    built = 0

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[NoOptions]]:
        """
        The transport.
        """
        return [replace(each, build=self._build) for each in super().remora_register_transports()]

    def _build(self, options: NoOptions) -> Any:
        self.built += 1
        if self.built > 2:
            raise ConfigError("its certificate is gone")
        return self


async def test_what_cannot_be_built_any_more_does_not_break_the_report_of_a_rollback(
    anyio_backend: object, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A reload that has closed the old instances fails, and the old transport cannot be built again.
    """

    @asynccontextmanager
    async def opens(number: int) -> AsyncIterator[PlainChannel]:
        if number > 1:
            raise Unavailable("nobody there", sent=False)
        yield PlainChannel()

    moved = strange(endpoint="strange:q", connection={"connection_timeout": 7})
    async with Manager(strange(), extensions=[Perishable(opens)]) as manager:
        await manager.plugin("p", Text, Text).execute(Text())
        report = await manager.reload(moved, ReloadOptions(strategy="recreate", health_check_timeout=1))

    assert (True, False) == (report.rolled_back, report.applied)
    assert "nobody there" in str(report.error)
    assert ["plugin 'p' cannot be what it was before the reload: plugins.p.options: its certificate is gone"] == [
        each.getMessage() for each in caplog.records if each.levelname == "ERROR"
    ]
