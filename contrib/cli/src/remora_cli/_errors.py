"""
What a user is told about an exception: a line, an exit code, and the facts for programs.

What lives here: decisions. What must not: printing.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

import click

from remora.errors import ConfigError, PluginError, RemoraError

FAILED = 1
CONFIGURATION = 3
"""2 is left out: click gives it for wrong usage."""

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EBADF}
"""A disk is full, also that of the file to which standard output goes, or standard output is closed."""

_NOWHERE = "No usable temporary directory"
"""How Python's `tempfile` begins to say so; it uses the error of a missing file, without a name."""

_NO_TEMPORARY = "no temporary directory can be written to: set TMPDIR to one that can"

_NOWHERE_TO_BE = "the current directory has been removed: change to one that is there"


@dataclass(frozen=True, slots=True)
class Failure:
    """
    The end of a command that failed.

    Attributes:
        text: For people: one line, or a few where a configuration has several problems.
        exit_code: For the shell.
        facts: For programs, as plain values.
        is_help: The text is a command's help, shown as it is.
    """

    text: str
    exit_code: int
    facts: dict[str, object]
    is_help: bool = False


def explain(error: Exception) -> Failure:
    """
    What to tell about an exception.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return Failure(error.format_message(), error.exit_code, {"message": "no command"}, is_help=True)
    if isinstance(error, click.ClickException):
        return _of_click(error)
    if isinstance(error, RemoraError):
        return _of_remora(error)
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return Failure(f"cannot write: {error.strerror}", FAILED, {"message": str(error)})
    if isinstance(error, FileNotFoundError) and (error.strerror or "").startswith(_NOWHERE):
        return Failure(_NO_TEMPORARY, FAILED, {"message": _NO_TEMPORARY})
    if isinstance(error, FileNotFoundError) and _is_nowhere():
        return Failure(_NOWHERE_TO_BE, FAILED, {"message": _NOWHERE_TO_BE})
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    return Failure(f"unexpected {_one_line(text)} (--debug shows where)", FAILED, {"message": text})


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _of_click(error: click.ClickException) -> Failure:
    message = _one_line(error.format_message()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f" (see {context.command_path} --help)" if context else ""
    return Failure(message + hint, error.exit_code, {"message": message})


def _of_remora(error: RemoraError) -> Failure:
    facts: dict[str, object] = {"error": type(error).__name__, "code": error.code.value, "message": error.message}
    known = {"plugin": error.plugin, "instance": error.instance, "request_id": error.request_id}
    facts |= {name: value for name, value in known.items() if value}
    if error.retry_after is not None:
        facts["retry_after"] = error.retry_after
    if isinstance(error, PluginError):
        facts["details"] = error.details
        return Failure(_one_line(f"{error.code}: {error}"), FAILED, facts)
    if isinstance(error, ConfigError):
        facts["problems"] = list(error.problems)
        return Failure(str(error), CONFIGURATION, facts)
    return Failure(_one_line(str(error)), FAILED, facts)


def _one_line(text: str) -> str:
    return " ".join(text.split())
