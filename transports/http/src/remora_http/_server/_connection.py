"""
One connection of the server: its requests are answered one after the other, in order.

What lives here: the way from a request to the bytes of its response. What must not: event loops (see `_wires`), bytes
(see `_written`).

A connection is a job for a worker while a request is being answered, and costs no task in between. A deadline, the end
of the server, and a client that disconnects cancel only that job; another job then sends what is still to be sent to
the client.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.errors import DeadlineExceeded
from remora_http._server._answering import REFUSALS, stopped
from remora_http._server._call import read_call
from remora_http._server._request_reader import BadRequest
from remora_http._server._response import Response, failure, not_allowed
from remora_http._server._written import encode, encode_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    import anyio

    from remora.io import Deadlines, WorkerPool
    from remora.types import Call
    from remora_http._server._answering import Responder
    from remora_http._server._request_reader import Request
    from remora_http._server._wires import Wire
    from remora_http._server._written import Message

_log = logging.getLogger(__name__.replace("_", ".", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """
    What all connections of one server share.

    Attributes:
        responder: The plugin.
        root: The path under which it is served.
        clock: The clock of deadlines, in seconds.
        deadlines: The deadlines of calls, by the numbers of their connections.
        workers: The workers that answer requests.
        forget: Called with each connection that has ended.
    """

    responder: Responder
    root: str
    clock: Callable[[], float]
    deadlines: Deadlines
    workers: WorkerPool[Connection]
    forget: Callable[[int], object]


class Connection:
    """
    Answers the requests that arrive over a wire.

    As long as it is open, it is in one of four states; a cross marks what it has in each:

    =========  ==========  =======  ===========  ================================================================
    state      `_request`  `_call`  `_prepared`  what comes next
    =========  ==========  =======  ===========  ================================================================
    waiting                                      a request arrives: answering if it is a valid call, else telling
    answering  x           x                     the plugin's answer: sending; or the call is cancelled: telling
    telling    x                    x            a worker takes it up: sending
    sending    x                                 all is sent: waiting; or it is cancelled: the end
    =========  ==========  =======  ===========  ================================================================

    While `_is_sending`, `_call` and `_prepared` are what they were before. A call is cancelled because it `_is_late`,
    because the server `_is_stopped`, or because the client has gone, which leaves nothing to be told.

    Attributes:
        wire: The source of requests, and the destination of responses.
        scope: Cancels the answer; None while no worker is at it.
    """

    __slots__ = (
        "_call",
        "_is_late",
        "_is_open",
        "_is_sending",
        "_is_stopped",
        "_number",
        "_prepared",
        "_request",
        "_shared",
        "scope",
        "wire",
    )

    def __init__(self, number: int, wire: Wire, shared: Shared) -> None:
        self.wire = wire
        self.scope: anyio.CancelScope | None = None
        self._number = number
        self._shared = shared
        self._request: Request | None = None
        self._call: Call | None = None
        self._prepared: Message | None = None
        """What is sent instead of asking the plugin: a refusal, or the last words of a call that was cancelled."""
        self._is_open = True
        self._is_late = self._is_stopped = self._is_sending = False

    def go_on(self) -> None:
        """
        Answer the next request, if there is one and the one before it has been answered.
        """
        if self._request is not None or not self._is_open:
            return
        if self._is_stopped or self.wire.is_over:
            self._end()
        elif (request := self.wire.take()) is not None:
            self._begin(request)

    def hang_up(self) -> None:
        """
        Cancel the call that is running, since the client has gone.
        """
        if self._is_open:
            self._is_open = False
            self._call_off()

    def expire(self) -> None:
        """
        Cancel the call that is running, since its deadline has passed.
        """
        if self._call is not None and not self._is_sending:
            self._is_late = True
            self._call_off()

    def stop(self) -> None:
        """
        Cancel the call that is running; its caller is told that the plugin is unavailable. A response that is being
        sent may reach its client.
        """
        self._is_stopped = True
        if not self._is_sending:
            self._call_off()

    async def work(self) -> None:
        """
        Answer the request, or send the rest after a cancellation.
        """
        is_done = False
        try:
            if self._is_open:
                await self._send(self._prepared or await self._answer())
            is_done = True
        except Exception:
            # An error of one connection must not affect the others.
            _log.exception("the connection of %s has ended with an error", self.wire.peer)
            self._is_open, is_done = False, True
        finally:
            if is_done:
                self._finish()
            else:
                self._break_off()

    async def _send(self, data: Message) -> None:
        self._is_sending = True
        if not self.wire.write(*data):
            await self.wire.flush()
        if self._is_last():
            await self.wire.linger()
            self._is_open = False

    def _begin(self, request: Request) -> None:
        self._request = request
        self._prepared = self._refuse(request)
        if self._prepared is None:
            self._note_deadline()
        self._shared.workers.add(self)

    def _refuse(self, request: Request) -> Message | None:
        """
        The message for a request that is not a valid call; None when it is one, which is then stored.
        """
        if isinstance(request.problem, BadRequest):
            text = str(request.problem).encode()
            response = Response(request.problem.status, [(b"content-type", b"text/plain")], text)
        elif request.method != "POST":
            response = not_allowed()
        elif (page := request.headers.get("origin")) and (found := self._shared.responder.refuse_origin(page)):
            response = found
        else:
            try:
                self._call = self._read(request)
                return None
            except REFUSALS as problem:
                response = self._shared.responder.refuse(problem)
        return encode(response, request, is_last=request.is_last)

    def _read(self, request: Request) -> Call:
        if request.problem is not None:
            raise request.problem
        return read_call(
            request.path,
            self._shared.root,
            request.headers,
            request.body,
            now=self._shared.clock(),
            own=request.own,
            identity=self.wire.identity,
        )

    def _note_deadline(self) -> None:
        if self._call is not None and self._call.deadline is not None:
            self._shared.deadlines.add(self._number, self._call.deadline)

    async def _answer(self) -> Message:
        """
        The response to the call.
        """
        call, request, responder = self._call, self._request, self._shared.responder
        assert call is not None
        assert request is not None
        if self._is_late or self._is_stopped:
            return self._last_words()
        try:
            data = encode_reply(await responder.ask(call, self.wire.peer), request, limit=responder.limit)
        except Exception as error:  # the plugin's own code
            data = encode(responder.fail(error, call), request, is_last=request.is_last)
        return self._last_words() if self._has_expired() else data

    def _last_words(self) -> Message:
        """
        The message for a call that has been cancelled.
        """
        assert self._call is not None
        assert self._request is not None
        if self._is_stopped:
            response = stopped()
        elif self._is_late:
            response = failure(DeadlineExceeded(f"{self._call.name} ran out of time"))
        else:
            response = self._shared.responder.fail(RuntimeError("cancelled by the plugin itself"), self._call)
        return encode(response, self._request, is_last=self._is_last())

    def _has_expired(self) -> bool:
        """
        Whether the deadline has passed; a method, since type checkers take it that `_is_late` stays what it was.
        """
        return self._is_late

    def _is_last(self) -> bool:
        return self._is_stopped or (self._request is not None and self._request.is_last)

    def _finish(self) -> None:
        """
        Clean up after a request that has been answered.
        """
        self._leave_call()
        self._request = self._prepared = None
        if self._is_open:
            self.go_on()
        else:
            self._end()

    def _break_off(self) -> None:
        """
        The work was cancelled: have another worker tell the client, if it is still there and anything is to be sent.
        """
        may_speak = self._call is not None and self._is_open and not self._is_sending
        if may_speak:
            self._prepared = self._last_words()
        self._leave_call()
        if may_speak:
            self._shared.workers.add(self)
        else:
            self._end()

    def _leave_call(self) -> None:
        if self._call is not None:
            if self._call.deadline is not None:
                self._shared.deadlines.discard(self._number)
            self._call = None
        self._is_late = self._is_sending = False

    def _call_off(self) -> None:
        if self.scope is not None:
            self.scope.cancel()
        elif self._request is None:
            self._end()

    def _end(self) -> None:
        self._is_open = False
        self._request = self._prepared = None
        self.wire.close()
        self._shared.forget(self._number)
