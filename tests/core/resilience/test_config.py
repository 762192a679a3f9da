"""
Settings that are impossible, and settings that are only just possible.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_type_hints

import anyio
import pytest

from remora import ConfigError, Unavailable
from remora.config import config_schema, structure_config
from remora.values import Limits
from tests.core.resilience.blocks import BLOCKS
from tests.core.scripts import stage, table

VIRTUAL_TIME = True

NEEDS = {"slow_call_duration": {"slow_call_rate": 0.5}, "slow_call_rate": {"slow_call_duration": 1}}


def _limits(hint: Any) -> Limits | None:
    parts = [hint, *getattr(hint, "__args__", ())]
    found = [each for part in parts for each in getattr(part, "__metadata__", ()) if isinstance(each, Limits)]
    return found[0] if found else None


NUMBERS = {
    (block, each.name): limits
    for block, record in BLOCKS.items()
    for each in fields(record)
    if (limits := _limits(get_type_hints(record, include_extras=True)[each.name]))
}
"""Every key of a policy that takes a number, with its range."""


def problems(**plugin: Any) -> list[str]:
    """
    What is wrong with a plugin's table.
    """
    with pytest.raises(ConfigError) as caught:
        structure_config({"plugins": {"p": {"endpoint": "memory:p", **plugin}}})
    return list(caught.value.problems)


@pytest.mark.parametrize(("block", "key"), NUMBERS)
@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), True, [], "soon"])
def test_number_outside_its_range_is_named_with_the_range(block: str, key: str, wrong: object) -> None:
    """
    Every key of every policy.
    """
    (problem,) = problems(**{block: {key: wrong}})

    assert problem.startswith(f"plugins.p.{block}.{key}: expected ")
    assert str(NUMBERS[block, key]) in problem


COUNTS = [(block, key) for (block, key), limits in NUMBERS.items() if limits.is_whole and block != "connection"]
"""Every key of a policy that takes a whole number; a table for connections is no policy."""


@pytest.mark.parametrize(("block", "key"), COUNTS)
@pytest.mark.parametrize("wrong", [1.5, 3.0, True, -1, "3"])
def test_policy_made_alone_refuses_what_a_table_refuses_for_a_whole_number(block: str, key: str, wrong: Any) -> None:
    """
    In the same words, but that a table's value is quoted as a table has it: `true`, not `True`.
    """
    (problem,) = problems(**{block: {key: wrong}})
    with pytest.raises(ValueError, match="expected") as caught:
        BLOCKS[block](**{key: wrong})

    in_code = str(caught.value).replace(f"got {wrong!r}", f"got {json.dumps(wrong)}")
    assert f"plugins.p.{block}.{in_code}" == problem


SCHEMA: dict[str, Any] = config_schema()


def _numbers(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    The numbers below a part of the schema, each with its path and what the schema says about it.
    """
    if "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
    for each in node.get("anyOf", ()):
        yield from _numbers(each, path)
    if node.get("type") in ("number", "integer"):
        yield path, node
    if path == "endpoints":
        yield from _numbers(node["items"], "endpoints[0]")
    for name, inner in node.get("properties", {}).items():
        yield from _numbers(inner, f"{path}.{name}" if path else name)


IN_SCHEMA = dict(_numbers({"$ref": "#/$defs/PluginConfig"}, ""))
"""Every number in the table of a plugin, by its path."""


def _impossible(node: dict[str, Any]) -> Iterator[tuple[object, str]]:
    """
    Values that the schema does not allow, each with the part of the range that its error must name.
    """
    if "minimum" in node:
        yield node["minimum"] - 1, f"at least {node['minimum']:g}"
    if "exclusiveMinimum" in node:
        yield node["exclusiveMinimum"], f"more than {node['exclusiveMinimum']:g}"
    if "maximum" in node:
        yield node["maximum"] + 1, f"at most {node['maximum']:g}"
    for wrong in (float("nan"), float("inf"), [], True):
        yield wrong, ""


def test_schema_has_every_number_of_the_policies() -> None:
    """
    So that what is tested below is all that there is.
    """
    assert {f"{block}.{key}" for block, key in NUMBERS} <= IN_SCHEMA.keys()
    assert {"instances", "priority", "endpoints[0].weight", "fallback.last_good"} <= IN_SCHEMA.keys()
    assert "connection.adaptive_limit.smoothing" in IN_SCHEMA


