"""
Where a command's words go: results to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.codecs import JsonCodec

if TYPE_CHECKING:
    from remora_cli._errors import Failure


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
        A line of the result, seen at once also by who reads from a pipe.
        """
        print(text, flush=True)

    def document(self, value: object, *, indent: int | None = None) -> None:
        """
        The result as JSON.
        """
        plain = json.loads(JsonCodec().encode(value))
        self.line(json.dumps(plain, indent=indent, ensure_ascii=False))

    def note(self, text: str) -> None:
        """
        A line that is no part of the result.
        """
        print(text, file=sys.stderr, flush=True)

    def failed(self, failure: Failure, error: Exception) -> int:
        """
        Report the end of a command that failed; returns its exit code.
        """
        if self.is_debug:
            traceback.print_exception(error)
        if self.as_json:
            self.document({"error": failure.facts})
        self.note(failure.text if failure.is_help else f"remora: {failure.text}")
        return failure.exit_code
