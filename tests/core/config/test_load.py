"""
From files and mappings to configuration records.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import (
    ConfigError,
    ConnectionConfig,
    Endpoint,
    Manager,
    ManagerConfig,
    NotInstalled,
    PluginConfig,
    TransportSpec,
    hookimpl,
)
from remora.config import load_config, structure_config
from remora.config._expand import expand
from remora.values import parse_duration


def problems(data: Any, **variables: str) -> tuple[str, ...]:
    """
    What is wrong with a configuration.
    """
    with pytest.raises(ConfigError) as caught:
        structure_config(data, variables=variables)
    return caught.value.problems


def problems_of(table: dict[str, object], **variables: str) -> tuple[str, ...]:
    """
    What is wrong with the table of the plugin `p`.
    """
    return problems({"plugins": {"p": {"endpoint": "http://h", **table}}}, **variables)


def plugin(table: dict[str, object], *, defaults: dict[str, object] | None = None, **variables: str) -> PluginConfig:
    """
    The record of a table.
    """
    data = {"defaults": defaults or {}, "plugins": {"p": {"endpoint": "http://h", **table}}}
    return structure_config(data, variables=variables).plugins["p"]


def test_a_file_becomes_records(tmp_path: Path) -> None:
    """
    The plain good case.
    """
    file = tmp_path / "remora.toml"
    file.write_text(
        """
        log_level = "debug"
        [plugins.pay]
        endpoint = "https://pay.example.com/api"
        labels = { team = "payments" }
        connection = { request_timeout = "1m30s", connection_timeout = "100ms", max_connections = 3 }
        [plugins.search]
        endpoints = ["grpc://a:1", { url = "unix:///run/s.sock", weight = 50, priority = 2 }]
        """
    )

    config = load_config(file)

    assert "debug" == config.log_level
    assert {"team": "payments"} == config.plugins["pay"].labels
    assert (
        ConnectionConfig(request_timeout=90.0, connection_timeout=0.1, max_connections=3)
        == config.plugins["pay"].connection
    )
    assert (Endpoint("grpc://a:1"), Endpoint("unix:///run/s.sock", 50, 2)) == config.plugins["search"].endpoints


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x = ", "Invalid value (at end of document)"),
        (b"[plugins.p]\nendpoint = 'a:'\nendpoint = 'b:'", "plugins.p.endpoint: is there already, on line 2"),
        (b"\xff\xfe", "can't decode byte 0xff"),
        (b"x = " + b"[" * 10_000, "nested too deeply"),
    ],
)
def test_what_is_no_toml_is_one_line_with_the_file(tmp_path: Path, content: bytes, message: str) -> None:
    """
    Never a traceback.
    """
    file = tmp_path / "remora.toml"
    file.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert str(caught.value).startswith(str(file))
    assert message in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())
    assert str(file) == caught.value.source


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """
    With the system's own reason.
    """
    with pytest.raises(ConfigError, match=r"none\.toml: No such file or directory"):
        load_config(tmp_path / "none.toml")


def test_an_unknown_ending_names_the_known_ones(tmp_path: Path) -> None:
    """
    The ending tells the format.
    """
    with pytest.raises(ConfigError, match=r"remora\.ini: unknown file ending; expected one of \.toml"):
        load_config(tmp_path / "remora.ini")


def test_problems_of_a_file_come_with_its_name(tmp_path: Path) -> None:
    """
    Also those that only the installed extensions can tell.
    """
    file = tmp_path / "remora.toml"
    file.write_text("[plugins.p]\nendpoint = 'nosuch:x'\n")

    with pytest.raises(NotInstalled) as caught:
        Manager.from_file(file)

    assert str(caught.value).startswith(
        f'{file}:2: plugins.p.endpoint: transport "nosuch" is provided by no installed extension'
    )
    assert str(file) == caught.value.source


def test_all_problems_are_reported_at_once() -> None:
    """
    Whatever their kind, and in whichever table.
    """
    found = problems(
        {
            "log_level": "loud",
            "defaults": {"connection": {"keep_alive": 1}},
            "plugins": {
                "a": {"endpont": "http://x", "endpoint": "http://h"},
                "b": {"endpoint": "http://${HOST}/", "instances": 0},
                "c": {},
                "d": {"endpoint": "nowhere"},
                "e e": {"endpoint": "http://h"},
                "f": 3,
            },
        }
    )

    paths = [line.partition(": ")[0] for line in found]
    assert [
        "defaults.connection.keep_alive",
        "log_level",
        "plugins.a.endpont",
        "plugins.b.endpoint",
        "plugins.b.instances",
        "plugins.c",
        "plugins.d.endpoint",
        "plugins.e e",
        "plugins.f",
    ] == sorted(paths)


def test_several_problems_are_listed_below_each_other() -> None:
    """
    One line per problem.
    """
    with pytest.raises(ConfigError) as caught:
        structure_config({"a": 1, "b": 2}, source="x.toml")

    first, *others = str(caught.value).splitlines()
    assert "x.toml: 2 problems" == first
    assert ["  x.toml: a:", "  x.toml: b:"] == [line.partition(" unknown")[0] for line in others]


@pytest.mark.fault(48)
def test_an_unknown_key_gets_a_suggestion() -> None:
    """
    Or the list of what there is.
    """
    assert ('plugins.p.endpont: unknown key; did you mean "endpoint"?',) == problems_of({"endpont": "x"})
    assert ('plugin: unknown key; did you mean "plugins"?',) == problems({"plugin": {}})
    assert "unknown key; known are endpoint, endpoints, " in problems_of({"zzzz": "x"})[0]


def test_a_key_that_belongs_one_table_below_is_shown_there() -> None:
    """
    With all that it may mean.
    """
    (timeout,) = problems_of({"timeout": 3})

    assert timeout.startswith('plugins.p.timeout: unknown key; did you mean "connection.')
    assert timeout.endswith(' or "health_check.timeout"?')
    assert ' "connection.request_timeout",' in timeout
    assert ('plugins.p.max_retries: unknown key; did you mean "retry.max_retries"?',) == problems_of({"max_retries": 3})


def test_a_key_that_may_be_one_of_its_transport_is_told_where_those_belong() -> None:
    """
    Unless it is plainly another one, misspelt.
    """
    advice = '(what only its transport knows belongs in "options")'

    assert (f'plugins.p.start_method: unknown key; did you mean "method"? {advice}',) == (
        problems_of({"start_method": "forkserver"})
    )
    assert problems_of({"stop_grace": 1})[0].endswith(advice)
    assert advice not in problems_of({"endpont": "x"})[0]
    assert advice not in problems({"plugin": {}})[0]


@pytest.mark.fault(48)
@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"instances": "two"}, "instances"),
        ({"instances": True}, "instances"),
        ({"instances": 1.5}, "instances"),
        ({"instances": 0}, "instances"),
        ({"enabled": "yes"}, "enabled"),
        ({"labels": ["a"]}, "labels"),
        ({"labels": {"a": 1}}, "labels.a"),
        ({"args": "--fast"}, "args"),
        ({"connection": 3}, "connection"),
        ({"connection": {"request_timeout": 0}}, "connection.request_timeout"),
        ({"connection": {"request_timeout": -1}}, "connection.request_timeout"),
        ({"connection": {"request_timeout": float("nan")}}, "connection.request_timeout"),
        ({"connection": {"request_timeout": float("inf")}}, "connection.request_timeout"),
        ({"connection": {"request_timeout": 10**400}}, "connection.request_timeout"),
        ({"connection": {"request_timeout": "9" * 400 + "s"}}, "connection.request_timeout"),
        ({"connection": {"request_timeout": "soon"}}, "connection.request_timeout"),
        ({"connection": {"max_connections": 10**400}}, "connection.max_connections"),
        ({"endpoint": "", "endpoints": [{"url": "http://h", "weight": -1}]}, "endpoints[0].weight"),
        ({"endpoint": "", "endpoints": [{"url": "http://h", "weight": 10**400}]}, "endpoints[0].weight"),
        ({"endpoint": "", "endpoints": [{"weight": 1}]}, "endpoints[0].url"),
        ({"endpoint": "", "endpoints": [{"url": "h"}]}, "endpoints[0].url"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_path(table: dict[str, object], path: str) -> None:
    """
    Type or range.
    """
    (line,) = problems_of(table)

    assert line.startswith(f"plugins.p.{path}: ")
    assert 1 == len(line.splitlines())


def test_arguments_that_are_one_text_are_not_quoted() -> None:
    """
    A secret may be among them.
    """
    assert ["plugins.p.args: expected a list"] == list(problems_of({"args": "--token s3cr3t"}))


def test_a_wrong_table_is_the_same_with_defaults_for_it() -> None:
    """
    The merge hides nothing.
    """
    data = {"defaults": {"connection": {"keep_alive": False}}, "plugins": {"p": {"endpoint": "a:", "connection": 3}}}

    assert "plugins.p.connection: expected" in problems(data)[0]


@pytest.mark.parametrize("defaults", [3, [], "x", {"connection": 3}, {"conection": {}}])
def test_wrong_defaults_are_reported_once(defaults: object) -> None:
    """
    Not once more for every plugin.
    """
    data = {"defaults": defaults, "plugins": {"a": {"endpoint": "a:"}, "b": {"endpoint": "b:"}}}

    (line,) = problems(data)
    assert line.startswith("defaults")


@pytest.mark.parametrize("value", [30, 30.0, "30s", "0.5m", "30000ms", "29s1000ms"])
def test_durations_can_be_written_in_many_ways(value: object) -> None:
    """
    As a number of seconds, or with units.
    """
    assert 30.0 == plugin({"connection": {"request_timeout": value}}).connection.request_timeout


@pytest.mark.parametrize("text", ["", "s", "30", "30 s", "-3s", "3s junk", "1e3s", ".5s", "٣s", "3S", "1m 30s", "\n3s"])
def test_other_text_is_no_duration(text: str) -> None:
    """
    Nothing is guessed.
    """
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["9" * 400 + "d", ("9" * 308 + "s") * 20], ids=["one", "sum"])
def test_a_duration_is_never_infinite(text: str) -> None:
    """
    However many digits it has.
    """
    with pytest.raises(ValueError, match="is longer than any number of seconds"):
        parse_duration(text)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h", "d"])), min_size=1))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    """
    In any order and number.
    """
    seconds = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    text = "".join(f"{number}{unit}" for number, unit in parts)

    assert sum(number * seconds[unit] for number, unit in parts) == pytest.approx(parse_duration(text))


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    """
    Nothing else comes out.
    """
    with suppress(ValueError):
        assert parse_duration(text) >= 0


def test_variables_stand_for_their_values_everywhere() -> None:
    """
    In every string, more than once, in tables and arrays.
    """
    table: dict[str, object] = {"endpoint": "http://${H}:${P}/", "args": ["${H}"], "labels": {"h": "<${H}>"}}
    found = plugin(table, H="host", P="80")

    assert ("http://host:80/", ("host",), {"h": "<host>"}) == (found.endpoint, found.args, found.labels)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${SET}", "value"),
        ("${SET:-other}", "value"),
        ("${UNSET:-other}", "other"),
        ("${UNSET:-}", ""),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("$${SET}", "${SET}"),
        ("$SET", "$SET"),
        ("${1}", "${1}"),
        ("a$${b}${SET}", "a${b}value"),
        ("${NESTED}", "${SET}"),
    ],
)
def test_references_follow_the_shell(text: str, expected: str) -> None:
    """
    A default stands in for a variable that is unset or empty; values are not expanded again.
    """
    assert expected == plugin({"work_dir": text}, SET="value", EMPTY="", NESTED="${SET}").work_dir


@pytest.mark.parametrize(
    "text", ["${UNSET:-${SET:-other}}", "${SET", "x${SET-other}", "${SET:?missing}", "${SET }", "${UNSET:-a${SET}b}"]
)
def test_what_is_nearly_a_variable_is_an_error(text: str) -> None:
    """
    Or else a token would be "${TOKEN", and a default half of a reference. The message quotes nothing: it may be secret.
    """
    (problem,) = problems_of({"work_dir": text}, SET="value")

    assert problem == (
        "plugins.p.work_dir: expected ${VAR} or ${VAR:-default}, where the default has no variable in it; "
        "a literal ${ is written as $${"
    )


@given(st.text(alphabet="${}A:-_ x\n"), st.text(alphabet="${}A x"))
def test_text_that_is_escaped_stays_and_values_are_taken_as_they_are(text: str, value: str) -> None:
    """
    Nothing is expanded twice, and a dollar alone means nothing.
    """
    found: list[str] = []
    escaped = text.replace("${", "$${")

    assert text == expand(escaped, {"A": value}, found)
    assert [f"<{value}>"] == expand(["<${A}>"], {"A": value}, found)
    assert [] == found


def test_all_missing_variables_are_named_at_once() -> None:
    """
    With the paths where they are wanted, and without guesses about their values.
    """
    data = {"log_level": "${LEVEL}", "plugins": {"p": {"endpoint": "${A}${B}", "args": ["x", "${C}"], "instances": 0}}}

    found = problems(data)

    assert "log_level: the environment variable LEVEL is not set" in found
    assert "plugins.p.endpoint: the environment variable A is not set" in found
    assert "plugins.p.endpoint: the environment variable B is not set" in found
    assert "plugins.p.args[1]: the environment variable C is not set" in found
    assert "plugins.p.instances" == found[4].partition(": ")[0]
    assert 5 == len(found)


def test_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of this process, at the time of reading.
    """
    monkeypatch.setenv("REMORA_TEST_HOST", "there")

    config = structure_config({"plugins": {"p": {"endpoint": "http://${REMORA_TEST_HOST}"}}})

    assert "http://there" == config.plugins["p"].endpoint


