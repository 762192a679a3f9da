"""
A program of Python in a process that is an interpreter already: run as that would have run it from the start.

What lives here: what the interpreter's start would have set, and how it would have reported the end. What must not:
descriptors, signals and limits, which are set before (see `_birth`).
"""

from __future__ import annotations

import marshal
import os
import runpy
import sys
import threading
from functools import partial
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from importlib.util import MAGIC_NUMBER
from pkgutil import get_importer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType, TracebackType

    from remora_exec._keeping._order import PythonMain

    Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]

_HEADER = 16  # bytes before the code in a compiled file


def run_main(main: PythonMain, env: Mapping[str, str]) -> None:
    """
    Run a program as `__main__`, in this environment; what it raises has been reported.

    The variables that the interpreter has set when it started, such as LC_CTYPE, are kept.
    """
    os.environ.update(env)
    sys.orig_argv[:] = main.words
    sys.argv[:] = main.argv
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]  # which a fork leaves as it was
    _forget_main()
    try:
        _run_file(_absolute(main.path)) if main.path else _run_module(main.module)
    except BaseException:  # the program's, which the interpreter reports
        sys.excepthook = partial(_report, sys.excepthook)
        raise


def _forget_main() -> None:
    """
    Leave in `__main__`, which is the program's from now on, only what every interpreter has there at its start.
    """
    names = vars(sys.modules["__main__"])
    for name in [each for each in names if not each.startswith("__")]:
        del names[name]


def _absolute(path: str) -> str:
    # `os.path.abspath` would leave out what is before `..`, which may be a symbolic link
    return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)


def _run_file(path: str) -> None:
    if get_importer(path) is not None:
        _run_archive(path)
        return
    _look_first_in(os.path.dirname(os.path.realpath(path)))
    loader, code = _compiled(path)
    names = vars(sys.modules["__main__"])
    names.update(__file__=path, __loader__=loader)
    if sys.version_info < (3, 15):
        names.update(__cached__=None)
    exec(code, names)


def _compiled(path: str) -> tuple[object, CodeType]:
    """
    What loads a file, and its code.
    """
    source, bytecode = SourceFileLoader("__main__", path), SourcelessFileLoader("__main__", path)
    try:
        data = source.get_data(path)
    except OSError as error:
        words = f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: {words}", file=sys.stderr)
        raise SystemExit(2) from None
    if data.startswith(MAGIC_NUMBER):
        return bytecode, marshal.loads(memoryview(data)[_HEADER:])
    return source, compile(data, path, "exec", dont_inherit=True)


def _run_archive(path: str) -> None:
    """
    Run an archive or a directory, where its modules are found as well.
    """
    sys.path.insert(0, path)
    _run_as_main("__main__", False)


def _run_module(name: str) -> None:
    _look_first_in(os.getcwd())
    _run_as_main(name, True)


def _look_first_in(place: str) -> None:
    if not sys.flags.safe_path:
        sys.path.insert(0, place)


_run_as_main = runpy._run_module_as_main  # type: ignore[attr-defined]  # the function that interpreters call


def _report(hook: Hook, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> object:
    """
    Have the program's hook report an error as if there were nothing above the program.
    """
    error.__traceback__ = _from_program(traceback)
    return hook(kind, error, error.__traceback__)


def _from_program(traceback: TracebackType | None) -> TracebackType | None:
    """
    The part of a traceback that begins in the program.
    """
    while traceback is not None and not _is_above(traceback):
        traceback = traceback.tb_next
    while traceback is not None and _is_above(traceback):
        traceback = traceback.tb_next
    return traceback


def _is_above(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename == run_main.__code__.co_filename
