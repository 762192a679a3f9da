"""
What third-party code raises (extensions, handlers of served plugins), reduced to what Remora can say about it.

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
"""The fields of a log record of which no more is known than the culprit."""


def innermost(error: Exception) -> Exception:
    """
    The error inside exception groups, as far as each holds only one.
    """
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def told(error: BaseException) -> str:
    """
    An error of third-party code in one line.
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def raise_explained(culprit: str, error: Exception, fields: Fields = NOTHING) -> NoReturn:
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


def cancellation(group: BaseExceptionGroup[BaseException], culprit: str, fields: Fields = NOTHING) -> BaseException:
    """
    The cancellation in a group that also holds errors of cancelled third-party code; those are logged.

    Raise what it returns, so that no errors travel on inside of a cancellation.
    """
    errors, others = group.split(Exception)
    if errors is not None:
        extra = {"culprit": culprit, **fields}
        _log.error("%s failed while it was cancelled", culprit, exc_info=errors, extra=extra)
    return others if others is not None else group
