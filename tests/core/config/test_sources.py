"""
A directory of fragments, and keys from the environment: what is merged, what is refused, and where each value is from.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import ConfigError, Endpoint
from remora.config import load_config, structure_config, trace_config
from remora.config._overrides import override

MAIN = """
[defaults.retry]
max_retries = 7
[defaults.auth]
method = "bearer"
token = "t"
[plugins.pay-in]
endpoint = "http://one"
[plugins."acme.search"]
endpoints = ["http://a", { url = "http://b", weight = 3 }]
priority = 4
auth = { method = "basic", username = "u", password = "p" }
labels = { a-b = "c" }
"""


def fragments(folder: Path, **texts: str) -> Path:
    """
    A directory with these files in it; `__` in a name stands for a dot.
    """
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def problems(path: Path, **variables: str) -> list[str]:
    """
    What is wrong, without the folder.
    """
    with pytest.raises(ConfigError) as caught:
        load_config(path, variables)
    return [line.replace(f"{path}/", "").replace(f"{path.parent}/", "") for line in caught.value.problems]


def overridden(**variables: str) -> Any:
    """
    The two plugins of the main file with these variables.
    """
    found: list[str] = []
    tables = override(tomllib.loads(MAIN), {f"REMORA__{name}": text for name, text in variables.items()}, {}, found)
    assert [] == found
    return structure_config(tables, variables={})


def test_fragments_make_one_configuration(tmp_path: Path) -> None:
    """
    In any mixture of formats; one plugin may be spread over several, and what is no fragment is left alone.
    """
    folder = fragments(
        tmp_path / "conf.d",
        a__toml=MAIN,
        b__json=json.dumps({"plugins": {"pay-in": {"instances": 2}}}),
        c__yaml="plugins: {words: {endpoint: 'unix:/w'}}",
        README__md="[plugins",
        __hidden__toml="[plugins",
        d__toml__bak="[plugins",
    )
    (folder / "sub.toml").mkdir()

    config = load_config(folder, {})

    assert {"pay-in", "acme.search", "words"} == set(config.plugins)
    assert (2, 7) == (config.plugins["pay-in"].instances, config.plugins["words"].retry.max_retries)


def test_fragments_that_set_the_same_key_are_refused_with_both_names(tmp_path: Path) -> None:
    """
    Also where a table meets a value, and also when both say the same.
    """
    folder = fragments(
        tmp_path / "conf.d",
        a__toml='log_level = "info"\n[plugins.p]\nendpoint = "http://p"\nlabels = {}\n',
        b__toml='\nlog_level = "info"\n[plugins.p]\nlabels = "x"\n',
    )

    assert [
        f"b.toml:2: log_level: is set in {folder}/a.toml:1 already".replace(f"{folder}/", ""),
        "b.toml:4: plugins.p.labels: is set in a.toml:4 already",
    ] == problems(folder)


def test_all_fragments_that_cannot_be_read_are_named_at_once(tmp_path: Path) -> None:
    """
    Each with its line.
    """
    folder = fragments(tmp_path / "conf.d", a__toml="x = ", b__json="[]", c__json="{", d__toml="y = 1")

    found = problems(folder)

    assert ["a.toml:1", "b.json", "c.json:1"] == [line.partition(": ")[0] for line in found]


def test_a_problem_of_a_fragment_names_the_fragment(tmp_path: Path) -> None:
    """
    Not only the directory; one that nothing stands behind names the directory.
    """
    folder = fragments(
        tmp_path / "conf.d", a__toml='[plugins.p]\nendpoint = "http://p"', b__toml="[plugins.p]\ninstances = 0"
    )

    assert ["b.toml:2: plugins.p.instances: expected a whole number of at least 1, got 0"] == problems(folder)


def test_a_directory_without_fragments_is_a_mistake(tmp_path: Path) -> None:
    """
    Nobody means to configure nothing in that way.
    """
    assert ["no file in this directory ends in .toml, .json, .yaml, .yml"] == [
        line.partition(": ")[2] for line in problems(fragments(tmp_path / "conf.d", readme__md=""))
    ]


@pytest.mark.parametrize(
    ("name", "text", "path", "expected"),
    [
        ("LOG_LEVEL", "error", "log_level", "error"),
        ("PLUGINS__PAY_IN__ENDPOINT", "https://two", "plugins.pay-in.endpoint", "https://two"),
        ("PLUGINS__PAY_IN__VERSION", "12", "plugins.pay-in.version", "12"),
        ("PLUGINS__PAY_IN__INSTANCES", "3", "plugins.pay-in.instances", 3),
        ("PLUGINS__PAY_IN__ENABLED", "false", "plugins.pay-in.enabled", False),
        ("PLUGINS__PAY_IN__ARGS", '["a", "b"]', "plugins.pay-in.args", ("a", "b")),
        ("PLUGINS__PAY_IN__LABELS", '{ x = "y" }', "plugins.pay-in.labels", {"x": "y"}),
        ("PLUGINS__PAY_IN__ENV__LANG", "C", "plugins.pay-in.env", {"LANG": "C"}),
        ("PLUGINS__PAY_IN__RETRY__MAX_RETRIES", "0", "plugins.pay-in.retry.max_retries", 0),
        ("PLUGINS__PAY_IN__RETRY__MULTIPLIER", "1.5", "plugins.pay-in.retry.multiplier", 1.5),
        ("PLUGINS__PAY_IN__CONNECTION__REQUEST_TIMEOUT", "1m30s", "plugins.pay-in.connection.request_timeout", 90.0),
        ("PLUGINS__PAY_IN__OPTIONS__DEEP__X", "true", "plugins.pay-in.options", {"DEEP": {"X": True}}),
        ("PLUGINS__PAY_IN__FALLBACK__LAST_GOOD", "30s", "plugins.pay-in.fallback.last_good", 30.0),
        ("PLUGINS__ACME_SEARCH__LABELS__A_B", "9", "plugins.acme.search.labels", {"a-b": "9"}),
        ("PLUGINS__ACME_SEARCH__ENDPOINTS__1__WEIGHT", "8", "plugins.acme.search.endpoints", (
            Endpoint("http://a", priority=4), Endpoint("http://b", 8, 4))),
        ("PLUGINS__ACME_SEARCH__ENDPOINTS__0__WEIGHT", "8", "plugins.acme.search.endpoints", (
            Endpoint("http://a", 8, 4), Endpoint("http://b", 3, 4))),
        ("DEFAULTS__RETRY__MAX_RETRIES", "1", "plugins.pay-in.retry.max_retries", 1),
        ("plugins__pay_in__instances", "3", "plugins.pay-in.instances", 3),
    ],
)  # fmt: skip
def test_a_variable_sets_a_key(name: str, text: str, path: str, expected: object) -> None:
    """
    As text where text is wanted, and else as TOML would read it.
    """
    value: Any = overridden(**{name: text})
    for key in path.replace("acme.search", "acme/search").split("."):
        value = value[key.replace("/", ".")] if isinstance(value, dict) else getattr(value, key)

    assert (expected, type(expected)) == (value, type(value))


def test_variables_that_lead_nowhere_are_named_with_what_may_be_meant(tmp_path: Path) -> None:
    """
    All at once, together with what is wrong in the file; a misspelt plugin makes no new one.
    """
    file = tmp_path / "x.toml"
    file.write_text(MAIN + '[plugins.pay_in]\nendpoint = "http://x"\nnosuch = 1\n')
    names = {
        "PLUGINS__PAY_INN__ENDPOINT": "no plugin is configured as 'pay_inn'; did you mean \"pay_in\"?",
        "PLUGINS__ACME_SEARCH__INSTANCE": "there is no key 'instance' in plugins.acme.search; did you mean \"instan",
        "PLUGINS__ACME_SEARCH__NAME": "there is no key 'name' in plugins.acme.search",
        "LOG_LEVLE": "there is no key 'log_levle' at the top; did you mean \"log_level\"?",
        "LOG_LEVEL__X": "log_level is not a table",
        "PLUGINS__ACME_SEARCH__ENDPOINTS__7__URL": "plugins.acme.search.endpoints has no item '7'; it has 2",
        "PLUGINS__PAY__IN": "no plugin is configured as 'pay'",
        "": "there is no key '' at the top",
    }

    found = problems(
        file, **{f"REMORA__{name}": "x" for name in names}, REMORA_BACKEND="x", REMORA__PLUGINS__PAY_IN__X="1"
    )

    for name, reason in names.items():
        assert any(line.startswith(f"REMORA__{name}: {reason}") for line in found)
    assert "REMORA__PLUGINS__PAY_IN__X: plugins.pay-in and plugins.pay_in are both meant" in found
    assert any(line.startswith("x.toml:16: plugins.pay_in.nosuch: unknown key") for line in found)
    assert len(names) + 2 == len(found)


def test_a_variable_with_a_wrong_value_is_named(tmp_path: Path) -> None:
    """
    Instead of the line that it replaces.
    """
    file = tmp_path / "x.toml"
    file.write_text(MAIN.replace("max_retries = 7", "max_retries = 7 # replaced"))

    assert [
        "REMORA__DEFAULTS__RETRY__MAX_RETRIES: defaults.retry.max_retries:"
        ' expected a whole number of at least 0, got "x"'
    ] == (problems(file, REMORA__DEFAULTS__RETRY__MAX_RETRIES="x"))


ABOUT_OTHERS = {
    "PLUGINS__PAY_IN__ENDPOINTS": (
        '["http://a"]',
        "x.toml:7: plugins.pay-in: has both endpoint and endpoints; one of them is enough",
        "plugins.pay-in.endpoints",
    ),
    "PLUGINS__PAY_IN__RETRY__INITIAL_INTERVAL": (
        "10",
        "x.toml:7: plugins.pay-in.retry.max_interval: expected at least initial_interval, 10 s, got 5.0",
        "plugins.pay-in.retry.initial_interval",
    ),
    "PLUGINS__PAY_IN__RESOLVER__PATH": (
        "x",
        "x.toml:7: plugins.pay-in.resolver.method: missing",
        "plugins.pay-in.resolver.path",
    ),
}


@pytest.mark.parametrize("name", ABOUT_OTHERS)
def test_a_variable_that_does_not_go_with_other_keys_is_named(name: str, tmp_path: Path) -> None:
    """
    The problem is at another key, or at a table that no file has; variables that it is not about are left out.
    """
    file = tmp_path / "x.toml"
    file.write_text(MAIN)
    value, problem, key = ABOUT_OTHERS[name]

    found = problems(file, **{f"REMORA__{name}": value, "REMORA__PLUGINS__PAY_IN__CODEC": "msgpack"})

    assert [f"{problem} (REMORA__{name} sets {key})"] == found


def test_a_variable_that_only_looks_as_if_it_set_a_key_is_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Also when there are problems, which may be due to it. What files refer to is left out, and so is what belongs to
    other programs, such as the variables that Kubernetes sets for a service.
    """
    file = tmp_path / "x.toml"
    file.write_text('[plugins.p]\nmethod = "${REMORA_PLUGINS_METHOD}"')
    wrong = ["REMORA_PLUGINS_", "REMORA_PLUGINS_P(", "REMORA_PLUGINS_P_ENDPOINT", "REMORA_PLUGINS__P__ENDPOINT"]
    wrong += ["remora__log_level"]
    right = ["REMORA_PLUGIN", "REMORA_LISTEN", "REMORA_PLUGINS_METHOD", "REMORA_METRICS_SERVICE_HOST"]
    right += ["REMORA_METRICS_PORT", "REMORA__PLUGINS__P__CODEC", "MY_REMORA_PLUGINS_P"]

    assert ["x.toml:1: plugins.p: has no endpoint"] == problems(file, **dict.fromkeys([*wrong, *right], "x"))
    assert [f"{name}: sets no key; the names of those that do begin with REMORA__" for name in wrong] == caplog.messages