def test_defaults_are_merged_field_by_field() -> None:
    """
    A plugin's own value wins, the others stay.
    """
    defaults: dict[str, object] = {"connection": {"max_connections": 7, "keep_alive": False}}

    found = plugin({"connection": {"max_connections": 2}}, defaults=defaults).connection

    assert ConnectionConfig(max_connections=2, keep_alive=False) == found


def test_an_endpoint_is_needed_and_one_form_of_it_is_enough() -> None:
    """
    Neither none nor two.
    """
    assert ("plugins.p: has no endpoint",) == problems({"plugins": {"p": {}}})
    assert ("plugins.p: has both endpoint and endpoints; one of them is enough",) == problems_of({"endpoints": ["a:"]})


def test_the_name_is_no_key() -> None:
    """
    It stands in the table's own name.
    """
    assert ("plugins.p.name: unknown key; the name is the one in [plugins.p]",) == problems_of({"name": "q"})


@pytest.mark.parametrize(
    "table",
    [
        {"env": {"API_KEY": 12345678}},
        {"options": {}, "env": {"LANG": 12345678}},
        {"annotations": {"token": 12345678}},
        {"labels": {"password": ["12345678"]}},
    ],
)
def test_what_may_be_a_secret_is_not_quoted(table: dict[str, object]) -> None:
    """
    The path and the expectation are enough.
    """
    (line,) = problems_of(table)

    assert "expected" in line
    assert "12345678" not in line


