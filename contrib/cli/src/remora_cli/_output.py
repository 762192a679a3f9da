"""
Where a command's words go: results to standard output, everything else to standard error.

Much of what is printed has come from plugins, and a terminal obeys what is printed. So control characters are escaped.
"""

from __future__ import annotations

import json
import re
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.codecs import JsonCodec
from remora.wire import printable

if TYPE_CHECKING:
    from remora_cli._errors import Failure

_CONTROLS = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
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
        print(escaped(text), flush=True)

    def document(self, value: object, *, indent: int | None = None) -> None:
        """
        The result as JSON.
        """
        plain = json.loads(JsonCodec().encode(value))
        text = json.dumps(plain, indent=indent, ensure_ascii=False)
        print(_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text), flush=True)

    def note(self, text: str) -> None:
        """
        A line that is no part of the result.
        """
        print(escaped(text), file=sys.stderr, flush=True)

    def failed(self, failure: Failure, error: Exception) -> int:
        """
        Report the end of a command that failed; returns its exit code.
        """
        if self.is_debug:
            self.note("".join(traceback.format_exception(error)).rstrip("\n"))
        if self.as_json:
            self.document({"error": failure.facts})
        self.note(failure.text if failure.is_help else f"remora: {failure.text}")
        return failure.exit_code


def escaped(text: str) -> str:
    """
    A text whose lines do nothing to a terminal.
    """
    return "\n".join(map(printable, text.split("\n")))
