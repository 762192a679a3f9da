"""
Whatever configurations a manager has been through, it ends as one that starts with the last. In virtual time.

Two keys are left out: `start`, which says how a start goes and not what comes of it, and `metrics.max_series`, which
takes no series away that is there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remora import ExporterSpec, Manager, ManagerConfig, ReloadOptions, hookimpl
from remora._calls._instance import Instance
from remora._fleet._assembly import Part
from remora._fleet._generation import Plugged
from remora.config import RECIPE, PluginConfig, is_same, structure_config, value_at
from remora.policy import TokenBucket
from remora.testing import RecordingExporter, ScriptedTransport, virtual_backends
from tests.core.reload.spy import Spy
from tests.share import of_hundred

NAMES = ["a", "b", "c"]

durations = st.integers(1, 60)
words = st.sampled_from(["", "one", "other"])


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """
    A table with any of these keys.
    """
    return st.fixed_dictionaries({}, optional=keys)


endpoints = st.lists(
    st.fixed_dictionaries(
        {"url": st.sampled_from(["script:1", "script:2", "spy:1"])},
        optional={"weight": st.integers(0, 9), "priority": st.integers(0, 2), "labels": st.just({"zone": "x"})},
    ),
    min_size=1,
    max_size=3,
).filter(lambda tables: any(each.get("weight") != 0 for each in tables))
shared: dict[str, st.SearchStrategy[Any]] = {
    "auth": st.sampled_from([{"method": "basic", "username": "u", "password": each} for each in "pq"])
    | st.just({"method": "none"}),
    "retry": some(
        max_retries=st.integers(0, 3),
        initial_interval=st.just(1),
        max_interval=durations,
        multiplier=st.integers(1, 3),
        random_jitter=st.booleans(),
        idempotent_methods=st.just(["m"]),
    ),
    "circuit_breaker": st.builds(
        lambda rest, slow: {**rest, **slow},
        some(
            enabled=st.booleans(),
            window=durations,
            failure_threshold=durations,
            recovery_timeout=durations,
            min_request_threshold=durations,
            success_threshold=st.integers(1, 3),
            failure_rate=st.just(0.5),
        ),
        st.sampled_from([{}, {"slow_call_duration": 3, "slow_call_rate": 0.5}]),
    ),
    "health_check": st.fixed_dictionaries(
        {"timeout": st.just(1)},
        optional={
            "enabled": st.booleans(),
            "interval": durations,
            "failure_limit": st.integers(1, 3),
            "endpoint": words,
        },
    ),
    "rate_limit": some(
        enabled=st.booleans(),
        burst_size=durations,
        requests_per_second=durations,
        mode=st.sampled_from(["reject", "wait"]),
    ),
    "connection": some(
        max_connections=durations,
        max_pending=durations,
        idle_timeout=durations,
        max_idle_connections=durations,
        connection_timeout=durations,
        request_timeout=durations,
        keep_alive=st.booleans(),
        disable_compression=st.booleans(),
        adaptive_limit=st.sampled_from([{"enabled": True}, {"enabled": True, "initial": 2}, {}]),
    ),
}
"""What may stand in `[defaults]` too."""

own: dict[str, st.SearchStrategy[Any]] = {
    "instances": st.integers(1, 2),
    "enabled": st.booleans(),
    "priority": st.integers(0, 2),
    "balancer": st.sampled_from(["round-robin", "random", "consistent-hash"]),
    "hash_header": st.sampled_from(["", "x-user"]),
    "labels": st.dictionaries(st.sampled_from("xy"), st.text(max_size=2), max_size=1),
    "annotations": st.dictionaries(st.sampled_from("xy"), st.text(max_size=2), max_size=1),
    "service": words,
    "method": words,
    "codec": st.sampled_from(["", "json"]),
    "protocol": st.sampled_from(["ttrpc", "jsonl"]),
    "args": st.lists(words, max_size=1),
    "env": st.dictionaries(st.just("LANG"), words, max_size=1),
    "work_dir": words,
    "executable": words,
    "transport": st.sampled_from(["", "spy", "spook"]),
    "options": st.just({}),
    "fallback": st.sampled_from([{"value": 1}, {"value": True}, {"last_good": 5}]),
}
tables = st.builds(lambda places, rest: {"endpoints": places, **rest}, endpoints, some(**own, **shared))
resolved = st.fixed_dictionaries({"endpoints": endpoints, "resolver": st.just({"method": "static"})})

top: dict[str, st.SearchStrategy[Any]] = {
    "log_level": st.sampled_from(["info", "error"]),
    "defaults": some(**shared),
    "security": some(
        policy=st.sampled_from(["permissive", "audit-only"]),
        audit_size=durations,
        limits=some(open_files=st.integers(64, 66), core=st.just(1)),
    ),
    "metrics": some(
        enabled=st.booleans(),
        export_interval=durations,
        export_timeout=durations,
        batch_size=durations,
    ),
    "exporters": some(one=some(enabled=st.booleans(), word=words), two=some(enabled=st.booleans(), word=st.just("x"))),
    "metrics_port": st.none(),
    "discovery": st.sampled_from([["one"], ["one", "two"], ["two"]]).map(
        lambda names: {"directories": names, "watch": False}
    ),
}


def test_nearly_every_key_is_among_those_that_change() -> None:
    """
    What is not is in the list.
    """
    left_out = {"start", "endpoint", "version", "name", "interceptors"}
    assert {each.name for each in fields(PluginConfig)} - left_out == {
        *own,
        *shared,
        "endpoints",
        "requires",
        "resolver",
    }
    assert {each.name for each in fields(ManagerConfig)} - {"interceptors"} == {*top, "plugins"}


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """
    A valid configuration; its last plugin may require the first.
    """
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    plugins = {name: draw(tables | resolved if name == "c" else tables) for name in names}
    if draw(st.integers(0, 5)) == 5:
        plugins["b"] = {"endpoints": ["script:1", "script:away"]}
    if {"a", "c"} <= plugins.keys() and plugins["a"].get("enabled", True) and draw(st.booleans()):
        plugins["c"]["requires"] = ["a"]
    return {**draw(some(**{key: each for key, each in top.items() if key != "metrics_port"})), "plugins": plugins}


def state_of(manager: Manager, stale: Collection[str]) -> dict[str, Any]:
    """
    All that decides about calls, and about what is told of them.

    Args:
        manager: The manager.
        stale: Plugins that could not be changed, and so go on under the `[security]` that there was before.
    """
    registry = manager.metrics
    return {
        "exporters": sorted(manager._exporting._running),
        "options": [each for each, _ in dict(sorted(manager._exporting._running.items())).values()],
        "terms": [getattr(registry.exports._terms, each) for each in ("interval", "batch_size", "timeout")],
        "metrics": [each.name for each in registry.snapshot().metrics],
        "discovered": sorted(each.name for each in manager._changes._discovery._known.plugins.values()),
    } | {each.config.name: _plugin(each, is_stale=each.config.name in stale) for each in manager._fleet}


def _plugin(plugged: Plugged, *, is_stale: bool) -> dict[str, Any]:
    """
    All that decides about the calls of one plugin.
    """
    route, pipeline = plugged.route, plugged.caller.pipeline
    return {
        "config": plugged.config,
        "instances": list(map(_instance, route.instances)),
        "parts": [] if is_stale else list(map(_part, plugged.parts)),
        "meter": type(route.meter),
        "route": (route.choice._is_flat, route.choice._only is None, _filling(route.bucket)),
        "calls": (route.calls.state, route.is_closed, route.is_cut),
        "balancer": route.balancing and route.balancing._name,
        "pipeline": (pipeline._allowed, pipeline._is_limited, pipeline._retry._retries, pipeline._hash_header),
        "fallback": plugged.fallback and plugged.fallback._config,
    }


def _instance(instance: Instance) -> tuple[object, ...]:
    """
    What an instance is, and how it is limited and watched.
    """
    return (
        (instance.name, instance.endpoint, instance.weight, instance.priority, instance.state, instance.config),
        (instance.limit.limit, instance.limit._max_pending),
        (instance.breaker._config, instance.breaker.state),
        (instance.condition._config, instance._gradient and instance._gradient._config),
        (instance.authenticate is None, type(instance.meter)),
    )


def _part(part: Part) -> tuple[object, ...]:
    """
    Where an instance is wanted, and what it was built from.
    """
    place = part.place
    return place.name, place.endpoint, place.feature.spec.name, place.recipe, _built(part.transport)


def _filling(bucket: TokenBucket) -> tuple[object, ...]:
    """
    What a rate limit allows.
    """
    return bucket._is_enabled, bucket._waits, bucket._rate, bucket._burst, bucket.level


def _built(transport: object) -> list[object]:
    """
    What a transport has built into its channels; the rest of what it was told is up to the host.
    """
    options = getattr(transport, "options", None)
    keys = [*RECIPE, "security"] if options is not None else []
    return [value_at(options, key) for key in keys if key not in ("options", "auth", "version")]


@dataclass(frozen=True)
class Told:
    """
    The options of an exporter.
    """

    word: str = ""


class Exporters:
    """
    An extension with two.
    """

    @hookimpl
    def remora_register_metric_exporters(self) -> list[ExporterSpec[Any]]:
        """
        Both.
        """
        return [ExporterSpec(name, Told, lambda _: RecordingExporter()) for name in ("one", "two")]


def manager_of(config: ManagerConfig) -> Manager:
    """
    A manager over scripted plugins, all of which answer but the one that is away.
    """
    transport = ScriptedTransport()
    transport.plugin("away").is_refusing = True
    extensions = [transport.extension, Spy(), Exporters()]
    return Manager(config, extensions=extensions, rng=random.Random(1))


def placed(tables: dict[str, Any], folder: Path) -> ManagerConfig:
    """
    The configuration, with the directories where they are.
    """
    if discovery := tables.get("discovery"):
        directories = [str(folder / name) for name in discovery["directories"]]
        tables = {**tables, "discovery": {**discovery, "directories": directories}}
    return structure_config(tables, variables={})


async def check(steps: Sequence[tuple[ManagerConfig, str, bool]]) -> None:
    """
    Go through configurations, and compare with a fresh start after each.
    """
    last, stale = ManagerConfig(), set[str]()
    async with manager_of(last) as manager:
        for config, strategy, is_strict in steps:
            options = ReloadOptions(
                strategy=strategy,  # type: ignore[arg-type]
                health_check_timeout=3,
                rollback_on_failure=is_strict,
            )
            report = await manager.reload(config, options)
            if not report.rolled_back:
                last = merged(last, config, report)
                stale = {name for name, each in report.plugins.items() if each.error is not None}
            await anyio.sleep(20)
            reached, active = state_of(manager, stale), list(manager._fleet.entered()._owners)
            async with manager_of(last) as fresh:
                await anyio.sleep(20)
                assert state_of(fresh, stale) == reached
            assert is_same(last, manager.config)
            assert {each for plugged in manager._fleet for each in plugged.route.instances} == set(active)


def merged(before: ManagerConfig, after: ManagerConfig, report: Any) -> ManagerConfig:
    """
    What is in force when some plugins could not be changed.
    """
    failed = {name for name, each in report.plugins.items() if each.error is not None}
    kept = {name: each for name, each in before.plugins.items() if name in failed}
    return replace(
        after,
        plugins={
            name: kept.get(name, each) for name, each in after.plugins.items() if name not in failed or name in kept
        }
        | kept,
    )


@pytest.fixture(scope="module", autouse=True)
def no_threads() -> Iterator[None]:
    """
    Directories are read on the loop's own thread: while it waits for another, virtual time would run on, through
    thousands of probes.
    """

    async def call(function: Callable[..., object], *arguments: object) -> object:
        return function(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anyio.to_thread, "run_sync", call)
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Two directories with a manifest each.
    """
    top = tmp_path_factory.mktemp("manifests")
    for name in ("one", "two"):
        (top / name).mkdir()
        (top / name / f"{name}.toml").write_text(f'name = "found-{name}"\nendpoint = "spy:{name}"\n')
    return top


@pytest.mark.parametrize(
    ("name", "options"), virtual_backends(), ids=lambda each: each if isinstance(each, str) else ""
)
@settings(max_examples=of_hundred(30))
@given(
    steps=st.lists(
        st.tuples(configurations(), st.sampled_from(["graceful", "rolling", "recreate"]), st.booleans()),
        min_size=1,
        max_size=4,
    )
)
@pytest.mark.long
def test_any_reloads_end_as_a_fresh_start_with_the_last(
    name: str, options: dict[str, Any], folder: Path, steps: list[tuple[dict[str, Any], str, bool]]
) -> None:
    """
    Also when some of them are rolled back, or applied in part: then with what is in force.
    """
    whole = [(placed(tables, folder), strategy, is_strict) for tables, strategy, is_strict in steps]
    anyio.run(partial(check, whole), backend=name, backend_options=options)
