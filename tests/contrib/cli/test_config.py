"""
`remora config` and `remora explain`: what a configuration comes to, and what it means.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from remora.config import effective_values, structure_config
from tests.contrib.cli.conftest import Run

TEXT = """
log_level = "error"
[defaults.retry]
max_retries = 0
[plugins.pay-in]
endpoint = "http://user:s3cr3t@pay/x"
auth = { method = "bearer", token = "s3cr3t" }
labels = { team = "a\\u0022b", "c.d" = "é" }
circuit_breaker = { enabled = false }
[plugins.search]
balancer = "least-connections"
endpoints = ["http://a", { url = "grpc://b", weight = 3 }]
fallback = { plugin = "pay-in" }
enabled = false
"""


def test_shown_values_are_what_a_file_would_say(remora: Run, place: Path) -> None:
    """
    Every key, in TOML, with no secret in it.
    """
    (place / "x.toml").write_text(TEXT)
    result = remora("config", "show", "x.toml")

    assert (result.code, result.err) == (0, "")
    assert "s3cr3t" not in result.out
    assert tomllib.loads(result.out) == effective_values(structure_config(tomllib.loads(TEXT)))


def test_origins_tell_who_set_a_value(remora: Run, place: Path) -> None:
    """
    A line of a file, the defaults, a variable, or nobody.
    """
    (place / "x.toml").write_text(TEXT)
    variables = {"REMORA__PLUGINS__PAY_IN__INSTANCES": "3"}
    lines = remora("config", "show", "x.toml", "--origin", **variables).out.splitlines()
    document = json.loads(remora("config", "show", "x.toml", "--origin", "--json", **variables).out)

    assert 'log_level = "error"                       # x.toml:2' in lines
    assert "instances = 3                             # REMORA__PLUGINS__PAY_IN__INSTANCES" in lines
    assert document["config"]["plugins"]["pay-in"]["instances"] == 3
    origins = document["origins"]
    assert {
        "plugins.pay-in.instances": "REMORA__PLUGINS__PAY_IN__INSTANCES",
        "plugins.pay-in.retry.max_retries": "x.toml:4 [defaults.retry]",
        "plugins.pay-in.retry.multiplier": "built-in default",
        "plugins.pay-in.auth.token": "x.toml:7",
        'plugins.pay-in.labels["c.d"]': "x.toml:8",
        "plugins.search.endpoints[0].url": "x.toml:12",
        "plugins.search.endpoints[1].weight": "x.toml:12",
        "plugins.search.endpoints[0].weight": "built-in default",
    }.items() <= origins.items()


def test_one_plugin_can_be_shown_alone(remora: Run, place: Path) -> None:
    """
    Without the rest of the file.
    """
    (place / "x.toml").write_text(TEXT)
    result = remora("config", "show", "x.toml", "search")

    assert list(tomllib.loads(result.out)["plugins"]) == ["search"]
    assert "log_level" not in result.out
    assert remora("config", "show", "x.toml", "nosuch").code == 3


@pytest.mark.parametrize("name", ["token-service", "headers"])
def test_plugin_whose_name_sounds_secret_is_shown(remora: Run, place: Path, name: str) -> None:
    """
    Its name tells nothing of its values, which are hidden each for itself.
    """
    (place / "x.toml").write_text(TEXT.replace("pay-in", name))
    shown = tomllib.loads(remora("config", "show", "x.toml", name).out)["plugins"][name]

    assert (shown["endpoint"], shown["auth"]["token"]) == ("http://***@pay/x", "***")


def test_schema_is_json_for_editors(remora: Run) -> None:
    """
    With the options of the transports that are installed.
    """
    for words in ([], ["--json"]):
        schema = json.loads(remora("config", "schema", *words).out)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert "max_message_size" in schema["$defs"]["options of http"]["properties"]


def test_explanation_says_what_is_off_and_why(remora: Run, place: Path) -> None:
    """
    In lines that fit on a terminal, without secrets.
    """
    (place / "x.toml").write_text(TEXT)
    first, second = (remora("explain", "x.toml", name) for name in ("pay-in", "search"))
    words, others = (" ".join(each.out.split()) for each in (first, second))

    assert (first.code, first.err, second.code) == (0, "", 0)
    assert [line for line in (first.out + second.out).splitlines() if len(line) > 80] == []
    assert "s3cr3t" not in words
    for sentence in [
        "state: It is switched on.",
        "rate limit: Off: calls are let through as they come. (built-in default)",
        "retry: Off, by max_retries = 0: every call is tried once. (x.toml:4 [defaults.retry])",
        "target: Calls go to http://***@pay/x over the transport 'http', by its scheme. (x.toml:6)",
        "circuit breaker: Off: instances that fail are called on and on. (x.toml:9)",
        "auth: The host proves who it is by 'bearer'. (x.toml:7)",
    ]:
        assert sentence in words
    assert "state: It is switched off, by enabled = false" in others
    assert "by the balancer 'least-connections' over 2 endpoints: http://a over" in others
    assert "fallback: Where the plugin cannot answer, 'pay-in' is asked. (x.toml:13)" in others


def test_explanation_names_the_options_of_the_transport(remora: Run, place: Path) -> None:
    """
    A text among them is not shown: it may be a secret of an extension's transport.
    """
    options = 'options = { follow_redirects = true, max_redirects = 3, server_name = "s3cr3t" }'
    (place / "x.toml").write_text(f'[plugins.p]\nendpoint = "https://p"\n{options}\n')
    words = " ".join(remora("explain", "x.toml", "p").out.split())

    assert (
        "options: The transport is told: follow_redirects = true, max_redirects = 3, server_name. (x.toml:3)" in words
    )


def test_explanation_is_json_for_programs(remora: Run, place: Path) -> None:
    """
    A point for each topic, with the keys that were set.
    """
    (place / "x.toml").write_text(TEXT)
    document = json.loads(remora("explain", "x.toml", "search", "--json").out)

    topics = {each["topic"]: each for each in document["points"]}
    assert topics["state"]["set_by"] == {"enabled": "x.toml:14"}
    assert topics["rate limit"]["set_by"] == {}


@pytest.mark.parametrize("words", [("config", "show", "x.toml"), ("explain", "x.toml", "pay")])
def test_wrong_configuration_ends_with_3(words: tuple[str, ...], remora: Run, place: Path) -> None:
    """
    As everywhere.
    """
    (place / "x.toml").write_text("[plugins.pay]\nendpont = 'http://h'\n")
    result = remora(*words)

    assert (result.code, result.out) == (3, "")
    assert result.complaint == 'remora: x.toml:2: plugins.pay.endpont: unknown key; did you mean "endpoint"?'


def test_unknown_plugin_is_named_with_the_known_ones(remora: Run, place: Path) -> None:
    """
    Nothing is guessed.
    """
    (place / "x.toml").write_text(TEXT)
    result = remora("explain", "x.toml", "pay")

    assert result.code == 3
    assert result.complaint == "remora: no plugin named 'pay' is configured; there are: pay-in, search"
