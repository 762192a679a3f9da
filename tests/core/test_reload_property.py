"""
Whatever configurations a manager has been through, it ends as one that starts with the last. In virtual time.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remora import Manager, ReloadOptions
from remora.testing import ScriptedTransport, virtual_backends

NAMES = ["a", "b", "c"]

durations = st.integers(1, 60)
endpoints = st.lists(
    st.fixed_dictionaries(
        {"url": st.sampled_from(["script:1", "script:2"])},
        optional={"weight": st.integers(0, 9), "priority": st.integers(0, 2), "labels": st.just({"zone": "x"})},
    ),
    min_size=1,
    max_size=3,
)
blocks: dict[str, st.SearchStrategy[Any]] = {
    "instances": st.integers(1, 2),
    "enabled": st.booleans(),
    "balancer": st.sampled_from(["round-robin", "random", "consistent-hash"]),
    "hash_header": st.sampled_from(["", "x-user"]),
    "labels": st.dictionaries(st.sampled_from("xy"), st.text(max_size=2), max_size=1),
    "service": st.sampled_from(["", "s"]),
    "options": st.just({}),
    "fallback": st.sampled_from([{"value": 1}, {"value": True}, {"last_good": 5}]),
    "retry": st.fixed_dictionaries({}, optional={"max_retries": st.integers(0, 3), "initial_interval": st.just(1)}),
    "circuit_breaker": st.fixed_dictionaries({}, optional={"enabled": st.booleans(), "window": durations}),
    "health_check": st.fixed_dictionaries(
        {"timeout": st.just(1)}, optional={"enabled": st.booleans(), "interval": durations}
    ),
    "rate_limit": st.fixed_dictionaries({}, optional={"enabled": st.booleans(), "burst_size": durations}),
    "connection": st.fixed_dictionaries(
        {},
        optional={
            "max_connections": durations,
            "max_pending": durations,
            "idle_timeout": durations,
            "adaptive_limit": st.sampled_from([{"enabled": True}, {"enabled": True, "initial": 2}, {}]),
        },
    ),
}
tables = st.builds(
    lambda places, rest: {"endpoints": places, **rest}, endpoints, st.fixed_dictionaries({}, optional=blocks)
)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """
    A valid configuration; its last plugin may require the first.
    """
    plugins = {name: draw(tables) for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))}
    if draw(st.integers(0, 5)) == 5:
        plugins["b"] = {"endpoints": ["script:1", "script:away"]}
    if {"a", "c"} <= plugins.keys() and plugins["a"].get("enabled", True) and draw(st.booleans()):
        plugins["c"]["requires"] = ["a"]
    return {"log_level": draw(st.sampled_from(["info", "error"])), "plugins": plugins}


def state_of(manager: Manager) -> dict[str, Any]:
    """
    All that decides about calls.
    """
    return {
        plugged.config.name: {
            "config": plugged.config,
            "instances": [
                (
                    each.name,
                    each.endpoint,
                    each.weight,
                    each.priority,
                    each.state,
                    each.config,
                    each.limit.limit,
                    each.limit._max_pending,
                    each.breaker._config,
                    each.breaker.state,
                    each.condition._config,
                    each._gradient and each._gradient._config,
                )
                for each in plugged.route.instances
            ],
            "route": (plugged.route._is_flat, plugged.route.bucket._config, plugged.route.bucket.level),
            "calls": (plugged.route.calls.state, plugged.route.is_closed, plugged.route.is_cut),
            "balancer": plugged.route.balancing and plugged.route.balancing._name,
            "retry": (plugged.caller.pipeline._retry._retries, plugged.caller.pipeline._hash_header),
            "fallback": plugged.fallback and plugged.fallback._config,
        }
        for plugged in manager._fleet
    }


def manager_of(config: dict[str, Any]) -> Manager:
    """
    A manager over scripted plugins, all of which answer but the one that is away.
    """
    transport = ScriptedTransport()
    transport.plugin("away").is_refusing = True
    return Manager(config, extensions=[transport.extension], rng=random.Random(1))


async def check(steps: Sequence[tuple[dict[str, Any], str, bool]]) -> None:
    """
    Go through configurations, and compare with a fresh start after each.
    """
    last: dict[str, Any] = {"plugins": {}}
    async with manager_of(last) as manager:
        for config, strategy, is_strict in steps:
            options = ReloadOptions(
                strategy=strategy,  # type: ignore[arg-type]
                health_check_timeout=3,
                rollback_on_failure=is_strict,
            )
            report = await manager.reload(config, options)
            last = config if report.applied else last if report.rolled_back else merged(last, config, report)
            await anyio.sleep(20)
            reached, active = state_of(manager), list(manager._fleet.entered()._owners)
            async with manager_of(last) as fresh:
                await anyio.sleep(20)
                assert state_of(fresh) == reached
            assert {each for plugged in manager._fleet for each in plugged.route.instances} == set(active)


def merged(before: dict[str, Any], after: dict[str, Any], report: Any) -> dict[str, Any]:
    """
    What is in force when some plugins could not be changed.
    """
    kept = {
        name: before["plugins"][name]
        for name, each in report.plugins.items()
        if each.error is not None and name in before["plugins"]
    }
    good = {name: each for name, each in after["plugins"].items() if report.plugins[name].error is None}
    return {**after, "plugins": {**good, **kept}}


@pytest.mark.parametrize(
    ("name", "options"), virtual_backends(), ids=lambda each: each if isinstance(each, str) else ""
)
@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.tuples(configurations(), st.sampled_from(["graceful", "rolling", "recreate"]), st.booleans()),
        min_size=1,
        max_size=4,
    )
)
def test_any_reloads_end_as_a_fresh_start_with_the_last(
    name: str, options: dict[str, Any], steps: list[tuple[dict[str, Any], str, bool]]
) -> None:
    """
    Also when some of them are rolled back, or applied in part: then with what is in force.
    """
    anyio.run(partial(check, steps), backend=name, backend_options=options)
