"""
TOML, JSON and YAML: the same records from the same keys, and one line with the place for whatever is wrong.
"""

from __future__ import annotations

import json
import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import yaml
from hypothesis import given
from hypothesis import strategies as st

from remora import ConfigError, Manager, ManagerConfig, NotInstalled
from remora.config import FORMATS, load_config, structure_config, trace_config
from remora.config._places import join_path, path_text
from remora.config._scanner import scan_json, scan_toml
from tests.core.config.files import NAMES, ONE_FILE, PLUGINS, Quoting, paths, written

TOML = """\
log_level = "debug"

[defaults.retry]
max_retries = 7

[plugins.pay]
endpoint = "https://pay.example.com"
retry = { multiplier = 3.0 }
labels = { "a.b" = "c" }

[[plugins.search.endpoints]]
url = "http://one"

[[plugins.search.endpoints]]
url = "http://two"
weight = 5
"""
YAML = """\
log_level: debug
defaults:
  retry: {max_retries: 7}
plugins:
  pay:
    endpoint: https://pay.example.com
    retry: &again
      multiplier: 3.0
    labels: {a.b: c}
  search:
    endpoints:
      - url: http://one
      - {url: http://two, weight: 5}
"""
JSON = json.dumps(tomllib.loads(TOML), indent=1)


def problems(file: Path) -> list[str]:
    """
    What is wrong with a file, without the folder that it is in.
    """
    with pytest.raises(ConfigError) as caught:
        load_config(file, {})
    assert all(1 == len(line.splitlines()) for line in caught.value.problems)
    return [line.removeprefix(f"{file.parent}/") for line in caught.value.problems]


def test_three_formats_make_the_same_records(tmp_path: Path) -> None:
    """
    From the same keys.
    """
    texts = {"x.toml": TOML, "x.json": JSON, "x.yaml": YAML, "x.yml": YAML, "with-bom.toml": "\ufeff" + TOML}
    configs = [load_config(written(tmp_path, name, text)) for name, text in texts.items()]

    assert "debug" == configs[0].log_level
    assert 7 == configs[0].plugins["pay"].retry.max_retries
    assert [configs[0]] * 5 == configs


@pytest.mark.parametrize(
    ("name", "text", "line", "path"),
    [
        ("x.toml", TOML.replace("3.0", '"much"'), 8, "plugins.pay.retry.multiplier"),
        ("x.toml", TOML.replace('"http://two"', "2"), 15, "plugins.search.endpoints[1].url"),
        ("x.json", JSON.replace("3.0", '"much"'), 12, "plugins.pay.retry.multiplier"),
        ("x.yaml", YAML.replace("3.0", "much"), 8, "plugins.pay.retry.multiplier"),
        ("x.yaml", YAML.replace("http://two", "2"), 13, "plugins.search.endpoints[1].url"),
        ("x.toml", TOML.replace("= 7", "= -7"), 4, "defaults.retry.max_retries"),
        ("x.toml", TOML.replace('"c"', "1"), 9, 'plugins.pay.labels["a.b"]'),
        ("x.toml", "\n\n[plugins.p]\n", 3, "plugins.p"),
    ],
)
def test_a_problem_comes_with_file_line_and_path(tmp_path: Path, name: str, text: str, line: int, path: str) -> None:
    """
    As compilers write it.
    """
    (problem,) = problems(written(tmp_path, name, text))

    assert problem.startswith(f"{name}:{line}: {path}: ")


def test_a_word_that_is_close_gets_a_suggestion(tmp_path: Path) -> None:
    """
    Keys, choices and the names of plugins.
    """
    text = """
        log_level = "wanring"
        [plugins.payment]
        endpoint = "http://h"
        protocol = "json"
        fallback = { plugin = "serach" }
        conection = {}
        [plugins.search]
        endpoint = "http://h"
    """
    found = problems(written(tmp_path, "x.toml", text))

    assert (
        'x.toml:2: log_level: expected "debug", "info", "warning" or "error", got "wanring"; did you mean "warning"?'
        in found
    )
    assert any(each.startswith("x.toml:5: plugins.payment.protocol: ") and 'mean "jsonl"' in each for each in found)
    assert any(each.startswith("x.toml:6: plugins.payment.fallback.plugin: ") and '"search"?' in each for each in found)
    assert 'x.toml:7: plugins.payment.conection: unknown key; did you mean "connection"?' in found
    assert 4 == len(found)


def test_what_extensions_know_is_named_together_with_the_rest(tmp_path: Path) -> None:
    """
    Nobody has to correct a file twice; and nothing is said about what may only be misspelt.
    """
    text = """
        [plugins.a]
        endpoint = "nosuch:x"
        [plugins.b]
        endpoint = "nosuch:x"
        instances = 0
        [plugins.c]
        endpoint = "http://h"
        fallback = { plugin = "x" }
        [plugins.d]
        endpont = "http://h"
    """
    file = written(tmp_path, "x.toml", text)
    with pytest.raises(ConfigError) as caught:
        Manager.from_file(file)

    lines = [line.removeprefix(f"{file}:").partition("; ")[0] for line in caught.value.problems]
    assert [
        '3: plugins.a.endpoint: transport "nosuch" is provided by no installed extension',
        '5: plugins.b.endpoint: transport "nosuch" is provided by no installed extension',
        "6: plugins.b.instances: expected a whole number of at least 1, got 0",
        "9: plugins.c.fallback.plugin: expected another plugin that is configured, got 'x'",
        "11: plugins.d.endpont: unknown key",
    ] == lines


