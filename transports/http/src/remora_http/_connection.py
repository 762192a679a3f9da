"""
One connection of the server: its requests are answered one after the other, in order.

What lives here: the way from a request to the bytes of its response. What must not: event loops (see `_wires`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio

from remora.io import loop_clock
from remora_http._answering import REFUSALS, stopped
from remora_http._call import read_call
from remora_http._request_reader import BadRequest
from remora_http._response import Response, not_allowed

if TYPE_CHECKING:
    from remora_http._answering import Responder
    from remora_http._request_reader import Request
    from remora_http._wires import Wire

_LAST_WORDS = 1.0


class Connection:
    """
    Answers what comes over a wire.

    Args:
        wire: Where requests come from, and responses go to.
        responder: The plugin.
        root: The path under which it is served.
    """

    def __init__(self, wire: Wire, responder: Responder, root: str) -> None:
        self._wire = wire
        self._responder = responder
        self._root = root
        self._clock = loop_clock()
        self._scope = anyio.CancelScope()
        self._asked: Request | None = None
        wire.when_gone(self._scope.cancel)

    async def run(self) -> None:
        """
        Answer until the client has gone or is told that this was all, or until `stop` is called.
        """
        try:
            with self._scope:
                await self._converse()
            if self._asked is not None:
                await self._say_goodbye(self._asked)
        finally:
            self._wire.close()

    def stop(self) -> None:
        """
        Cancel the call that is running; its caller is told that the plugin is unavailable.
        """
        self._scope.cancel()

    async def _converse(self) -> None:
        is_last = False
        while not is_last and (request := await self._wire.next_request()) is not None:
            self._asked = request
            response = await self._respond(request)
            self._asked = None
            is_last = request.is_last
            await self._wire.send(encode(response, request, is_last=is_last))
        if is_last:
            await self._wire.linger()

    async def _respond(self, request: Request) -> Response:
        if isinstance(request.problem, BadRequest):
            text = str(request.problem).encode()
            return Response(request.problem.status, [(b"content-type", b"text/plain")], text)
        if request.method != "POST":
            return not_allowed()
        try:
            if request.problem is not None:
                raise request.problem
            call = read_call(request.path, self._root, request.headers, request.body, now=self._clock())
        except REFUSALS as problem:
            return self._responder.refuse(problem)
        if self._wire.identity:
            call = replace(call, identity=self._wire.identity)
        return await self._responder.answer(call, self._wire.peer)

    async def _say_goodbye(self, request: Request) -> None:
        with anyio.move_on_after(_LAST_WORDS, shield=True):
            await self._wire.send(encode(stopped(), request, is_last=True))


def encode(response: Response, request: Request, *, is_last: bool) -> bytes:
    """
    The bytes of a response.
    """
    lines = [_status_line(response.status), _date(int(time.time()))]
    has_length = False
    for name, value in response.headers:
        lines.append(b"%b: %b\r\n" % (name, value))
        has_length = has_length or name == b"content-length"
    if not has_length:
        lines.append(b"content-length: %d\r\n" % len(response.body))
    if request_id := request.headers.get("x-request-id"):
        lines.append(b"x-request-id: %b\r\n" % request_id.encode("utf-8", "surrogateescape"))
    lines.append(b"connection: close\r\n\r\n" if is_last else b"\r\n")
    if request.method != "HEAD":
        lines.append(response.body)
    return b"".join(lines)


@lru_cache(maxsize=128)
def _status_line(status: int) -> bytes:
    phrase = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return f"date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
