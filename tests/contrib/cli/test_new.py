"""
`remora new`: what it writes works as it stands, with nothing but what is installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from remora import hookspecs
from tests.contrib.cli.conftest import Run, environment
from tests.fork_server import ForkServer

KINDS = {
    "auth": "remora_register_auth_methods",
    "balancer": "remora_register_balancers",
    "codec": "remora_register_codecs",
    "command": "remora_register_commands",
    "event": "remora_event",
    "exporter": "remora_register_metric_exporters",
    "interceptor": "remora_register_interceptors",
    "resolver": "remora_register_resolvers",
    "transport": "remora_register_transports",
}
NOT_THEIRS = [word for plugin in ("hypothesispytest", "timeout", "xdist") for word in ("-p", f"no:{plugin}")]
"""Without the plugins of pytest that only our own tests need."""

PROJECTS = [
    "plugin --transport http",
    "plugin --transport grpc",
    "plugin --transport unix",
    "plugin --transport exec",
    "host",
    *(f"extension --kind {kind}" for kind in KINDS),
]


@pytest.fixture(scope="module")
def with_pytest() -> Iterator[ForkServer]:
    """
    Runs pytest at a fraction of what it takes to import it.
    """
    with ForkServer("pytest", "anyio.pytest_plugin", "remora_pytest", "remora.testing") as server:
        yield server


@pytest.mark.parametrize("words", PROJECTS)
@pytest.mark.long
def test_the_tests_of_a_new_project_pass(words: str, remora: Run, place: Path, with_pytest: ForkServer) -> None:
    """
    At once, with warnings as errors, and its folder has all that a project needs.
    """
    what, *options = words.split()
    written = json.loads(remora("new", what, "my-thing", *options, "--json").out)
    folder = place / written["folder"]
    # pytest could no longer rewrite the assertions of plugins that are imported already, and would warn
    command = ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--assert=plain", *NOT_THEIRS]
    done = with_pytest.run(command, cwd=folder, env=environment())

    assert done.returncode == 0, done.stdout + done.stderr
    assert {"pyproject.toml", "README.md", "src/my_thing/__init__.py", "tests/conftest.py"} <= set(written["files"])


@pytest.mark.parametrize("what", ["plugin", "host", "extension"])
def test_the_next_step_is_that_of_its_readme(what: str, remora: Run, place: Path) -> None:
    """
    Which installs what the tests need.
    """
    steps = remora("new", what, "my-thing").out.splitlines()[-1].removeprefix("next: ").split(" && ")

    assert ["cd my-thing", "pip install --editable '.[test]'", "pytest"] == steps
    assert f"\n    {steps[1]}\n    {steps[2]}\n" in (place / "my-thing/README.md").read_text().replace('"', "'")


def test_there_is_a_project_for_every_hook(remora: Run) -> None:
    """
    Whatever can be added to Remora can be begun in one command.
    """
    offered = re.search(r"What an extension adds: ([\w,\s]+)\.", remora("new", "--help").out)

    assert offered
    assert set(re.split(r"[,\s]+", offered.group(1))) == set(KINDS)
    assert set(KINDS.values()) == {name for name in hookspecs.__all__ if name.startswith("remora_")}


def test_nothing_that_is_there_is_touched(remora: Run, place: Path) -> None:
    """
    And a name that cannot be used is refused.
    """
    (place / "my-thing").mkdir()
    (place / "my-thing" / "mine.txt").write_text("mine")

    assert (
        remora("new", "host", "my-thing").complaint
        == "remora: my-thing exists and is not empty: choose another name, or pass --into FOLDER"
    )
    assert "cannot be used" in remora("new", "host", "My Thing").complaint
    for name in ("json", "class", "remora"):
        assert f"Python means something else by it; try my-{name}" in remora("new", "plugin", name).complaint
    assert ["mine.txt"] == [path.name for path in (place / "my-thing").iterdir()]