def test_values_of_what_is_off_are_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    Unless the table, or the defaults, say whether it is on.
    """
    text = """
        [plugins.a]
        endpoint = "http://h"
        rate_limit = { burst_size = 2 }
        [plugins.b]
        endpoint = "http://h"
        connection.adaptive_limit = { maximum = 5 }
        [plugins.c]
        endpoint = "http://h"
        rate_limit = { enabled = false, burst_size = 2 }
    """
    file = written(tmp_path, "x.toml", text)
    load_config(file)
    only_a = text.partition("[plugins.b]")[0]
    load_config(written(tmp_path, "y.toml", f"[defaults.rate_limit]\nenabled = true\n{only_a}"))

    assert [
        f"{file}:7: plugins.b.connection.adaptive_limit: has no effect without `enabled = true`",
        f"{file}:4: plugins.a.rate_limit: has no effect without `enabled = true`",
    ] == caplog.messages


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.toml", "a = 1\nb = = 2", "x.toml:2: Invalid value"),
        (
            "x.toml",
            "[plugins.p]\nendpoint = 'a:'\nendpoint = 'b:'\n= \"",
            "x.toml:3: plugins.p.endpoint: is there already, on line 2",
        ),
        ("x.toml", "[a.b]\n[a]\n[c]\n[a]", "x.toml:4: a: is there already, on line 2"),
        ("x.toml", "[[a]]\nb.c = 1\n[[a]]\nb.c = 1\nb.c = 2", "x.toml:5: a[1].b.c: is there already, on line 4"),
        ("x.toml", "a = {b = 1,\t b = 2}", "x.toml:1: a.b: is there already, on line 1"),
        ("x.toml", "a.b = 1\n[a]", "x.toml:2: Cannot declare ('a',) twice"),
        ("x.toml", b"a = 1\nb = '\xff'", "x.toml:2: 'utf-8' codec can't decode byte 0xff"),
        ("x.json", '{\n"a": 1,\n}', "x.json:"),
        ("x.json", '{"a": {"b": 1,\n"b": 2}}', "x.json:2: a.b: is there already, on line 1"),
        ("x.json", '{"a": NaN}', "x.json: NaN is not a JSON number"),
        ("x.json", '{"a": -Infinity}', "x.json: -Infinity is not a JSON number"),
        ("x.json", '{"a": ' + "9" * 5000 + "}", "x.json: Exceeds the limit"),
        ("x.json", "[" * 100_000, "x.json: nested too deeply"),
        ("x.json", "[1]", "x.json: the configuration must be a table"),
        ("x.json", '{"a": ["\\ud800"]}', "x.json: a text contains half of a surrogate pair"),
        ("x.yaml", 'a: "\\ud800"', "x.yaml: a text contains half of a surrogate pair"),
        ("x.json", "", "x.json:1: Expecting value"),
        ("x.yaml", "a: 1\na: 2", "x.yaml:2: the key 'a' is there already, on line 1"),
        ("x.yaml", "a: [1,", "x.yaml:"),
        ("x.yaml", "a: 1\n---\nb: 2", "x.yaml:2: but found another document"),
        ("x.yaml", "a: !!python/object/apply:os.system [x]", "x.yaml:1: the tag tag:yaml.org,2002:python/object"),
        ("x.yaml", "a: !include x", "x.yaml:1: the tag !include means nothing here"),
        ("x.yaml", "a: \x07", "x.yaml: unacceptable character"),
        ("x.yaml", "1: a\n? [b]\n: c", "x.yaml:1: a key must be text, not 1; quotes make it text"),
        ("x.yaml", "a: &a [*a]", "x.yaml: nested too deeply"),
        ("x.yaml", "- a", "x.yaml: the configuration must be a table"),
        ("x.yaml", "[" * 10_000, "x.yaml: nested too deeply"),
        ("x.yaml", "a: !!bool maybe", "x.yaml:1: 'maybe' is not a boolean: write true or false"),
        (
            "x.yaml",
            "a: &a [1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
            "x.yaml:1: the aliases make more than 100000 values",
        ),
    ],
)
def test_what_is_not_of_its_format_is_one_line(tmp_path: Path, name: str, content: str | bytes, problem: str) -> None:
    """
    Never a traceback, and no run without end.
    """
    first = problems(written(tmp_path, name, content))[0]

    assert first.startswith(problem)


def test_yaml_means_by_words_what_the_other_formats_do(tmp_path: Path) -> None:
    """
    The country is no "false", a time no number and a day no date; what is empty is nothing.
    """
    text = (
        "plugins: {p: {endpoint: 'http://h', options: {a: [no, on, 1:30, 2026-01-02, 0x1f, 0o17, 1e3, true, ~, 012]}}}"
    )
    found = load_config(written(tmp_path, "x.yaml", text)).plugins["p"].options["a"]

    assert ["no", "on", "1:30", "2026-01-02", 31, 15, 1000.0, True, None, 12] == found
    assert ManagerConfig() == load_config(written(tmp_path, "empty.yaml", "# nothing\n"))


def test_yaml_that_is_not_installed_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    And the file that wants it.
    """
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "remora.config._yaml", raising=False)
    file = written(tmp_path, "x.yaml", YAML)

    with pytest.raises(NotInstalled) as caught:
        load_config(file)
    assert f'{file}: YAML cannot be read without PyYAML: pip install "remora[yaml]"' == str(caught.value)


