"""
The service that the contract of transports is checked with. Also a program: `python -m remora.testing` serves it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from remora._context import current_call
from remora._methods import idempotent, service
from remora.errors import Code, PluginError


@dataclass(frozen=True, slots=True)
class Text:
    """
    Any text.
    """

    text: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """
    An error to answer with.
    """

    code: Code
    message: str
    details: dict[str, object] = field(default_factory=dict)
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What the plugin sees of a call.
    """

    service: str
    method: str
    request_id: str
    headers: dict[str, str]
    remaining: float | None
    peer: str


@dataclass(frozen=True, slots=True)
class Number:
    """
    Any number.
    """

    number: float = 0.0


@service("remora.testing.v1.Contract", version="1.0", description="Checks transports.", author="Remora")
class Contract:
    """
    Does what a check asks for.
    """

    def __init__(self) -> None:
        self._cancelled = 0

    @idempotent
    async def echo(self, request: Text) -> Text:
        """
        The same text.
        """
        return request

    async def repeat(self, request: Number) -> Text:
        """
        A text of this many characters.
        """
        return Text("x" * int(request.number))

    async def fail(self, request: Failure) -> Text:
        """
        Answer with an error.
        """
        raise PluginError(request.message, code=request.code, details=request.details, retry_after=request.retry_after)

    async def crash(self, request: Text) -> Text:
        """
        Fail in a way that was not foreseen.
        """
        raise LookupError(f"a secret of the plugin: {request.text}")

    async def look(self, request: Text) -> Seen:
        """
        What is seen of this call; the header `x-answer` of the reply is the text of the request.
        """
        call = current_call()
        call.reply_headers["x-answer"] = request.text
        return Seen(call.service, call.method, call.request_id, call.headers, call.remaining, call.peer)

    async def sleep(self, request: Number) -> Number:
        """
        Answer after this many seconds.
        """
        try:
            await anyio.sleep(request.number)
        except BaseException:
            self._cancelled += 1
            raise
        return request

    async def cancelled(self, request: Text) -> Number:
        """
        How many calls of `sleep` were cancelled.
        """
        return Number(self._cancelled)
