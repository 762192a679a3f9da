"""
A program of Python in a process that is an interpreter already: run as that would have run it from the start.

What lives here: what the interpreter's start would have set, and how it would have reported the end. What must not:
descriptors, signals and limits, which are set before (see `_birth`).
"""

from __future__ import annotations

import builtins
import io
import os
import pkgutil
import runpy
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from remora_exec._order import PythonMain


def run_main(main: PythonMain, env: Mapping[str, str]) -> None:
    """
    Run a program as `__main__`, in this environment; what it raises has been reported.
    """
    os.environ.clear()
    os.environ.update(env)
    sys.orig_argv[:] = main.words
    sys.argv[:] = main.argv
    try:
        _run_file(main.path) if main.path else _run_module(main.module)
    except SystemExit:
        raise
    except BaseException as error:
        error.__traceback__ = _from_program(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        sys.excepthook = lambda *_: (
            None
        )  # the interpreter, which has the last word about the status, would say it again
        raise


def _run_file(path: str) -> None:
    if not os.path.exists(path):
        print(f"{sys.executable}: can't open file {path!r}", file=sys.stderr)
        raise SystemExit(2)
    if pkgutil.get_importer(path) is not None:  # an archive or a directory, where its modules are found as well
        _look_first_in([])
        runpy.run_path(path, run_name="__main__")
        return
    _look_first_in([os.path.dirname(os.path.realpath(path))])
    _run_source(os.path.abspath(path))


def _run_source(path: str) -> None:
    module = ModuleType("__main__")
    module.__file__ = path
    module.__loader__ = SourceFileLoader("__main__", path)
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    sys.modules["__main__"] = module  # where it stays until the process has ended: threads and exit handlers need it
    with io.open_code(path) as file:
        source = file.read()
    exec(compile(source, path, "exec", dont_inherit=True), vars(module))


def _run_module(name: str) -> None:
    _look_first_in([os.getcwd()])
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _look_first_in(places: list[str]) -> None:
    if not getattr(sys.flags, "safe_path", False):
        sys.path[:1] = places


_ABOVE = {run_main.__code__.co_filename, runpy.run_path.__code__.co_filename}


def _from_program(traceback: TracebackType | None) -> TracebackType | None:
    """
    The part of a traceback that begins in the program.
    """
    while traceback is not None and traceback.tb_frame.f_code.co_filename in _ABOVE:
        traceback = traceback.tb_next
    return traceback
