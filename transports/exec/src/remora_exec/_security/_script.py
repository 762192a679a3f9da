"""
A script that is not the program itself but an argument of its interpreter: `exec:python3`, `args = ["plugin.py"]`.

What lives here: which argument that is, and who else could change it. What must not: a refusal. What an argument means
is up to the program, so all this is a guess; only certainties lead to a refusal (see `_program`).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from remora_exec._security._program import weaknesses_of_file

if TYPE_CHECKING:
    from remora_exec._command import Command

_INTERPRETER = re.compile(
    r"(python|pypy|node|nodejs|ruby|perl|php|lua|Rscript|sh|bash|dash|ash|ksh|mksh|zsh|fish)[0-9.]*"
)
_NO_SCRIPT = re.compile(r"-|-[A-Za-z]{0,3}[cem]")
"""Options after which the script is an argument itself, a module or standard input; others may come before it."""


def script_of(command: Command) -> str:
    """
    The path of the script that an interpreter is to run; empty when the program is not an interpreter, or runs no file.
    """
    if not _INTERPRETER.fullmatch(os.path.basename(command.program)):
        return ""
    may_be_value = False
    for each in command.argv[1:]:
        if _NO_SCRIPT.fullmatch(each):
            return ""
        path = os.path.abspath(os.path.join(command.work_dir or "", each))
        if not each.startswith("-") and os.path.isfile(path):
            return path
        if not each.startswith("-") and not may_be_value:
            return ""
        may_be_value = each.startswith("-")
    return ""


def script_warning(command: Command) -> str:
    """
    Who else could change the script that an interpreter is to run, in one sentence; empty when nobody can.
    """
    try:
        script = script_of(command)
        found = weaknesses_of_file(script) if script else ()
    except OSError:  # there is no such script, which the interpreter will report
        return ""
    if not found:
        return ""
    who = f"{command.program} runs {script}, but {'; '.join(found)}"
    return f"{who}: whoever does decides what runs; take the right to write away (chmod go-w)"
