"""
The policies' configuration as it comes from a file: texts for durations, and limits that are errors with a path.
"""

from __future__ import annotations

import pytest

from remora import ConfigError
from remora.config import PluginConfig, structure_config


def plugin(**tables: object) -> PluginConfig:
    """
    A plugin's table with these tables in it.
    """
    return structure_config({"plugins": {"pay": {"endpoint": "http://localhost", **tables}}}).plugins["pay"]


def test_durations_may_be_written_as_text() -> None:
    """
    Optional ones too.
    """
    config = plugin(
        circuit_breaker={"recovery_timeout": "1m30s", "slow_call_duration": "100ms", "slow_call_rate": 0.5},
        retry={"initial_interval": "50ms"},
        health_check={"interval": "10s"},
    )

    assert config.circuit_breaker.recovery_timeout == 90
    assert config.circuit_breaker.slow_call_duration == pytest.approx(0.1)
    assert config.retry.initial_interval == pytest.approx(0.05)
    assert config.health_check.interval == 10


@pytest.mark.parametrize(
    ("table", "key", "value", "expected"),
    [
        ("circuit_breaker", "window", 0, "a duration of more than 0 s"),
        ("circuit_breaker", "failure_threshold", 0, "a whole number of at least 1"),
        ("circuit_breaker", "failure_rate", 2, "a number of more than 0 and at most 1"),
        ("retry", "multiplier", 0.5, "a number of at least 1"),
        ("retry", "max_retries", -1, "a whole number of at least 0"),
        ("rate_limit", "requests_per_second", 0, "a number of more than 0"),
        ("rate_limit", "burst_size", 0, "a whole number of at least 1"),
        ("health_check", "interval", "0s", "a duration of more than 0 s"),
        ("health_check", "failure_limit", 0, "a whole number of at least 1"),
    ],
)
def test_impossible_value_is_an_error_that_names_key_and_range(
    table: str, key: str, value: object, expected: str
) -> None:
    """
    Nothing sleeps for ever, and nothing divides by zero.
    """
    with pytest.raises(ConfigError) as caught:
        plugin(**{table: {key: value}})
    (problem,) = caught.value.problems

    assert problem.startswith(f"plugins.pay.{table}.{key}: expected {expected}")


@pytest.mark.parametrize(
    ("table", "values", "problem"),
    [
        ("health_check", {"interval": 1}, "interval: expected at least timeout, 5 s, got 1"),
        ("retry", {"initial_interval": 6}, "max_interval: expected at least initial_interval, 6 s, got 5"),
    ],
)
def test_values_that_do_not_fit_together_are_an_error(table: str, values: dict[str, object], problem: str) -> None:
    """
    Two keys that are possible each, but not both.
    """
    with pytest.raises(ConfigError) as caught:
        plugin(**{table: values})

    assert problem in caught.value.problems[0]