def test_any_kind_of_mapping_will_do() -> None:
    """
    Also one that cannot be changed, with tuples for arrays.
    """
    table = MappingProxyType({"endpoints": ("http://h",), "connection": MappingProxyType({"max_connections": 2})})
    config = structure_config(MappingProxyType({"plugins": MappingProxyType({"p": table})}))

    assert 2 == config.plugins["p"].connection.max_connections


def test_a_mapping_that_contains_itself_is_refused() -> None:
    """
    In one line.
    """
    data: dict[str, object] = {}
    data["plugins"] = data

    assert problems(data)


KEYS = st.sampled_from(
    [
        "plugins",
        "defaults",
        "log_level",
        "p",
        "endpoint",
        "endpoints",
        "connection",
        "instances",
        "options",
        "env",
        3,
        None,
    ]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3)
VALUES = VALUES | st.sampled_from(["${X}", "http://h", "9" * 400 + "s", 10**400])
TABLES = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)


def found_in(data: Any) -> tuple[str, ...]:
    """
    What is wrong with a configuration, if anything.
    """
    try:
        structure_config(data, variables={})
    except ConfigError as error:
        return (*error.problems, str(error))
    return ()


@pytest.mark.fault(48)
@given(TABLES)
def test_whatever_is_configured_is_accepted_or_a_config_error(data: Any) -> None:
    """
    One line for each problem.
    """
    assert all(found_in(data))


