"""
What `remora` says about itself.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from remora.extensions import commands
from remora_cli._group import cli as main
from tests.contrib.cli.conftest import COMMAND, Run, environment


def _tree(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """
    A command and all below it, with the words that are typed for each.
    """
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _tree(below, (*path, name))


def _option_helps(command: click.Command) -> list[str]:
    return [each.help or each.name or "" for each in command.params if isinstance(each, click.Option)]


ALL = {" ".join(path): command for path, command in _tree(main)}
COMMANDS = [name for name in ALL if name and " " not in name]
BUILT_IN = {"call", "check", "completion", "config", "conformance", "demo", "describe", "diff-schema", "explain"}
BUILT_IN |= {"extensions", "new", "plan", "run", "security", "serve", "top"}


@pytest.mark.parametrize("name", ALL)
def test_help_fits_on_a_terminal(name: str, remora: Run) -> None:
    """
    No line is longer than 80 columns, and the first one says how it is typed.
    """
    result = remora(*name.split(), "--help")

    assert (result.code, result.err) == (0, "")
    assert [line for line in result.out.splitlines() if len(line) > 80] == []
    assert result.out.startswith(" ".join(["Usage: remora", *name.split()]))


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_every_option_has_a_sentence(name: str) -> None:
    """
    One that begins with a capital letter and ends, is longer than a word, and says no type in capitals of click's own.
    """
    command = ALL[name]
    sentences = [command.help or "", command.get_short_help_str(limit=200), *_option_helps(command)]

    assert [each for each in sentences if not re.search(r"(?s)^\W?[A-Z].*\S \S.*\.", each)] == []
    assert not re.search(r"\b(TEXT|INTEGER|FLOAT|RANGE|FILENAME)\b", command.get_help(click.Context(command)))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_the_first_sentence_of_each_ones_help(name: str) -> None:
    """
    It stands in the spec as well, since the list is printed without loading any command.
    """
    (spec,) = [each for each in commands() if each.name == name]

    assert spec.help == ALL[name].get_short_help_str(limit=200)


def test_the_list_of_commands_is_whole() -> None:
    """
    Or else the other tests would leave some out.
    """
    assert BUILT_IN == set(COMMANDS)
    assert {"config show", "config schema", "security pin", "security verify"} <= set(ALL)


def test_help_lists_the_commands_and_the_exit_codes(remora: Run) -> None:
    """
    The first page is enough to find the rest.
    """
    words = remora("--help").out.split()

    assert BUILT_IN | {"0", "1", "2", "3", "130"} <= set(words)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_and_debug(name: str, remora: Run) -> None:
    """
    What a script relies on is the same everywhere.
    """
    assert {"--json", "--debug"} <= set(remora(name, "--help").out.split())


def test_version_names_remora_and_python(remora: Run) -> None:
    """
    What a bug report needs.
    """
    assert remora("--version").out.startswith("remora 0.")
    assert set(json.loads(remora("--version", "--json").out)) == {"remora", "python"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, remora: Run) -> None:
    """
    The script calls `remora` back.
    """
    result = remora("completion", shell)

    assert (result.code, result.err) == (0, "")
    assert "_REMORA_COMPLETE" in result.out
    assert json.loads(remora("completion", shell, "--json").out)["script"].strip() == result.out.strip()


def test_completion_completes_commands(remora: Run) -> None:
    """
    What the script asks is answered.
    """
    answer = remora(_REMORA_COMPLETE="bash_complete", COMP_WORDS="remora ext", COMP_CWORD="1")

    assert answer.out.split() == ["plain,extensions"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["serv"], "remora: No such command 'serv'. Did you mean 'serve'? (see remora --help)"),
        (["run"], "remora: No such command 'run'; it comes with pip install \"remora[admin]\""),
        (["--nosuch"], "remora: No such option"),
        (["call"], "remora: Missing argument 'CONFIG' (see remora call --help)"),
        (["completion", "tcsh"], "remora: Invalid value for '{bash|zsh|fish}': 'tcsh' is not one of"),
        (["demo", "--calls", "0"], "remora: Invalid value for '--calls': 0 is not in the range"),
        (["demo", "--backend", "curio"], "remora: Invalid value for '--backend' (env var: 'REMORA_BACKEND'): 'curio'"),
    ],
)
def test_usage_errors_are_one_line(words: list[str], complaint: str, remora: Run) -> None:
    """
    They name the page of help, and end with status 2.
    """
    result = remora(*words, REMORA_DISABLE="admin")

    assert (result.code, result.out) == (2, "")
    assert result.complaint.startswith(complaint)


def test_usage_errors_are_json_for_programs(remora: Run) -> None:
    """
    A program that asks for JSON gets nothing else on standard output.
    """
    result = remora("demo", "--nosuch", "--json")

    assert result.code == 2
    message = json.loads(result.out)["error"]["message"]
    assert message.startswith("No such option")  # the rest is worded by click, in more than one way
    assert "--nosuch" in message


@pytest.mark.parametrize(("variables", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_that_want_it(variables: dict[str, str], is_coloured: bool, place: Path) -> None:
    """
    NO_COLOR is obeyed.
    """
    ours, theirs = pty.openpty()
    env = environment(TERM="xterm-256color", **variables)
    env = {name: value for name, value in env.items() if name in {"TERM", "PATH", "COLUMNS", *variables}}
    with subprocess.Popen([*COMMAND, "extensions"], cwd=place, env=env, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = _read_all(ours)

    assert "loaded" in shown
    assert (process.returncode, bool(re.search(r"\x1b\[([0-9]+;)*3[0-7]m", shown))) == (0, is_coloured)


def _read_all(descriptor: int) -> str:
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except OSError:  # how a terminal of Linux ends
        pass
    os.close(descriptor)
    return b"".join(parts).decode()
