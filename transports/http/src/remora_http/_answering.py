"""
Answering: from a call to the response that its client gets, whatever server it came through.

What lives here: the plugin being asked, and what its errors look like. What must not: HTTP messages, ASGI.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from remora.errors import Code, MessageTooLarge, PluginError, RemoraError
from remora.wire import printable
from remora_http._body import BadEncoding, BodyTooLarge, UnknownEncoding
from remora_http._response import Response, failure, success

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora.protocols import Dispatch
    from remora.types import Call

_log = logging.getLogger(__name__.replace("_", ".", 1))

_MOST = 200
"""Characters of a client's words in one line of the log."""


class Responder:
    """
    Lets a plugin answer.

    Attributes:
        limit: Bytes of one request or reply, decoded.
        ask: Has the plugin answer a call whose deadline is seen to by whoever asks.

    Args:
        origins: The web pages that may call; `*` stands for all.
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
            return self.blame(error, call)

    def blame(self, error: Exception, call: Call) -> Response:
        """
        The response for what a plugin has raised; what went wrong in it is nobody's business on the other side.
        """
        if isinstance(error, RemoraError):
            return _failure(error, call)
        _log.error("%s failed unexpectedly (request %s)", *_words(call), exc_info=error)
        return failure(PluginError("the plugin failed unexpectedly", code=Code.INTERNAL))

    def turn_away(self, page: str) -> Response | None:
        """
        The response to a call of a web page, named as the header `Origin` does, that may not make it.
        """
        if "*" in self._origins or page in self._origins:
            return None
        _log.info("refused a web page of %s", printable(page, most=_MOST))
        return failure(PluginError("this web page may not call; see `origins`", code=Code.PERMISSION_DENIED))

    def refuse(self, problem: Exception) -> Response:
        """
        The response to a request that is no call.
        """
        if isinstance(problem, UnknownEncoding):
            return failure(PluginError(str(problem), code=Code.UNIMPLEMENTED), status=415)
        if isinstance(problem, BodyTooLarge):
            return failure(MessageTooLarge(f"the request is larger than {self.limit} bytes"))
        if isinstance(problem, RemoraError):
            return failure(problem)
        return failure(PluginError(str(problem), code=Code.INVALID_ARGUMENT))


REFUSALS = (BadEncoding, BodyTooLarge, RemoraError)
"""What `Responder.refuse` has words for."""


def stopped() -> Response:
    """
    The response to a call that comes, or is still running, when the server ends.
    """
    return failure(PluginError("the plugin is shutting down", code=Code.UNAVAILABLE))


def _failure(error: RemoraError, call: Call) -> Response:
    try:
        return failure(error)
    except (ValueError, TypeError, RecursionError):
        # Details or headers of the plugin's error that nothing can carry.
        _log.exception("the error of %s cannot be sent as it is (request %s)", *_words(call))
        return failure(PluginError("the plugin's error cannot be sent", code=error.code))


def _words(call: Call) -> tuple[str, str]:
    return printable(call.name, most=_MOST), printable(call.request_id, most=_MOST)
