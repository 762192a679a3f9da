"""
Other people's extensions on the command line: their commands, and what becomes of them when they are broken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contrib.cli.conftest import Run

HELLO = """
from remora import CommandSpec, hookimpl


def build():
    import click

    @click.command(help="Say hello.")
    def hello():
        click.echo("hello")
        return 7

    return hello


@hookimpl
def remora_register_commands():
    return [CommandSpec(name="hello", build=build, help="Say hello.")]
"""

AUTH = """
from dataclasses import dataclass
from remora import AuthSpec, hookimpl


@dataclass(frozen=True)
class Options:
    pass


@hookimpl
def remora_register_auth_methods():
    return [AuthSpec(name="badge", options=Options, build=lambda options: None)]
"""

Install = Callable[[str, str], None]


@pytest.fixture
def install(place: Path) -> Install:
    """
    Puts a distribution with one entry point where the command line finds it.
    """

    def install_(name: str, source: str) -> None:
        (place / f"{name}_plugin.py").write_text(source)
        info = place / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[remora]\n{name} = {name}_plugin\n")

    return install_


def test_built_in_extensions_are_listed(remora: Run) -> None:
    """
    Each with its distribution, its version and what it adds.
    """
    found = {each["name"]: each for each in json.loads(remora("extensions", "--json").out)}

    assert found["cli"]["distribution"] == "remora-cli"
    assert found["cli"]["state"] == "loaded"
    assert "command demo" in found["cli"]["features"]
    assert found["core"]["features"] == ["codec json", "resolver static"]


def test_table_names_every_extension(remora: Run) -> None:
    """
    For the eye.
    """
    result = remora("extensions")
    names = {line.split()[0] for line in result.out.splitlines() if not line.startswith("  ")}

    assert (result.code, result.err) == (0, "")
    assert {"name", "cli", "core", "http", "unix"} <= names
    assert "auth method: none, api-key, bearer" in result.out


def test_command_of_an_extension_appears(remora: Run, install: Install) -> None:
    """
    It is listed and run like any other; what its function returns is no exit code.
    """
    install("acme", HELLO)

    assert re.search(r"hello +Say hello\.", remora("--help").out)
    assert remora("hello").out == "hello\n"
    assert remora("hello").code == 0


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nosuchthing", "cannot be imported: ModuleNotFoundError: No module named 'nosuchthing'"),
        (
            HELLO.replace("return [", "return ["[:-1] + "1 / 0 or ["),
            "failed to register its features: ZeroDivisionError",
        ),
        (HELLO.replace("register_commands", "register_comands"), "has a wrong hook: "),
    ],
    ids=["import", "hook", "misspelt"],
)
def test_broken_extension_does_not_break_the_command_line(
    source: str, reason: str, remora: Run, install: Install
) -> None:
    """
    It is reported where one asks, and the exit code tells.
    """
    install("acme", source)
    result = remora("extensions", "--json")
    acme = next(each for each in json.loads(result.out) if each["name"] == "acme")

    assert (result.code, acme["state"]) == (3, "broken")
    assert acme["problem"].startswith(f"extension 'acme' of acme 1.0 {reason}")
    assert (remora("--help").code, remora("--help").err) == (0, "")
    assert reason.split()[-1] in " ".join(remora("extensions").out.split())


def test_broken_extension_is_a_warning_of_check(remora: Run, install: Install, place: Path) -> None:
    """
    One that the configuration does not need.
    """
    install("acme", "import nosuchthing")
    (place / "remora.toml").write_text('[plugins.x]\nendpoint = "http://127.0.0.1:1"\n')
    result = remora("check", "remora.toml")

    assert (result.code, result.out) == (0, "x  http  http://127.0.0.1:1\nok, with warnings\n")
    assert result.complaint.startswith("remora: warning: extension 'acme' of acme 1.0 cannot be imported")
    assert len(json.loads(remora("check", "remora.toml", "--json").out)["warnings"]) == 1


def test_disabled_extension_is_left_out(remora: Run, install: Install) -> None:
    """
    REMORA_DISABLE takes the broken one out of the way, and a name in it that there is not is a warning.
    """
    install("acme", "import nosuchthing")
    result = remora("extensions", "--json", REMORA_DISABLE="acme,ackme")

    assert result.code == 0
    assert result.complaint.startswith('remora: warning: REMORA_DISABLE names "ackme", but no installed extension has')
    assert next(each["state"] for each in json.loads(result.out) if each["name"] == "acme") == "disabled"


@pytest.mark.parametrize("build", ["lambda: 1 / 0", "lambda: 'no command'"])
def test_command_that_cannot_be_built_is_one_line(build: str, remora: Run, install: Install) -> None:
    """
    Only who uses it notices, and the other commands are listed.
    """
    install("acme", HELLO.replace("build=build", f"build={build}"))
    result = remora("hello")

    assert (result.code, result.out) == (3, "")
    assert result.complaint.startswith("remora: the command 'hello' ")
    assert re.search(r"hello +Say hello\.", remora("--help").out)


def test_command_that_two_claim_is_refused(remora: Run, install: Install) -> None:
    """
    Both are named, and both are in conflict.
    """
    install("acme", HELLO)
    install("bcme", HELLO)
    found = json.loads(remora("extensions", "--json").out)

    assert remora("hello").code == 3
    assert "acme 1.0 and bcme 1.0" in remora("hello").complaint
    assert {each["name"] for each in found if each["state"] == "conflict"} == {"acme", "bcme"}


def test_auth_method_that_two_claim_is_a_conflict(remora: Run, install: Install) -> None:
    """
    A kind of two words is told from the name behind it.
    """
    for name in ("acme", "bcme"):
        install(name, AUTH)
    found = json.loads(remora("extensions", "--json").out)

    assert {each["name"] for each in found if each["state"] == "conflict"} == {"acme", "bcme"}