def test_a_variable_replaces_a_reference_that_is_not_set(tmp_path: Path) -> None:
    """
    And is not expanded itself.
    """
    file = tmp_path / "x.toml"
    file.write_text('[plugins.p]\nendpoint = "http://h"\nversion = "${NOT_SET}"')

    assert ["x.toml:3: plugins.p.version: the environment variable NOT_SET is not set"] == problems(file)
    assert (
        "http://${X}"
        == load_config(file, {"REMORA__PLUGINS__P__ENDPOINT": "http://${X}", "NOT_SET": ""}).plugins["p"].endpoint
    )
    assert "1" == load_config(file, {"REMORA__PLUGINS__P__VERSION": "1"}).plugins["p"].version


def test_each_value_has_the_place_that_set_it(tmp_path: Path) -> None:
    """
    The key itself, the defaults, the environment; what nobody set has none.
    """
    file = tmp_path / "x.toml"
    file.write_text(MAIN)
    loaded = trace_config(file, {"REMORA__PLUGINS__PAY_IN__INSTANCES": "2"})
    shown = {path: str(place).removeprefix(f"{tmp_path}/") for path, place in loaded.places.items()}

    assert "x.toml:8" == shown["plugins.pay-in.endpoint"]
    assert "x.toml:3 [defaults.retry]" == shown["plugins.pay-in.retry.max_retries"]
    assert "x.toml:6 [defaults.auth]" == shown["plugins.pay-in.auth.token"]
    assert "plugins.acme.search.auth.token" not in shown
    assert "REMORA__PLUGINS__PAY_IN__INSTANCES" == shown["plugins.pay-in.instances"]
    assert "x.toml:11" == shown["plugins.acme.search.endpoints[0].priority"]
    assert "plugins.pay-in.enabled" not in shown


