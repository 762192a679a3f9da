"""
Records that were made in code: what is wrong with them is told by `Manager(...)`, or before they are served.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from remora import (
    ConfigError,
    Endpoint,
    Manager,
    ManagerConfig,
    PluginConfig,
    ServeOptions,
    serving,
)
from remora.config import (
    AccessConfig,
    AuthConfig,
    ConnectionConfig,
    DiscoveryConfig,
    FallbackConfig,
    InterceptorConfig,
    MetricsConfig,
    ResolverConfig,
    SecurityConfig,
)
from remora.testing import MemoryTransport

pytestmark = pytest.mark.anyio

PLUGINS: dict[str, tuple[dict[str, Any], str]] = {
    "a duration as text": (
        {"connection": ConnectionConfig(request_timeout="5s")},  # type: ignore[arg-type]
        "connection.request_timeout: expected, in code, float, got str",
    ),
    "a number that is too small": (
        {"connection": ConnectionConfig(max_connections=0)},
        "connection.max_connections: expected a whole number of at least 1, got 0",
    ),
    "a table": ({"connection": {"request_timeout": "5s"}}, "connection: expected, in code, ConnectionConfig, got dict"),
    "a text for an endpoint": (
        {"endpoint": "", "endpoints": ["memory:a"]},
        "endpoints[0]: expected, in code, Endpoint, got str",
    ),
    "a weight": (
        {"endpoint": "", "endpoints": (Endpoint("memory:a", weight=-1),)},
        "endpoints[0].weight: expected a number of at least 0 and at most 1e+15, got -1",
    ),
    "a weight beyond floats": (
        {"endpoint": "", "endpoints": (Endpoint("memory:a", weight=10**400),)},
        f"endpoints[0].weight: expected a number of at least 0 and at most 1e+15, got 1{'0' * 39}...",
    ),
    "a bare secret": (
        {"auth": AuthConfig(method="bearer", token="t")},  # type: ignore[arg-type]
        "auth.token: expected, in code, Secret, got str",
    ),
    "what is switched off": ({"enabled": False, "start": "soon"}, 'start: expected "eager" or "lazy", got "soon"'),
    "an incomplete table": ({"resolver": ResolverConfig(options={"a": 1})}, "resolver.method: missing"),
    "a fallback": (
        {"fallback": FallbackConfig(plugin="q")},
        "fallback.plugin: expected another plugin that is configured, got 'q'; there are: none",
    ),
}


@pytest.mark.parametrize("case", PLUGINS)
def test_wrong_plugin_is_refused_by_the_manager(case: str) -> None:
    """
    Not when it is started or called.
    """
    values, problem = PLUGINS[case]
    plugin = PluginConfig(**{"name": "p", "endpoint": "memory:a", **values})

    with pytest.raises(ConfigError) as caught:
        Manager(ManagerConfig(plugins={"p": plugin}), extensions=[MemoryTransport().extension])

    assert (f"plugins.p.{problem}",) == caught.value.problems


TOP: dict[str, tuple[dict[str, Any], str]] = {
    "a word": ({"log_level": "loud"}, 'log_level: expected "debug", "info", "warning" or "error", got "loud"'),
    "a port": ({"metrics_port": 0}, "metrics_port: expected a whole number of at least 1 and at most 65535, got 0"),
    "a table": ({"metrics": {"enabled": False}}, "metrics: expected, in code, MetricsConfig, got dict"),
    "a duration": (
        {"metrics": MetricsConfig(export_interval=-1)},
        'metrics.export_interval: expected a duration of more than 0 s, such as 30, "100ms", "1m30s", got -1',
    ),
    "a text for a list": (
        {"discovery": DiscoveryConfig(directories="plugins.d")},  # type: ignore[arg-type]
        'discovery.directories: expected a list, got "plugins.d"',
    ),
    "a policy": (
        {"security": SecurityConfig(policy="lax")},  # type: ignore[arg-type]
        'security.policy: expected "strict", "permissive" or "audit-only", got "lax"',
    ),
    "an exporter": (
        {"exporters": {"prometheus": {"port": 1}}},
        "exporters.prometheus: expected, in code, ExporterConfig, got dict",
    ),
    "plugins in a list": ({"plugins": [PluginConfig(name="p")]}, "plugins: expected a table of plugins by name"),
    "a plugin as a table": (
        {"plugins": {"p": {"endpoint": "unix:/x"}}},
        "plugins.p: expected, in code, PluginConfig, got dict",
    ),
    "another name": (
        {"plugins": {"p": PluginConfig(name="q", endpoint="unix:/x")}},
        "plugins.p.name: expected 'p', got 'q'",
    ),
}


@pytest.mark.parametrize("case", TOP)
def test_wrong_configuration_is_refused_by_the_manager(case: str) -> None:
    """
    As for a file, with the path of the key.
    """
    values, problem = TOP[case]

    with pytest.raises(ConfigError) as caught:
        Manager(ManagerConfig(**values))

    assert (problem,) == caught.value.problems


async def test_wrong_configuration_is_refused_by_a_reload() -> None:
    """
    And by the plan of one.
    """
    wrong = ManagerConfig(log_level="loud")  # type: ignore[arg-type]
    async with Manager(ManagerConfig()) as manager:
        with pytest.raises(ConfigError, match="log_level: expected"):
            manager.plan(wrong)
        with pytest.raises(ConfigError, match="log_level: expected"):
            await manager.reload(wrong)


OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no call": ({"max_concurrent_calls": 0}, "max_concurrent_calls: expected a whole number of at least 1, got 0"),
    "half a call": (
        {"max_concurrent_calls": 1.5},
        "max_concurrent_calls: expected a whole number of at least 1, got 1.5",
    ),
    "less than no time": ({"drain_timeout": -1}, "drain_timeout: expected a duration of at least 0 s"),
    "a text": ({"drain_timeout": "5s"}, "drain_timeout: expected a number of seconds, got '5s'"),
    "options": ({"transport": 5}, "transport: expected a table, got int"),
    "interceptors": ({"interceptors": ["otel"]}, "interceptors: expected a table, got list"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_wrong_options_of_a_served_plugin_are_refused_at_once(case: str) -> None:
    """
    Where they are made.
    """
    values, problem = OPTIONS[case]

    with pytest.raises(ValueError, match=re.escape(problem)):
        ServeOptions(**values)


SERVED: dict[str, tuple[dict[str, Any], str]] = {
    "something else": ({"auth": 5}, "auth: expected a record, a table or a text, got int"),
    "a bare secret": (
        {"auth": AccessConfig(method="bearer", token="t")},  # type: ignore[arg-type]
        "auth.token: expected, in code, Secret, got str",
    ),
    "patterns": (
        {"auth": AccessConfig(method="bearer", allow={"a": "*"})},  # type: ignore[dict-item]
        "auth.allow.a: expected a list",
    ),
    "an interceptor": (
        {"interceptors": {"otel": InterceptorConfig(enabled="no")}},  # type: ignore[arg-type]
        'interceptors.otel.enabled: expected true or false, got "no"',
    ),
}


class Nothing:
    """
    A plugin.
    """

    async def nothing(self) -> None:
        """
        Do nothing.
        """


@pytest.mark.parametrize("case", SERVED)
async def test_wrong_records_of_a_served_plugin_are_refused(case: str) -> None:
    """
    Before it is served.
    """
    values, problem = SERVED[case]

    with pytest.raises(ConfigError) as caught:
        async with serving(Nothing(), listen="unix:", options=ServeOptions(**values)):
            pass

    assert problem == caught.value.message
