"""
Every key of a plugin's table takes effect by reload, as the table of effects says. What the policies' keys change is
shown in `tests/core/resilience/test_keys.py`; here are the others, and the table itself.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from remora import Manager, PluginDisabled, TransportSpec, hookimpl
from remora.config import EFFECTS, RECIPE, TOP, Effect, ManagerConfig, PluginConfig, effect_of, value_at
from tests.core.hosts import Text
from tests.core.reload.leaves import leaves
from tests.core.reload.spy import Options, Spy, builder
from tests.core.resilience.cases import CASES

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

BASIC = {"method": "basic", "username": "u"}
ROWS: dict[str, tuple[Any, Any]] = {
    "endpoint": ("spy:a", "spy:b"),
    "endpoints.url": (["spy:a"], ["spy:b"]),
    "transport": ("spy", "spook"),
    "protocol": ("jsonl", "oneshot"),
    "executable": ("one", "other"),
    "args": (["-a"], ["-b"]),
    "env": ({"LANG": "C"}, {"LANG": "D"}),
    "work_dir": ("/one", "/other"),
    "version": (">=1", ">=1.5"),
    "options": ({"own": "one"}, {"own": "other"}),
    "auth": ({**BASIC, "password": "one"}, {**BASIC, "password": "other"}),
    "connection.max_idle_connections": (3, 4),
    "connection.idle_timeout": (3, 4),
    "connection.connection_timeout": (3, 4),
    "connection.keep_alive": (True, False),
    "connection.disable_compression": (True, False),
    "health_check.endpoint": ("/one", "/other"),
}
"""Keys that are built into instances, each with two values."""

SHOWN = {"labels", "annotations", "endpoints.labels", "requires", "start"}
"""Keys that no call depends on; see the tests below and those of requirements and of lazy starts."""

NAMES: dict[str, tuple[Any, Any]] = {"service": ("one", "other"), "method": ("one", "other"), "codec": ("", "msgpack")}


def _table(key: str, value: object) -> dict[str, Any]:
    block, _, name = key.rpartition(".")
    if key == "endpoints.url":
        return {"endpoints": value}
    table: dict[str, Any] = {"endpoint": "spy:a"}
    return {**table, key: value} if not block else {**table, block: {name: value}}


def test_every_key_has_a_row_in_the_table() -> None:
    """
    A key that is added to a record needs one; a row without a key is of no use.
    """
    assert {*leaves(PluginConfig), "endpoints"} == set(EFFECTS)
    assert {each.name for each in fields(ManagerConfig)} - {"defaults", "plugins"} == set(TOP)
    assert Effect.RENEWED is effect_of("auth.token")


def test_every_key_has_a_test_of_its_effect() -> None:
    """
    In one of the tables, or by name; that of `resolver` is in `test_resolution`, that of `interceptors` in
    `test_interceptor_options`.
    """
    policies = {key.replace("endpoint.", "endpoints.") for key in CASES}
    fallback = {key for key in policies if key.startswith("fallback.")}

    elsewhere = {"fallback", "enabled", "endpoints", "resolver", "interceptors"}
    assert {*EFFECTS, *fallback} - elsewhere == {
        *policies,
        *ROWS,
        *NAMES,
        *SHOWN,
    }
    assert set(RECIPE) <= ROWS.keys()


@pytest.mark.parametrize("key", ROWS)
async def test_what_is_built_into_instances_comes_with_new_ones(key: str, anyio_backend: object) -> None:
    """
    There and back; and with the same value nothing happens.
    """
    one, other = ROWS[key]
    for before, after in [(one, other), (other, one)]:
        spy = Spy()
        async with Manager({"plugins": {"p": _table(key, before)}}, extensions=[spy]) as manager:
            await manager.plugin("p", Text, Text).execute(Text("x"))
            same = await manager.reload({"plugins": {"p": _table(key, before)}})
            report = await manager.reload({"plugins": {"p": _table(key, after)}})
            await manager.plugin("p", Text, Text).execute(Text("x"))

        assert ("unchanged", "replaced") == (same.plugins["p"].action, report.plugins["p"].action)
        assert 2 == len(spy.seen)
        assert _seen(spy, key, 0) != _seen(spy, key, 1)


def _seen(spy: Spy, key: str, number: int) -> object:
    """
    What a channel can tell of a key.
    """
    name, url, options = spy.seen[number]
    if key in ("endpoint", "endpoints.url", "transport"):
        return name, url
    if key == "auth":
        return [call for call in spy.calls if call.method != "Describe"][number].headers["authorization"]
    if key == "version":
        return number  # the question is asked of each new instance; that it counts is shown below
    return options.own if key == "options" else value_at(options, key)


async def test_a_limit_that_the_transport_keeps_itself_comes_with_new_instances(anyio_backend: object) -> None:
    """
    Others have it changed in place.
    """

    class Limiting:
        @hookimpl
        def remora_register_transports(self) -> list[TransportSpec[Any]]:
            return [TransportSpec("own", ("own",), Options, builder(spy, "own"), limits_calls=True)]

    spy = Spy()
    tables = [
        {"endpoints": ["own:a"], "connection": {"max_connections": most}, "options": {}, "labels": {}}
        for most in (1, 2)
    ]
    async with Manager({"plugins": {"p": tables[0]}}, extensions=[Limiting()]) as manager:
        report = await manager.reload({"plugins": {"p": tables[1]}})

    assert ("replaced", [1, 2]) == (
        report.plugins["p"].action,
        [each.connection.max_connections for *_, each in spy.seen],
    )


@pytest.mark.parametrize("key", NAMES)
async def test_what_calls_say_changes_in_place(key: str, anyio_backend: object) -> None:
    """
    For handles that were made before.
    """
    one, other = NAMES[key]
    spy = Spy()
    async with Manager({"plugins": {"p": _table(key, one)}}, extensions=[spy]) as manager:
        handle = manager.plugin("p", Text, Text)
        await handle.execute(Text("x"))
        report = await manager.reload({"plugins": {"p": _table(key, other)}})
        await handle.execute(Text("x"))

    first, second = ((call.service, call.method, call.content_type) for call in spy.calls)
    assert ("retuned", 1, True) == (report.plugins["p"].action, len(spy.seen), first != second)


@pytest.mark.parametrize("key", ["labels", "annotations"])
async def test_what_is_only_shown_disturbs_nothing(key: str, anyio_backend: object) -> None:
    """
    The new value is there, the instance is the same.
    """
    spy = Spy()
    async with Manager({"plugins": {"p": _table(key, {"a": "b"})}}, extensions=[spy]) as manager:
        report = await manager.reload({"plugins": {"p": _table(key, {"a": "c"})}})

        assert ("noted", (key,), 1) == (report.plugins["p"].action, report.plugins["p"].keys, len(spy.seen))
        assert {"a": "c"} == getattr(manager._fleet["p"].config, key)


async def test_labels_of_an_endpoint_are_seen_by_balancers(anyio_backend: object) -> None:
    """
    On the instance that was there.
    """
    spy = Spy()
    tables = [{"endpoints": [{"url": "spy:a", "labels": {"zone": zone}}]} for zone in "ab"]
    async with Manager({"plugins": {"p": tables[0]}}, extensions=[spy]) as manager:
        report = await manager.reload({"plugins": {"p": tables[1]}})

        assert ("noted", 1) == (report.plugins["p"].action, len(spy.seen))
        assert {"zone": "b"} == manager._fleet["p"].route.instances[0].endpoint.labels


async def test_a_version_that_is_not_there_is_refused(anyio_backend: object) -> None:
    """
    At once: waiting would not help.
    """
    async with Manager({"plugins": {"p": _table("version", ">=1")}}, extensions=[Spy()]) as manager:
        report = await manager.reload({"plugins": {"p": _table("version", ">=3")}})

        assert report.rolled_back
        assert "version >=3 is required, but the plugin says that it is 2.0" in str(report.error)


async def test_enabled_starts_and_stops(anyio_backend: object) -> None:
    """
    Again and again.
    """
    spy = Spy()
    async with Manager({"plugins": {"p": _table("enabled", False)}}, extensions=[spy]) as manager:
        for number in (1, 2):
            started = await manager.reload({"plugins": {"p": _table("enabled", True)}})
            handle = manager.plugin("p", Text, Text)
            await handle.execute(Text("x"))
            stopped = await manager.reload({"plugins": {"p": _table("enabled", False)}})
            with pytest.raises(PluginDisabled):
                await handle.execute(Text("x"))

            assert ("started", "stopped") == (started.plugins["p"].action, stopped.plugins["p"].action)
            assert number == len(spy.seen)


async def test_security_is_told_to_transports_that_start_programs(anyio_backend: object) -> None:
    """
    Their instances are new, although nothing has changed in the plugin's table.
    """
    spy = Spy()
    plugins = {"p": _table("enabled", True)}
    async with Manager({"plugins": plugins}, extensions=[spy]) as manager:
        report = await manager.reload({"plugins": plugins, "security": {"limits": {"open_files": 64}}})

    assert (("security.limits.open_files",), "replaced") == (report.keys, report.plugins["p"].action)
    assert [None, 64] == [options.security.limits.open_files for _, _, options in spy.seen]
