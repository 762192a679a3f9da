"""
What strangers' code raises, reduced to what Remora can say about it: extensions, and handlers of served plugins.

What lives here: taking exceptions apart. What must not: deciding what happens next.
"""

from __future__ import annotations

import logging
from typing import NoReturn

from remora.errors import Code, ExtensionError, RemoraError

_log = logging.getLogger(__name__)


def innermost(error: Exception) -> Exception:
    """
    The error out of the groups around it, as far as each holds only one.
    """
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def told(error: BaseException) -> str:
    """
    An error of a stranger in one line.
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def raise_explained(culprit: str, error: Exception) -> NoReturn:
    """
    Raise the Remora error in an exception that an extension raised while a call was under way.

    Raises:
        RemoraError: The one that the groups around it hold, or an ExtensionError that names the culprit.
    """
    inner = innermost(error)
    if isinstance(inner, RemoraError):
        raise inner from inner.__cause__
    _log.error("%s failed", culprit, exc_info=error)
    failure = ExtensionError(f"{culprit} failed with {told(inner)}")
    failure.code, failure.sent = Code.INTERNAL, True
    raise failure from error


def cancellation(group: BaseExceptionGroup[BaseException], culprit: str) -> BaseException:
    """
    The cancellation out of a group in which a cancelled stranger's errors came along; those are logged.

    Raise what it returns, so that nobody's errors travel on inside of a cancellation.
    """
    errors, others = group.split(Exception)
    if errors is not None:
        _log.error("%s failed while it was cancelled", culprit, exc_info=errors)
    return others if others is not None else group