@given(
    st.dictionaries(
        st.text(max_size=12) | st.sampled_from(["PLUGINS__PAY_IN__X", "PLUGINS__PAY_IN__ENV__A__B", "LOG_LEVEL"]),
        st.text(max_size=9),
        max_size=3,
    )
)
def test_any_variable_sets_a_key_or_is_a_problem(variables: dict[str, str]) -> None:
    """
    Nothing else comes out, and the files' own tables stay as they are.
    """
    tables: dict[str, Any] = {"plugins": {"pay-in": {"endpoint": "http://h"}}}
    found: list[str] = []
    places: dict[str, Any] = {}

    override(tables, {f"REMORA__{name}": text for name, text in variables.items()}, places, found)

    assert {"plugins": {"pay-in": {"endpoint": "http://h"}}} == tables
    assert (
        len(found) + len(places)
        <= len(variables)
        <= len(found) + len({each.source for each in places.values()}) + len(places)
    )


@given(st.text(max_size=8), st.integers(-9, 9), st.booleans(), st.floats(0.1, 9))
def test_a_variable_gives_every_type_its_value(text: str, number: int, flag: bool, seconds: float) -> None:
    """
    Text stays text, whatever it looks like.
    """
    found = overridden(
        PLUGINS__PAY_IN__CODEC=text,
        PLUGINS__PAY_IN__PRIORITY=str(number),
        PLUGINS__PAY_IN__ENABLED=str(flag).lower(),
        PLUGINS__PAY_IN__CONNECTION__IDLE_TIMEOUT=repr(seconds),
    ).plugins["pay-in"]

    assert (text, number, flag, seconds) == (found.codec, found.priority, found.enabled, found.connection.idle_timeout)


def test_twice_as_many_plugins_take_no_more_than_twice_as_long(tmp_path: Path) -> None:
    """
    Also to tell where what the defaults hand on was set. Calls of functions are counted, not seconds.
    """

    def calls(plugins: int) -> int:
        file = tmp_path / "x.toml"
        tables = [f'[plugins.p{number}]\nendpoint = "http://h{number}"\n' for number in range(plugins)]
        file.write_text("".join(["[defaults.retry]\nmax_retries = 7\nmultiplier = 3\n", *tables]))
        counted = 0

        def count(*_: object) -> None:
            nonlocal counted
            counted += 1

        sys.setprofile(count)
        try:
            load_config(file)
        finally:
            sys.setprofile(None)
        return counted

    calls(1)  # what is made once

    assert calls(200) < 2.2 * calls(100)