@given(st.dictionaries(st.sampled_from(["p", "q q", 3]), st.dictionaries(KEYS, TABLES, max_size=4), max_size=2))
def test_whatever_a_plugin_is_configured_with_is_accepted_or_a_config_error(plugins: Any) -> None:
    """
    Closer to what is right.
    """
    assert all(found_in({"plugins": plugins}))


@dataclass(frozen=True)
class Options:
    """
    What the transport below can be told.
    """

    depth: int = 1
    env: dict[str, str] | None = None
    name: str = ""


class Carrier:
    """
    A transport that remembers its options.
    """

    def __init__(self) -> None:
        self.options: list[Options] = []

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[Options]]:
        """
        One transport.
        """
        return [TransportSpec("carrier", ("carrier",), Options, self.options.append)]  # type: ignore[arg-type]


def refused(*tables: dict[str, object]) -> ConfigError:
    """
    The error of a manager that is to use the transport above.
    """
    plugins = {f"p{number}": {"endpoint": "carrier:x", **table} for number, table in enumerate(tables)}
    with pytest.raises(ConfigError) as caught:
        Manager({"plugins": plugins}, extensions=[Carrier()])
    return caught.value


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConfigError("no such place"), "plugins.p.endpoint: no such place"),
        (
            ValueError("odd"),
            "plugins.p.endpoint: the transport 'carrier' of acme (passed to the manager) cannot check 'carrier:x': "
            "ValueError: odd",
        ),
    ],
)
def test_what_a_transport_says_of_an_endpoint_is_located(error: Exception, message: str) -> None:
    """
    Also when its check fails itself, and then with whose it is.
    """

    def check(endpoint: Endpoint) -> None:
        raise error

    spec = TransportSpec("carrier", ("carrier",), Options, Carrier().options.append, check=check)  # type: ignore[arg-type]
    module = ModuleType("acme")
    module.remora_register_transports = hookimpl(lambda: [spec])  # type: ignore[attr-defined]
    with pytest.raises(ConfigError) as caught:
        Manager({"plugins": {"p": {"endpoint": "carrier:x"}}}, extensions=[module])

    assert message == str(caught.value)


