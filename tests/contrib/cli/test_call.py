"""
`remora call`: JSON in, JSON out, and errors that a script can tell apart.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contrib.cli.conftest import Run, environment, serving, with_sample


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """
    A configuration with a plugin that is there, one that is away and one that is switched off.
    """
    place = with_sample(tmp_path_factory.mktemp("served"))
    with serving(place, "http://127.0.0.1:0") as server:
        (place / "remora.toml").write_text(
            _CONFIG.format(url=server.urls[0], port=server.urls[0].rpartition(":")[2], place=place)
        )
        yield str(place / "remora.toml")


_CONFIG = """
metrics_port = {port}  # which the server has, as if the host were running
[plugins.sample]
endpoint = "{url}"
service = "sample.v1.Echo"
[plugins.away]
endpoint = "unix://{place}/nobody.sock"
[plugins.off]
endpoint = "{url}"
enabled = false
[plugins.needy]
endpoint = "{url}"
service = "sample.v1.Echo"
requires = ["away"]
[plugins.helped]
endpoint = "unix://{place}/nobody.sock"
service = "sample.v1.Echo"
retry = {{ max_retries = 0 }}
fallback = {{ plugin = "needy" }}
"""


@pytest.mark.parametrize("value", [{"text": "schön"}, [1, None, {"a": 1.5}], "x", 0, None])
def test_reply_is_printed_as_json(value: object, config: str, remora: Run, anyio_backend: str) -> None:
    """
    Any value can be sent, also while a host that runs with the same configuration has the port of metrics.
    """
    result = remora("call", config, "sample", "any", json.dumps(value), "--backend", anyio_backend, "--json")

    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == value


@pytest.mark.parametrize("plugin", ["needy", "helped"])
def test_a_plugin_is_called_alone_but_for_what_answers_in_its_place(plugin: str, config: str, remora: Run) -> None:
    """
    What it requires is not started, and is no reason to refuse the call.
    """
    result = remora("call", config, plugin, "echo", '{"text": "x"}', "--json")

    assert (0, {"text": "x"}) == (result.code, json.loads(result.out or result.err))


def test_a_plugin_that_requires_others_is_described(config: str, remora: Run) -> None:
    """
    As any other.
    """
    result = remora("describe", config, "needy")

    assert (0, "") == (result.code, result.err)


def test_request_may_come_from_standard_input(config: str, remora: Run) -> None:
    """
    For what is too long or too secret for a command line.
    """
    result = remora("call", config, "sample", "echo", "-", stdin='{"text": "piped"}')

    assert json.loads(result.out) == {"text": "piped"}


def test_what_a_plugin_logs_is_shown_with_debug(remora: Run, place: Path) -> None:
    """
    Else nobody finds out why a handler fails.
    """
    child = {"executable": sys.executable, "args": ["-m", "remora_cli", "serve", "sample:Echo"]}
    plugin = {"transport": "exec", "service": "sample.v1.Echo", **child, "env": environment()}
    (place / "remora.json").write_text(json.dumps({"plugins": {"p": plugin}}))
    request = ("call", "remora.json", "p", "fail", '{"text": "x"}')
    quiet, loud = remora(*request), remora(*request, "--debug")

    assert quiet.complaint.endswith("sample.v1.Echo/fail failed with ZeroDivisionError")
    assert "\np: ZeroDivisionError: by nought\n" in loud.err


def test_headers_are_sent(config: str, remora: Run) -> None:
    """
    They arrive at the handler.
    """
    request = '{"text": "x-tenant"}'
    result = remora("call", config, "sample", "header", request, "--header", "x-tenant=acme")

    assert json.loads(result.out) == {"text": "acme"}


def test_service_can_be_named(config: str, remora: Run) -> None:
    """
    It goes before the configured one.
    """
    result = remora("call", config, "sample", "echo", '{"text": "x"}', "--service", "other.v1.Thing")

    assert result.code == 1
    assert result.complaint.endswith("there is no service 'other.v1.Thing'; there are: sample.v1.Echo")


def test_plugins_own_error_is_one_line(config: str, remora: Run) -> None:
    """
    Its code and its message.
    """
    result = remora("call", config, "sample", "refuse", '{"text": "x"}')

    assert (result.code, result.out) == (1, "")
    assert result.complaint.startswith("remora: NOT_FOUND: plugin 'sample' at http://127.0.0.1:")
    assert result.complaint.endswith(": no such user")


def test_plugins_own_error_has_its_details_in_json(config: str, remora: Run) -> None:
    """
    What the plugin said, as values.
    """
    result = remora("call", config, "sample", "refuse", '{"text": "x"}', "--json")
    error = json.loads(result.out)["error"]

    assert result.code == 1
    assert (error["code"], error["message"], error["details"]) == ("NOT_FOUND", "no such user", {"id": 7})


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["sample", "echo", '{"text": 1}'], 1, "remora: INVALID_ARGUMENT: plugin 'sample'"),
        (["sample", "nosuch", "{}"], 1, "remora: UNIMPLEMENTED: plugin 'sample'"),
        (["away", "echo", "{}"], 1, "remora: plugin 'away': "),
        (["off", "echo", "{}"], 3, "remora: plugin 'off': it is configured with enabled = false"),
        (
            ["nosuch", "{}"],
            3,
            "remora: no plugin named 'nosuch' is configured; there are: away, helped, needy, off, sample",
        ),
        (["sample", "echo", "{text}"], 2, "remora: the request is not JSON: "),
        (["sample", "echo", "NaN"], 2, "remora: the request is not JSON: NaN"),
        (["sample", "echo", "-"], 2, "remora: standard input is not JSON: "),
        (["sample", "a", "b", "{}"], 2, "remora: too many arguments: expected CONFIG PLUGIN [METHOD] JSON"),
        (["sample", "echo", "{}", "--timeout", "0"], 2, "remora: Invalid value for '--timeout'"),
        (["sample", "echo", "{}", "--header", "x"], 2, "remora: Invalid value for '--header'"),
    ],
)
def test_what_goes_wrong_is_one_line(words: list[str], code: int, complaint: str, config: str, remora: Run) -> None:
    """
    With the exit code of its kind.
    """
    result = remora("call", config, *words)

    assert (result.code, result.out) == (code, "")
    assert result.complaint.startswith(complaint)
