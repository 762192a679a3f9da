"""
`remora plan`: what a reload would do, for people and for programs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contrib.cli.conftest import Run

OLD = """
    [plugins.one]
    endpoint = "http://127.0.0.1:1"
    [plugins.two]
    endpoints = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
    [plugins.three]
    endpoint = "exec:./three"
    enabled = false
"""

NEW = """
    log_level = "debug"
    [plugins.one]
    endpoint = "http://127.0.0.1:1"
    rate_limit = { enabled = true }
    [plugins.two]
    endpoints = ["http://127.0.0.1:2", "http://127.0.0.1:3"]
    [plugins.three]
    endpoint = "exec:./three"
    [plugins.four]
    endpoint = "http://127.0.0.1:4"
"""


@pytest.fixture
def files(place: Path) -> Path:
    """
    Two configurations.
    """
    (place / "old.toml").write_text(OLD)
    (place / "new.toml").write_text(NEW)
    return place


def test_each_change_has_its_smallest_action(remora: Run, files: Path) -> None:
    """
    With the keys that changed, and what becomes of the instances.
    """
    result = remora("plan", "old.toml", "new.toml")

    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("changed outside of plugins: log_level\n plugin")
    lines = [line.split() for line in result.out.splitlines()[3:]]
    assert lines == [
        ["one", "retuned", "rate_limit.enabled", "=", "http://127.0.0.1:1"],
        ["two", "replaced", "endpoints.url", "+", "http://127.0.0.1:3"],
        ["=", "http://127.0.0.1:2"],
        ["-", "http://127.0.0.1:1"],
        ["three", "started", "enabled", "+", "exec:./three"],
        ["four", "added", "+", "http://127.0.0.1:4"],
    ]


def test_the_plan_as_values(remora: Run, files: Path) -> None:
    """
    Also of plugins for which nothing changes.
    """
    plan = json.loads(remora("plan", "old.toml", "old.toml", "--json").out)

    assert ([], {"unchanged"}) == (plan["keys"], {each["action"] for each in plan["plugins"].values()})
    assert remora("plan", "old.toml", "old.toml").out == "3 unchanged\n"
    changed = json.loads(remora("plan", "old.toml", "new.toml", "--json").out)
    assert ["http://127.0.0.1:2"] == changed["plugins"]["two"]["kept"]


def test_a_configuration_that_is_wrong_is_named(remora: Run, files: Path) -> None:
    """
    The new one too.
    """
    (files / "bad.toml").write_text('[plugins.one]\nendpoint = "carrier:x"\n')
    result = remora("plan", "old.toml", "bad.toml")

    assert result.code == 3
    assert "bad.toml:2: plugins.one.endpoint: " in result.err


def test_a_warning_is_shown_once_for_each_file_with_its_place(remora: Run, place: Path) -> None:
    """
    For a plugin that changes; for one that does not, only the old file is looked at.
    """
    same = '[plugins.same]\nendpoint = "http://127.0.0.1:1"\nargs = ["x"]\n'
    (place / "old.toml").write_text(f'{same}[plugins.one]\nendpoint = "http://127.0.0.1:1"\nargs = ["x"]\n')
    (place / "new.toml").write_text(f'{same}\n[plugins.one]\nendpoint = "http://127.0.0.1:2"\nargs = ["x"]\n')
    result = remora("plan", "old.toml", "new.toml")

    assert [
        f"remora: warning: {where}: plugins.{name}: the transport http does not use args"
        for where, name in (("old.toml:1", "same"), ("old.toml:4", "one"), ("new.toml:5", "one"))
    ] == result.err.splitlines()