@pytest.mark.parametrize("path", IN_SCHEMA)
def test_impossible_value_of_a_number_in_the_schema_is_one_error_with_key_and_range(path: str) -> None:
    """
    Below it, above it, not finite, and no number at all.
    """
    for wrong, allowed in _impossible(IN_SCHEMA[path]):
        value: Any = wrong
        for name in reversed(path.replace("[0]", ".0").split(".")):
            value = [{"url": "memory:p"} | value] if name == "0" else {name: value}
        table = {} if path.startswith("endpoints") else {"endpoint": "memory:p"}
        with pytest.raises(ConfigError) as caught:
            structure_config({"plugins": {"p": {**table, **value}}})
        (problem,) = caught.value.problems

        assert problem.startswith(f"plugins.p.{path}: expected "), wrong
        assert allowed in problem, wrong


@pytest.mark.parametrize(("block", "key"), [each for each in NUMBERS if NUMBERS[each].is_exclusive])
def test_zero_is_no_duration_rate_or_share(block: str, key: str) -> None:
    """
    Nothing divides by it.
    """
    (problem,) = problems(**{block: {key: 0}})

    assert f"plugins.p.{block}.{key}: expected {NUMBERS[block, key]}, got 0" == problem


@pytest.mark.parametrize(
    ("block", "values", "problem"),
    [
        ("health_check", {"interval": 1, "timeout": 5}, "health_check.interval: expected at least timeout, 5 s"),
        ("retry", {"max_interval": 0.01}, "retry.max_interval: expected at least initial_interval, 0.1 s"),
        ("circuit_breaker", {"slow_call_rate": 0.5}, "circuit_breaker.slow_call_rate: goes together with"),
        ("rate_limit", {"mode": "drop"}, 'rate_limit.mode: expected "reject" or "wait"'),
        ("fallback", {"value": 1, "plugin": "q"}, "fallback: expected exactly one of value, last_good and plugin"),
        ("fallback", {}, "fallback: expected exactly one of value, last_good and plugin"),
        ("fallback", {"last_good": 0}, "fallback.last_good: expected a duration of more than 0 s"),
    ],
)
def test_values_that_do_not_fit_are_named(block: str, values: dict[str, object], problem: str) -> None:
    """
    With the path of the key to change.
    """
    (found,) = problems(**{block: values})

    assert found.startswith(f"plugins.p.{problem}")


def test_all_problems_are_told_at_once() -> None:
    """
    Of all plugins and of the defaults.
    """
    bad = {
        "defaults": {"circuit_breaker": {"window": 0}},
        "plugins": {
            "p": {
                "endpoints": [{"url": "memory:p", "weight": -1}],
                "retry": {"multiplier": 0.5, "max_retries": -1},
                "circuit_breaker": {"failure_threshold": 0},
            },
            "q": {"endpoint": "memory:q", "health_check": {"interval": 1}},
        },
    }
    with pytest.raises(ConfigError) as caught:
        structure_config(bad)
    paths = {line.partition(": ")[0] for line in caught.value.problems}

    assert {
        "defaults.circuit_breaker.window",
        "plugins.p.endpoints[0].weight",
        "plugins.p.retry.multiplier",
        "plugins.p.retry.max_retries",
        "plugins.p.circuit_breaker.failure_threshold",
        "plugins.q.health_check.interval",
    } == paths


@pytest.mark.anyio
@pytest.mark.parametrize(("block", "key"), NUMBERS)
async def test_smallest_and_largest_values_do_no_harm(block: str, key: str, anyio_backend: object) -> None:
    """
    Calls end, well or with an error of Remora, and soon enough; nothing panics.
    """
    limits = NUMBERS[block, key]
    smallest: float = int(limits.minimum) if limits.is_whole else (5e-324 if limits.is_exclusive else limits.minimum)
    largest: float = limits.maximum or (sys.maxsize if limits.is_whole else sys.float_info.max)
    for value in (smallest, largest):
        values = {key: value, **NEEDS.get(key, {})}
        values |= {"enabled": True} if block in ("circuit_breaker", "health_check", "rate_limit") else {}
        values |= {"timeout": smallest} if (key, value) == ("interval", smallest) else {}
        values |= {"interval": largest} if (key, value) == ("timeout", largest) else {}
        values |= {"initial_interval": smallest} if (key, value) == ("max_interval", smallest) else {}
        values |= {"max_interval": largest} if (key, value) == ("initial_interval", largest) else {}
        async with stage(table("ab", **{block: values})) as host:
            host["a"].failure = lambda: Unavailable("ouch", sent=False)
            with anyio.fail_after(100):
                await host.outcomes(10, timeout=5)
                await host.at_once(10, timeout=5)
