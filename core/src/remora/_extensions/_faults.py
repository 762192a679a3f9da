"""
What third-party code raises (extensions, handlers of served plugins), reduced to what Remora can say about it.

What lives here: taking exceptions apart. What must not: deciding what happens next.
"""

from __future__ import annotations

import logging
import signal
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anyio

from remora.errors import Code, ExtensionError, RemoraError
from remora.io import is_asked_to_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType, TracebackType
    from typing import NoReturn

    Fields = Mapping[str, object]

_log = logging.getLogger(__name__)

_NAMED = 3
"""How many errors of a group are named; all of them are in the log."""

NOTHING: Fields = MappingProxyType({})
"""The fields of a log record of which no more is known than the culprit."""


def is_fault(error: BaseException) -> bool:
    """
    Whether third-party code has raised an exception of its own accord, on a running event loop. That is any but a
    cancellation and an interruption: `sys.exit` in an extension, or the panic of a library in another language, ends
    what the extension was asked for, and not the host. On asyncio, a task of the extension's own that was cancelled and
    then awaited raises the same as a cancellation; it is a fault, too.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(is_fault(each) for each in error.exceptions)
    if isinstance(error, anyio.get_cancelled_exc_class()):
        return not is_asked_to_end()
    return not (isinstance(error, GeneratorExit) or is_interruption(error))


def is_interruption(error: BaseException) -> bool:
    """
    Whether the application itself is to end: by Ctrl-C, or because one of its signal handlers has called `sys.exit` or
    the like. Python runs a signal handler in the middle of whatever the main thread does, third-party code included.
    """
    if isinstance(error, Exception):
        return False
    return isinstance(error, KeyboardInterrupt) or not _handler_codes().isdisjoint(_codes_in(error.__traceback__))


@contextmanager
def bare_interruption() -> Iterator[None]:
    """
    Let an interruption out of the group in which it arrives where a task of Remora's own was interrupted.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        found, _ = group.split(is_interruption)
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        if found is None:
            raise
        raise found from None


def _codes_in(traceback: TracebackType | None) -> Iterator[CodeType]:
    while traceback is not None:
        yield traceback.tb_frame.f_code
        traceback = traceback.tb_next


def _handler_codes() -> set[CodeType]:
    """
    The code of the signal handlers that are written in Python.
    """
    handlers = (signal.getsignal(number) for number in signal.valid_signals())
    return {code for handler in handlers if callable(handler) and (code := _code_of(handler)) is not None}


def _code_of(function: Any) -> CodeType | None:
    while isinstance(function, partial):
        function = function.func
    written = function if hasattr(function, "__code__") else type(function).__call__
    return getattr(written, "__code__", None)


def innermost(error: BaseException) -> BaseException:
    """
    The error inside exception groups, as far as each holds only one.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def told(error: BaseException) -> str:
    """
    An error of third-party code in one line; of a group, with the first errors in it.
    """
    try:
        text = " ".join(str(error).split())
    except Exception:  # the text of a stranger's error is made by a stranger's code
        text = ""
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{line}: {_members(error)}" if isinstance(error, BaseExceptionGroup) else line


def _members(group: BaseExceptionGroup) -> str:
    first = [told(innermost(each)) for each in group.exceptions[:_NAMED]]
    more = len(group.exceptions) - len(first)
    return "; ".join([*first, *([f"and {more} more"] if more else [])])


def raise_explained(culprit: str, error: BaseException, fields: Fields = NOTHING) -> NoReturn:
    """
    Raise the Remora error in an exception that an extension raised while a call was under way.

    Args:
        culprit: The code that raised it, for messages.
        error: The exception.
        fields: The structured fields of its log record.

    Raises:
        RemoraError: The one inside the exception, or else an ExtensionError that names the culprit.
    """
    inner = innermost(error)
    if isinstance(inner, RemoraError):
        raise inner from inner.__cause__
    _log.error("%s failed", culprit, exc_info=error, extra={"culprit": culprit, **fields})
    failure = ExtensionError(f"{culprit} failed with {told(inner)}")
    failure.code, failure.sent = Code.INTERNAL, True
    raise failure from error


def cancellation(error: BaseException, culprit: str, fields: Fields = NOTHING) -> BaseException:
    """
    The cancellation, be it in a group that also holds errors of cancelled third-party code; those are logged.

    Raise what it returns, so that no errors travel on inside of a cancellation.
    """
    errors, others = parted(error)
    if errors is not None:
        extra = {"culprit": culprit, **fields}
        _log.error("%s failed while it was cancelled", culprit, exc_info=errors, extra=extra)
    return others if others is not None else error


def parted(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """
    What third-party code did of its own accord, and the rest.
    """
    if isinstance(error, BaseExceptionGroup):
        return error.split(is_fault)
    return (error, None) if is_fault(error) else (None, error)