def test_options_are_checked_against_the_transports_record() -> None:
    """
    Names and types.
    """
    assert ('plugins.p0.options.depht: unknown key; did you mean "depth"?',) == refused(
        {"options": {"depht": 1}}
    ).problems
    assert refused({"options": {"depth": "deep"}}).problems[0].startswith("plugins.p0.options.depth: expected")


@pytest.mark.anyio
async def test_keys_that_the_transport_does_not_use_are_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """
    They may wait there for an endpoint that uses them.
    """
    table = {"endpoint": "carrier:x", "work_dir": "/", "args": ["x"], "env": {"A": "b"}}
    async with Manager({"plugins": {"p": table}}, extensions=[Carrier()]):
        pass

    assert "plugins.p: the transport carrier does not use args, work_dir" in caplog.text


@pytest.mark.parametrize(("balancer", "how"), [("", "taking turns"), ("p2c", "the balancer 'p2c'")])
def test_a_key_that_the_balancer_does_not_use_is_named_in_the_log(
    balancer: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Calls about one thing would not be kept together, and nobody would notice.
    """
    table = {"endpoint": "carrier:x", "hash_header": "x-user"}
    Manager({"plugins": {"p": table | {"balancer": "consistent-hash"}}}, extensions=[Carrier()])
    assert not caplog.messages

    Manager({"plugins": {"p": table | {"balancer": balancer}}}, extensions=[Carrier()])
    assert [f"plugins.p.hash_header: has no effect; {how} does not look at it"] == caplog.messages


def test_a_name_with_a_line_break_makes_no_further_line() -> None:
    """
    Of what is told about it.
    """
    with pytest.raises(ConfigError) as caught:
        structure_config({"plugins": {"a\nb": {}, "c": {}}})

    _, first, second = caught.value.message.splitlines()
    assert first.startswith(r"  plugins.a\nb: a plugin's name is made of")
    assert "  plugins.c: has no endpoint" == second


def test_a_key_of_the_plugin_is_no_option() -> None:
    """
    It would be lost in silence.
    """
    error = refused({"options": {"env": {"A": "b"}}})

    assert ("plugins.p0.options.env: belongs in the plugin's own table, as plugins.p0.env",) == error.problems


def test_the_problems_of_all_plugins_are_reported_at_once() -> None:
    """
    Also those that only the installed extensions can tell.
    """
    error = refused({"codec": "jsom"}, {"options": {"x": 1}}, {"endpoint": "nosuch:"}, {})

    assert 3 == len(error.problems)
    assert "3 problems" == str(error).splitlines()[0]


def test_a_disabled_plugin_needs_nothing() -> None:
    """
    Its transport need not even be installed.
    """
    Manager({"plugins": {"p": {"endpoint": "nosuch:x", "enabled": False}}})


@pytest.mark.parametrize(
    ("config", "path"),
    [
        (PluginConfig(name="p"), "plugins.p"),
        (PluginConfig(name="p q", endpoint="memory:x"), "plugins.p q"),
        (PluginConfig(name="p", endpoint="memory:x", instances=0), "plugins.p.instances"),
        (PluginConfig(name="p", endpoints=(Endpoint("memory:x", weight=-1),)), "plugins.p.endpoints[0].weight"),
        (
            PluginConfig(name="p", endpoint="memory:x", connection=ConnectionConfig(max_connections=0)),
            "plugins.p.connection.max_connections",
        ),
        (PluginConfig(name="p", endpoint=3), "plugins.p.endpoint"),  # type: ignore[arg-type]
    ],
)
def test_records_made_in_code_are_checked_too(config: PluginConfig, path: str) -> None:
    """
    They need not come from a file.
    """
    with pytest.raises(ConfigError) as caught:
        Manager(ManagerConfig(plugins={config.name: config}))

    assert caught.value.problems[0].startswith(f"{path}: ")
