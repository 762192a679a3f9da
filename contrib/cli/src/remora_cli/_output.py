"""
Where a command's words go: results to standard output, everything else to standard error.

Much of what is printed has come from plugins, and a terminal obeys what is printed. So control characters are escaped.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.codecs import RecordConverter
from remora.serve import occupy_standard_streams
from remora.wire import printable
from remora_cli._errors import UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from remora_cli._errors import Failure

_CONTROLS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON may have in a text as it is, and a terminal should not see."""


@dataclass(slots=True)
class Output:
    """
    What one run of the command line prints, and in which form.

    Attributes:
        as_json: Results are JSON, for programs.
        is_debug: Tracebacks are shown.
    """

    as_json: bool = False
    is_debug: bool = False

    def line(self, text: str) -> None:
        """
        A line of the result, or some, seen at once also by who reads from a pipe.
        """
        print_result(escaped(text))

    def document(self, value: object, *, indent: int | None = None) -> None:
        """
        The result as JSON.
        """
        plain = RecordConverter("JSON").unstructure(value)
        text = json.dumps(plain, indent=indent, ensure_ascii=False, allow_nan=False)
        if _in_its_encoding(text) != text:
            text = json.dumps(plain, indent=indent)
        print(_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text), flush=True)

    @contextmanager
    def announcing(self) -> Iterator[None]:
        """
        A context for lines without which the command goes on, such as when standard output goes to a full disk.
        """
        try:
            yield
        except OSError as error:
            _give_up(sys.stdout)
            self.note(f"remora: cannot write: {error.strerror}")

    def note(self, text: str) -> None:
        """
        A line that is no part of the result, and is lost where it cannot be written.
        """
        try:
            print(escaped(text), file=sys.stderr, flush=True)
        except OSError:
            _give_up(sys.stderr)

    def failed(self, failure: Failure, error: Exception) -> int:
        """
        Report the end of a command that failed; returns its exit code.
        """
        if self.is_debug:
            self.note("".join(traceback.format_exception(error)).rstrip("\n"))
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            _give_up(sys.stdout)
        if self.as_json:
            try:
                self.document({"error": failure.facts})
            except OSError:  # nobody reads any more, as behind `| head -1`, or the disk is full
                _give_up(sys.stdout)
        self.note(failure.text if failure.is_help else f"remora: {failure.text}")
        return failure.exit_code


def replace_closed_streams() -> None:
    """
    Put files in the place of standard streams that were closed from the beginning, which Python has as None. What is
    printed to standard output is then an error, since nobody gets the result.
    """
    occupy_standard_streams()
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115, it stays
    if sys.stdout is None:
        with open(os.devnull, "rb") as unwritable:
            os.dup2(unwritable.fileno(), 1)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _give_up(stream: TextIO) -> None:
    """
    Lose what is left to be written to a stream, which the end of the interpreter would try again, and fail.
    """
    with suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def print_result(text: str) -> None:
    """
    Print on standard output. What its encoding does not have is escaped, as on standard error.
    """
    print(_in_its_encoding(text), flush=True)


def _in_its_encoding(text: str) -> str:
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def escaped(text: str) -> str:
    """
    A text whose lines do nothing to a terminal.
    """
    return "\n".join(map(printable, text.split("\n")))