def test_a_json_file_may_name_its_schema(tmp_path: Path) -> None:
    """
    Editors look for it there.
    """
    text = '{"$schema": "remora.schema.json", "log_level": "error"}'

    assert "error" == load_config(written(tmp_path, "x.json", text)).log_level


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6) | st.sampled_from(
    ['a"b', "a'b", "#", "x = [1]", "]]", "a\\b", '"""', "'''", "a.b", "}"]
)
LEAVES = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | WORDS
TREES = st.dictionaries(
    WORDS,
    st.recursive(
        LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(WORDS, each, max_size=3), max_leaves=9
    ),
    max_size=4,
)


@given(TREES)
def test_every_key_of_a_toml_document_has_its_line(tree: dict[str, Any]) -> None:
    """
    However it is quoted, nested and written.
    """
    text = tomlkit.dumps(tree)

    assert paths(tomllib.loads(text)) == scan_toml(text).keys()


@given(TREES, st.sampled_from([None, 0, 2]))
def test_every_key_of_a_json_document_has_its_line(tree: dict[str, Any], indent: int | None) -> None:
    """
    However it is nested and written.
    """
    lines, duplicates = scan_json(json.dumps(tree, indent=indent))

    assert (paths(tree), []) == (lines.keys(), duplicates)


def test_the_lines_of_toml_are_those_that_a_reader_would_name() -> None:
    """
    In every way to write a table.
    """
    text = '''# first
a.b = 1
c = """
x = 1
"""
[d]
e = { f = [
  1, # one
  2.5], g = 1979-05-27 07:32:00 }
[[h.i]]
[[h.i]]
j = [1979-05-27 07:32:00, "]"]
[h.i.k]
'l m' = \'\'\'
\'\'\''''

    assert {
        "a": 2, "a.b": 2, "c": 3, "d": 6, "d.e": 7, "d.e.f": 7, "d.e.f[0]": 8, "d.e.f[1]": 9, "d.e.g": 9,
        "h": 10, "h.i": 10, "h.i[0]": 10, "h.i[1]": 11, "h.i[1].j": 12, "h.i[1].j[0]": 12, "h.i[1].j[1]": 12,
        "h.i[1].k": 13, 'h.i[1].k["l m"]': 14,
    } == {path_text(path): line for path, line in scan_toml(text).items()}  # fmt: skip
    assert paths(tomllib.loads(text)) == scan_toml(text).keys()


CONFIGS = st.fixed_dictionaries(
    {"plugins": st.dictionaries(NAMES, PLUGINS, max_size=3)},
    optional={"log_level": st.sampled_from(["debug", "info"]), "defaults": st.just({"retry": {"max_retries": 4}})},
)


@ONE_FILE
@given(CONFIGS)
def test_records_survive_every_format(tmp_path: Path, tables: dict[str, Any]) -> None:
    """
    And each key has its line in each.
    """
    texts = {
        "x.toml": tomlkit.dumps(tables),
        "x.json": json.dumps(tables),
        "x.yaml": yaml.dump(tables, Dumper=Quoting, allow_unicode=True),
    }
    loaded = [trace_config(written(tmp_path, name, text), {}) for name, text in texts.items()]

    assert [structure_config(tables, variables={})] * 3 == [each.config for each in loaded]
    assert all({path_text(path) for path in paths(tables)} <= each.places.keys() for each in loaded)


@ONE_FILE
@given(
    st.sampled_from(sorted(FORMATS)),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=40)
    | st.lists(
        st.sampled_from([*"{}[]:,-=\"'\n #&*!|>?%@`~.", "  ", "a", "plugins", "p", "endpoint", "'a:'", "1", "<<"])
    ).map(lambda parts: "".join(parts).encode()),
)
def test_garbage_is_a_configuration_or_a_config_error(tmp_path: Path, ending: str, content: bytes) -> None:
    """
    In every format.
    """
    with suppress(ConfigError):
        load_config(written(tmp_path, f"x{ending}", content), {})


def test_paths_are_joined_as_messages_write_them() -> None:
    """
    Quotes where they are needed; names of plugins need none.
    """
    assert 'plugins.a.b.labels["x y"][3]' == path_text(["plugins", "a.b", "labels", "x y", 3])
    assert "plugins.p" == join_path("plugins", "p")
