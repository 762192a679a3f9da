"""
Interceptors around the calls of a host and around their attempts: the headers with which one goes on are checked, as
those of a caller are.

What lives here: the way through them. What must not: which there are (see `_extensions._interception`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora._extensions._interception import nested
from remora._headers import checked_headers
from remora.errors import ExtensionError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from remora._extensions._conduct import Conduct
    from remora._extensions._interception import Around, Proceed
    from remora.protocols import AttemptInterceptor, Interceptor
    from remora.types import Attempt, Call, Reply


def through_interceptors(
    interceptors: Iterable[tuple[str, Interceptor]], conduct: Conduct, proceed: Proceed
) -> Proceed:
    """
    Interceptors of calls, each with its name for messages, as one function around `proceed`, the first one outermost.
    """
    return nested([(name, _checked(name, each, conduct)) for name, each in interceptors], conduct, proceed)


def attempt_through_interceptors(
    interceptors: Iterable[tuple[str, AttemptInterceptor]], attempt: Attempt, conduct: Conduct, proceed: Proceed
) -> Proceed:
    """
    Interceptors of attempts as one function around the sending of an attempt.
    """
    told = [(name, _checked(name, _told(each, attempt), conduct)) for name, each in interceptors]
    return nested(told, conduct, proceed)


def _told(interceptor: AttemptInterceptor, attempt: Attempt) -> Around:
    def intercept(call: Call, proceed: Proceed) -> Awaitable[Reply]:  # a `partial` takes three times as long to call
        return interceptor(call, proceed, attempt=attempt)

    return intercept


def _checked(culprit: str, interceptor: Around, conduct: Conduct) -> Around:
    def intercept(call: Call, proceed: Proceed) -> Awaitable[Reply]:
        def go_on(changed: Call) -> Awaitable[Reply]:
            return proceed(changed if changed.headers is call.headers else _sendable(changed, culprit, conduct))

        return interceptor(call, go_on)

    return intercept


def _sendable(call: Call, culprit: str, conduct: Conduct) -> Call:
    """
    A call with the headers that an interceptor has given it, their names in lower case.

    Raises:
        ExtensionError: One cannot be sent.
    """
    try:
        headers = checked_headers(call.headers)
    except InvalidRequest as error:
        conduct.failed(culprit, error)
        raise ExtensionError(f"{culprit}: {error.message}") from None
    return call if headers == call.headers else call.with_headers(headers)
