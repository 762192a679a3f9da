"""
The JSON Schema of configuration files: it takes what is right, and refuses what is wrong for its type.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from remora import ConfigError, ExporterSpec
from remora.config import (
    OBJECT,
    ManagerConfig,
    PluginConfig,
    config_schema,
    effective_values,
    structure_config,
)
from remora.extensions import exporters, resolvers, transports
from remora.testing import RecordingExporter
from tests.architecture.sources import ROOT

SCHEMA = config_schema(transports(), exporters(), resolvers())
VALIDATOR = Draft202012Validator(SCHEMA)
PAGES = [*sorted((ROOT / "docs").glob("**/*.md")), ROOT / "README.md"]


def samples() -> Iterator[tuple[str, str]]:
    """
    Every configuration that the documentation and the examples show.
    """
    for file in sorted((ROOT / "examples").glob("*/*.toml")):
        yield str(file.relative_to(ROOT)), file.read_text()
    for page in PAGES:
        for number, block in enumerate(re.findall(r"(?s)```toml\n(.*?)```", page.read_text())):
            if "[plugins" in block or "[defaults" in block:
                yield f"{page.name}-{number}", block


def objections(tables: Any) -> list[str]:
    """
    The places of what the schema refuses.
    """
    return [".".join(map(str, error.absolute_path)) for error in VALIDATOR.iter_errors(tables)]


def test_schema_is_one() -> None:
    """
    By the rules for schemas themselves.
    """
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(("name", "text"), list(samples()), ids=lambda item: item if "\n" not in item else "")
def test_schema_takes_what_the_documentation_shows(name: str, text: str) -> None:
    """
    In examples and pages.
    """
    assert [] == objections(tomllib.loads(text)), name


def plugin(**keys: Any) -> dict[str, Any]:
    """
    A configuration with one plugin.
    """
    return {"plugins": {"p": {"endpoint": "http://h", **keys}}}


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"$schema": "x.json", "log_level": "${LEVEL}"},
        plugin(connection={"request_timeout": "1m30s", "idle_timeout": 3}),
        plugin(connection={"request_timeout": "${T}"}),
        plugin(circuit_breaker={"failure_rate": None}),
        plugin(options={"max_message_size": 5}),
        plugin(endpoint="nosuch:x", options={"anything": 5}),
        plugin(endpoint="http://h", transport="grpc", options={"max_message_size": 1}),
        plugin(endpoint="${URL}", fallback={"value": {"a": [1]}}),
        {"plugins": {"p": {"endpoints": ["http://h", {"url": "unix:/x", "weight": 0}]}}},
        {"plugins": {"p": {"auth": {"token": "in another fragment"}}}},
        {"plugins": {"p": {"resolver": {"method": "dns", "url": "grpc://h", "timeout": "5s"}}}},
        plugin(resolver={"method": "of-a-stranger", "anything": 5}),
        {"discovery": {"directories": ["plugins"], "max_depth": 0}},
    ],
)
def test_schema_takes_what_is_right(tables: Any) -> None:
    """
    Also what only one of several fragments says.
    """
    assert [] == objections(tables)


@pytest.mark.parametrize(
    ("tables", "place"),
    [
        ({"log_level": "loud"}, "log_level"),
        ({"plugin": {}}, ""),
        ({"plugins": {"a b": {"endpoint": "http://h"}}}, "plugins"),
        (plugin(nosuch=1), "plugins.p"),
        (plugin(name="q"), "plugins.p"),
        (plugin(instances=0), "plugins.p.instances"),
        (plugin(resolver={"method": "file", "pth": "x"}), "plugins.p.resolver"),
        ({"discovery": {"directories": "plugins"}}, "discovery.directories"),
        (plugin(instances="2"), "plugins.p.instances"),
        (plugin(enabled="yes"), "plugins.p.enabled"),
        (plugin(labels={"a": 1}), "plugins.p.labels.a"),
        (plugin(args="--fast"), "plugins.p.args"),
        (plugin(protocol="json"), "plugins.p.protocol"),
        (plugin(endpoint="host:", endpoints=[{"weight": 1}]), "plugins.p.endpoints.0"),
        (plugin(endpoints=[{"url": "http://h", "weight": -1}]), "plugins.p.endpoints.0"),
        (plugin(endpoint="nowhere"), "plugins.p.endpoint"),
        (plugin(retry={"multiplier": 0.5}), "plugins.p.retry.multiplier"),
        (plugin(connection={"request_timeout": 0}), "plugins.p.connection.request_timeout"),
        (plugin(connection={"request_timeout": "1 s"}), "plugins.p.connection.request_timeout"),
        (plugin(circuit_breaker={"failure_rate": 2}), "plugins.p.circuit_breaker.failure_rate"),
        (plugin(fallback={"last_good": 1, "plugin": "q"}), "plugins.p.fallback"),
        (plugin(auth={"token_source": "x"}), "plugins.p.auth"),
        (plugin(options={"nosuch": 1}), "plugins.p.options"),
        (plugin(options={"connection": {}}), "plugins.p.options"),
        ({"security": {"limits": {"core": -1}}}, "security.limits.core"),
    ],
)  # fmt: skip
def test_schema_refuses_what_is_wrong_where_the_loader_does(tables: Any, place: str) -> None:
    """
    And not more than that.
    """
    assert place in objections(tables)
    if place not in ("plugins.p.options", "plugins.p.resolver"):  # which only a manager looks at
        with pytest.raises(ConfigError):
            structure_config(tables, variables={})


def test_every_key_is_described() -> None:
    """
    From the docstrings of the records, with its default.
    """
    keys = SCHEMA["$defs"]["PluginConfig"]["properties"]
    undescribed = [
        f"{name}.{key}"
        for name, record in SCHEMA["$defs"].items()
        for key, schema in record["properties"].items()
        if not schema.get("description")
    ]

    assert [] == [each for each in undescribed if not each.startswith("Defaults.")]  # whose tables say it themselves
    assert {each.name for each in fields(PluginConfig)} - {"name"} == keys.keys()
    assert "How many processes or connections there are for each endpoint." == keys["instances"]["description"]
    assert (1, 1) == (keys["instances"]["default"], keys["instances"]["minimum"])
    assert not {each.name for each in fields(ManagerConfig) if each.metadata == OBJECT} & SCHEMA["properties"].keys()


def test_effective_values_hide_secrets_and_make_the_same_configuration() -> None:
    """
    By type, by the name of a key of one's own, and inside of URLs; the rest can be read again.
    """
    secret = "s3cr3t"
    tables = plugin(
        endpoint=f"http://user:{secret}@h/x",
        auth={"method": "bearer", "token": secret, "headers": {"x": secret}},
        env={"API_KEY": secret, "LANG": "C"},
        args=[f"--api-token={secret}", "--fast"],
        options={"proxy": {"password": secret, "port": 3}},
        labels={"team": "pay"},
        circuit_breaker={"failure_rate": 0.5},
    )
    tables["exporters"] = {"otel": {"headers": {"x-team": secret}, "endpoint": "http://c:4317"}}

    values = effective_values(structure_config(tables, variables={}))

    found = values["plugins"]["p"]
    assert secret not in str(values)
    assert secret not in repr(structure_config({"exporters": tables["exporters"]}))
    assert {"enabled": True, "headers": {"x-team": "***"}, "endpoint": "http://c:4317"} == values["exporters"]["otel"]
    assert ("http://***@h/x", "***", {"x": "***"}) == (
        found["endpoint"], found["auth"]["token"], found["auth"]["headers"])  # fmt: skip
    assert ({"API_KEY": "***", "LANG": "C"}, ["--api-token=***", "--fast"]) == (found["env"], found["args"])
    assert {"proxy": {"password": "***", "port": 3}} == found["options"]
    assert [] == [each for each in objections(values) if each != "plugins.p.options"]
    assert values == effective_values(structure_config(values, variables={}))


@pytest.mark.parametrize("headers", ["authorization=s3cr3t", ["authorization=s3cr3t"], [["authorization", "s3cr3t"]]])
def test_secrets_are_not_shown_where_their_keys_have_another_form(headers: object) -> None:
    """
    What an extension's keys are to be is found out only when it is used.
    """
    table = {"headers": headers, "tokens": ["s3cr3t"], "api_key": True, "endpoint": "ada:s3cr3t@collector:4317"}
    values = effective_values(structure_config({"exporters": {"otel": table}}))

    shown = {"enabled": True, "headers": "***", "tokens": ["***"], "api_key": True, "endpoint": "***@collector:4317"}
    assert shown == values["exporters"]["otel"]


def test_arguments_that_are_secrets_are_not_shown() -> None:
    """
    Behind a flag, in more than one line, or in a URL.
    """
    args = ["--db-password", "word", "--fast", "--key=one\ntwo", "--to", "http://ada:word@h/", "--no-token", "--slow"]
    config = structure_config({"plugins": {"p": {"endpoint": "exec:p", "args": args}}})

    shown = ["--db-password", "***", "--fast", "--key=***", "--to", "http://***@h/", "--no-token", "--slow"]
    assert shown == effective_values(config)["plugins"]["p"]["args"]


def test_tables_of_exporters_are_checked_as_far_as_their_keys_are_known() -> None:
    """
    Anything goes for an exporter that is not installed here.
    """
    whole = config_schema((), [ExporterSpec("known", _Options, lambda _: RecordingExporter())])
    validator = Draft202012Validator(whole)

    assert validator.is_valid({"exporters": {"known": {"enabled": False, "port": 9090}, "other": {"colour": "red"}}})
    assert not validator.is_valid({"exporters": {"known": {"colour": "red"}}})
    assert not validator.is_valid({"exporters": {"other": {"enabled": 7}}})


@dataclass(frozen=True)
class _Options:
    port: int = 1
