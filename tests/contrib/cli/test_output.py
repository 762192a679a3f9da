"""
What is printed has come from plugins, which are no friends of the terminal.
"""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from remora import PluginError
from remora_cli._errors import explain
from remora_cli.toolkit import Output, make_table, print_table, styled
from tests.contrib.cli.conftest import COMMAND, environment, writing_to

HOSTILE = "a\x1b[31mb\x1b]0;title\x07c\x9b2Jd\u202e\u200e\u200f\u061ce\x7ff"
FORBIDDEN = set(HOSTILE) - set("abcdef[]0123;titleJm")


def test_no_word_of_a_plugin_reaches_the_terminal_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """
    In lines, notes, errors, tracebacks, JSON and tables.
    """
    error = PluginError(f"{HOSTILE}\nroot: all is well", details={"a": HOSTILE})
    for output in (Output(is_debug=True), Output(as_json=True)):
        output.line(HOSTILE)
        output.note(HOSTILE)
        output.document({"a": HOSTILE})
        output.failed(explain(error), error)
    table = make_table("heading")
    table.add_row(HOSTILE)
    table.add_row(styled(HOSTILE, "bold"))
    print_table(table)
    shown = capsys.readouterr()

    assert FORBIDDEN == {character for character in HOSTILE if not character.isprintable()}
    assert not FORBIDDEN & {*shown.out, *shown.err}
    assert 4 <= shown.out.count("\\x1b[31m")
    assert "\nroot" not in shown.err.replace("\nroot: all is well\n", "", 1)  # the one in the traceback


def test_json_of_a_hostile_text_is_still_that_text(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Only written otherwise.
    """
    Output().document({"a": HOSTILE})

    assert {"a": HOSTILE} == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_the_encoding_does_not_have_is_escaped(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    JSON stays JSON, also of a name of a file that is not UTF-8.
    """
    text = "K\xe4se \u2603 \U0001f600 \udcff"
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    Output().document({"a": text})
    Output().line(text)
    table = make_table("heading")
    table.add_row(text)
    print_table(table)
    document, line, *rest = stream.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]

    assert {"a": text} == json.loads(document)
    assert text.encode(encoding, "backslashreplace").decode(encoding) == line
    assert line in "\n".join(rest)


@pytest.mark.parametrize("cell", ["[bold]x[/bold]", "[/nothing]", "[link=http://evil.example]x[/link]"])
def test_a_cell_of_a_table_is_no_markup(cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A message of a plugin neither makes a link nor ends the table with an error.
    """
    table = make_table("heading")
    table.add_row(cell)
    print_table(table)

    assert cell in capsys.readouterr().out


def test_a_result_that_finds_no_room_is_no_accident() -> None:
    """
    The file to which standard output goes may be on a disk that is full.
    """
    error = OSError(errno.ENOSPC, "No space left on device")

    assert "cannot write: No space left on device" == explain(error).text


@pytest.mark.parametrize("words", [["new", "plugin", "mine"], ["describe", "sample:Echo"], ["demo", "--calls", "5"]])
def test_where_the_current_directory_has_been_removed_one_line_says_so(words: list[str], place: Path) -> None:
    """
    Whatever could not be found there; the demo says it of the process that it starts.
    """
    (place / "gone").mkdir()
    command = ["sh", "-c", 'rmdir ../gone; exec "$@"', "sh", *COMMAND, *words]
    done = subprocess.run(
        command, cwd=place / "gone", env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    *_, last = done.stderr.splitlines()

    assert 1 == done.returncode
    assert last.startswith("remora: ")
    assert last.endswith("the current directory has been removed: change to one that is there")
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["check", "right.toml"], 1, ""),
        (["check", "right.toml", "--json"], 1, ""),
        (["check", "wrong.toml", "--json"], 3, "remora: wrong.toml:1: plugins.a: has no endpoint\n"),
        (["config", "show", "right.toml"], 1, ""),
        (["describe", "sample:Echo"], 1, ""),
        (["extensions"], 1, ""),
        (["--help"], 1, ""),
        (["nosuch", "--json"], 2, "remora: No such command 'nosuch' (see remora --help)\n"),
    ],
)
def test_a_reader_that_has_gone_is_no_accident(words: list[str], code: int, told: str, place: Path) -> None:
    """
    As behind `| head -1`: no traceback, and what is wrong is still told.
    """
    (place / "right.toml").write_text('[plugins.a]\nendpoint = "http://h"\n')
    (place / "wrong.toml").write_text("[plugins.a]\n")
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as nowhere:
        done = writing_to(nowhere, place, *words)

    said = "".join(line for line in done.stderr.splitlines(keepends=True) if line != "sample is imported\n")
    assert (code, told) == (done.returncode, said)
