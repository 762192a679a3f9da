"""
What strangers' code raises, reduced to what Remora can say about it: extensions, and handlers of served plugins.

What lives here: taking exceptions apart. What must not: deciding what happens next.
"""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING

from remora.errors import Code, ExtensionError, RemoraError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    Fields = Mapping[str, object]

_log = logging.getLogger(__name__)

NOTHING: Fields = MappingProxyType({})
"""What a log record is about of which no more is known than whose fault it is."""


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


def raise_explained(culprit: str, error: Exception, fields: Fields = NOTHING) -> NoReturn:
    """
    Raise the Remora error in an exception that an extension raised while a call was under way.

    Args:
        culprit: Whose it is.
        error: The exception.
        fields: What its log record is about.

    Raises:
        RemoraError: The one that the groups around it hold, or an ExtensionError that names the culprit.
    """
    inner = innermost(error)
    if isinstance(inner, RemoraError):
        raise inner from inner.__cause__
    _log.error("%s failed", culprit, exc_info=error, extra={"culprit": culprit, **fields})
    failure = ExtensionError(f"{culprit} failed with {told(inner)}")
    failure.code, failure.sent = Code.INTERNAL, True
    raise failure from error


def cancellation(group: BaseExceptionGroup[BaseException], culprit: str, fields: Fields = NOTHING) -> BaseException:
    """
    The cancellation out of a group in which a cancelled stranger's errors came along; those are logged.

    Raise what it returns, so that nobody's errors travel on inside of a cancellation.
    """
    errors, others = group.split(Exception)
    if errors is not None:
        extra = {"culprit": culprit, **fields}
        _log.error("%s failed while it was cancelled", culprit, exc_info=errors, extra=extra)
    return others if others is not None else group
