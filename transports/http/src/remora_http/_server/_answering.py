"""
Answering: from a call to the response for its client, for any server.

What lives here: calling the plugin, and the form of its errors. What must not: HTTP messages, ASGI.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from remora.errors import Code, PluginError, RemoraError
from remora.wire import printable, too_large, unsendable
from remora_http._body import BadEncoding, BodyTooLarge, UnknownEncoding
from remora_http._server._response import Response, failure, success

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora.protocols import Dispatch
    from remora.types import Call

_log = logging.getLogger(__name__.replace("_", ".", 1))

_MOST = 200
"""How many characters of a client's text go into one line of the log."""


class Responder:
    """
    Has a plugin answer calls, and turns replies and errors into responses.

    Args:
        dispatch: Has the plugin answer a call.
        limit: The limit of a request or a reply, in bytes after decoding.
        origins: The origins of web pages that may call; `*` allows all.

    Attributes:
        limit: The same limit.
        ask: Has the plugin answer a call whose deadline the caller of `ask` enforces.
    """

    def __init__(self, dispatch: Dispatch, limit: int, origins: Iterable[str] = ("*",)) -> None:
        self.limit = limit
        self._origins = frozenset(origins)
        self._dispatch = dispatch
        self.ask: Dispatch = getattr(dispatch, "answer_in_time", dispatch)

    async def answer(self, call: Call, peer: str) -> Response:
        """
        The plugin's answer to a call, or its error.
        """
        try:
            return success(await self._dispatch(call, peer), limit=self.limit)
        except Exception as error:  # the plugin's own code
            return self.fail(error, call)

    def fail(self, error: Exception, call: Call) -> Response:
        """
        The response for an exception of a plugin, whose details are logged but not sent.
        """
        if isinstance(error, RemoraError):
            return _failure(error, call)
        _log.error("%s failed unexpectedly (request %s)", *_words(call), exc_info=error)
        return failure(PluginError("the plugin failed unexpectedly", code=Code.INTERNAL))

    def refuse_origin(self, page: str) -> Response | None:
        """
        The response to a call of a web page, by its header `Origin`, that may not call; None when it may.
        """
        if "*" in self._origins or page in self._origins:
            return None
        _log.info("refused a web page of %s", printable(page, most=_MOST))
        return failure(PluginError("this web page may not call; see `origins`", code=Code.PERMISSION_DENIED))

    def refuse(self, problem: Exception) -> Response:
        """
        The response to a request that is not a valid call.
        """
        if isinstance(problem, UnknownEncoding):
            return failure(PluginError(str(problem), code=Code.UNIMPLEMENTED), status=415)
        if isinstance(problem, BodyTooLarge):
            return failure(too_large("request", self.limit))
        if isinstance(problem, RemoraError):
            return failure(problem)
        return failure(PluginError(str(problem), code=Code.INVALID_ARGUMENT))


REFUSALS = (BadEncoding, BodyTooLarge, RemoraError)
"""The errors that `Responder.refuse` takes."""


def stopped() -> Response:
    """
    The response to a call that arrives, or still runs, when the server ends.
    """
    return failure(PluginError("the plugin is shutting down", code=Code.UNAVAILABLE))


def _failure(error: RemoraError, call: Call) -> Response:
    try:
        return failure(error)
    except Exception:  # a handler may have put anything into its error
        _log.exception("the error of %s cannot be sent as it is (request %s)", *_words(call))
        return failure(unsendable(error))


def _words(call: Call) -> tuple[str, str]:
    return printable(call.name, most=_MOST), printable(call.request_id, most=_MOST)
