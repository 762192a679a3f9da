"""
A served plugin's answer to a call: find the method, decode, run the handler, encode.

What lives here: the way from a Call to a Reply on the plugin's side. What must not: sockets, processes, signals.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from remora._context import CurrentCall, handled_call
from remora._draft import make_reply
from remora._extensions._conduct import Conduct
from remora._extensions._faults import cancellation, innermost, is_fault, is_interruption
from remora._extensions._interception import nested
from remora._headers import checked_headers
from remora._log_fields import of_served
from remora._methods import service_info, unknown_method
from remora._payloads import Payloads, check_types
from remora._serving._builtin import Builtin
from remora._serving._handlers import by_name, handlers_of
from remora.errors import (
    Code,
    ConfigError,
    DeadlineExceeded,
    Draining,
    ExtensionError,
    InvalidRequest,
    PluginError,
    RemoraError,
)
from remora.wire import PROTOBUF

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from remora._arguments import Arguments
    from remora._extensions._catalog import Catalog
    from remora._methods import ServiceInfo
    from remora._serving._guard import Guard
    from remora._serving._handlers import Handler
    from remora.protocols import Codec, Interceptor
    from remora.types import Call, Reply

_log = logging.getLogger(__name__)

_MOST_CODECS = 16


class Dispatcher:
    """
    Answers calls for one or more service objects, at most `max_concurrent_calls` at a time, and of these at most
    `max_threads` by synchronous handlers.

    As many more wait for their turn; calls beyond that are refused with RESOURCE_EXHAUSTED.
    """

    def __init__(
        self,
        services: Sequence[object],
        *,
        catalog: Catalog,
        max_concurrent_calls: int = 1000,
        max_threads: int = 40,
        guard: Guard | None = None,
        interceptors: Sequence[tuple[str, Interceptor]] = (),
    ) -> None:
        if not services:
            raise ConfigError("there is nothing to serve")
        self._catalog = catalog
        self._guard = guard
        self._limit = max_concurrent_calls
        self._slots = anyio.Semaphore(max_concurrent_calls, fast_acquire=True)
        threads = anyio.CapacityLimiter(max_threads)
        self._services = [(service_info(type(each)), handlers_of(each, threads)) for each in services]
        self._handlers = by_name(self._services)
        for info, found in self._services:
            for name, each in found.items():
                method = each.method
                codec = catalog.codec_of(method.request, method.response)
                check_types(codec, f"{info.name}/{name}", method.request, method.response)
        methods = [(info, [each.method for each in found.values()]) for info, found in self._services]
        self._builtin = Builtin(methods, json=catalog.codec("json"))
        self._conduct = Conduct()
        self._interceptors = interceptors
        self._active = 0
        self._idle = anyio.Event()

    @property
    def services(self) -> list[ServiceInfo]:
        """
        The services that are served.
        """
        return [info for info, _ in self._services]

    @property
    def active(self) -> int:
        """
        The number of calls that are being answered or waiting.
        """
        return self._active

    async def drain(self) -> None:
        """
        Refuse new calls, and wait until the calls under way have ended. Health is still answered.
        """
        self._builtin.is_draining = True
        while self._active:
            if self._idle.is_set():
                self._idle = anyio.Event()
            await self._idle.wait()

    async def __call__(self, call: Call, peer: str, /) -> Reply:
        """
        Answer one call (see `remora.protocols.Dispatch`).
        """
        return await self._admit_and_answer(call, peer, anyio.current_effective_deadline())

    def answer_in_time(self, call: Call, peer: str, /) -> Awaitable[Reply]:
        """
        Answer one call for a listener that itself cancels it at its deadline.
        """
        return self._admit_and_answer(call, peer, math.inf if call.deadline is None else call.deadline)

    async def _admit_and_answer(self, call: Call, peer: str, enforced: float) -> Reply:
        """
        The reply, unless the call is refused.

        Args:
            call: The call.
            peer: Who calls.
            enforced: When it is cancelled from outside; only an earlier deadline of the call needs a scope here.
        """
        if self._guard is not None:
            call = replace(call, identity=self._guard.admit(call, peer))
        if self._builtin.answers(call.service):
            return self._builtin.answer(call)
        if self._builtin.is_draining:
            raise Draining("the plugin is shutting down")
        if self._active >= 2 * self._limit:
            raise PluginError(f"the plugin is at its limit of {self._limit} calls", code=Code.RESOURCE_EXHAUSTED)
        self._active += 1
        try:
            if self._interceptors:
                return await self._intercepted(call, peer, enforced)
            return await self._within_deadline(call, peer, enforced)
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()

    async def _intercepted(self, call: Call, peer: str, enforced: float) -> Reply:
        answer = nested(self._interceptors, self._conduct, lambda asked: self._within_deadline(asked, peer, enforced))
        try:
            return await answer(call)
        except ExtensionError as error:  # callers must not learn which extension it was
            raise PluginError(f"{call.name} failed", code=Code.INTERNAL) from error

    def _within_deadline(self, call: Call, peer: str, enforced: float) -> Awaitable[Reply]:
        if call.deadline is None or call.deadline >= enforced:
            return self._answer(call, peer)
        return self._answer_within(call.deadline, call, peer)

    async def _answer_within(self, deadline: float, call: Call, peer: str) -> Reply:
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                return await self._answer(call, peer)
        except TimeoutError as error:  # never the handler's own: that has already become an answer
            raise DeadlineExceeded(f"{call.name} ran out of time") from error
        except ExceptionGroup as error:  # a handler that ran out of time failed as well
            raise _answer_to(error, call) from error

    async def _answer(self, call: Call, peer: str) -> Reply:
        if self._slots.value:
            self._slots.acquire_nowait()  # as `acquire` would, but without a coroutine
        else:
            await self._slots.acquire()
        try:
            handler = self._find(call)
            payloads = handler.payloads.get(call.content_type) or self._payloads(call, handler)
            request = _decode(payloads, call, handler.method.arguments)
            current = CurrentCall.of(call, peer)
            token = handled_call.set(current)
            try:
                result = await handler(request)
                headers = _reply_headers(current) if current.reply_headers else {}
            except Exception as error:  # the handler is a stranger's code
                raise _answer_to(error, call) from error
            except BaseException as error:  # one call ends neither the plugin nor the calls of others
                if is_fault(error):
                    raise _failed(error, call) from error
                raise cancellation(error, call.name, of_served(call)) from None
            finally:
                handled_call.reset(token)
            return make_reply(_encode(payloads, call, result), payloads.content_type, headers)
        finally:
            self._slots.release()

    def _find(self, call: Call) -> Handler:
        found = self._handlers.get((call.service, call.method))
        if found is None:
            raise PluginError(unknown_method(call.service, call.method, self._handlers), code=Code.UNIMPLEMENTED)
        return found

    def _payloads(self, call: Call, handler: Handler) -> Payloads:
        """
        The format that the caller names, or else the one that suits the method's record types.
        """
        method = handler.method
        if not call.content_type:
            codec: Codec | None = self._catalog.codec_of(method.request, method.response)
        else:
            codec = self._catalog.codec_for(call.content_type)
        if codec is None:
            raise PluginError(
                f"the media type {call.content_type!r} is not understood; send application/json",
                code=Code.INVALID_ARGUMENT,
            )
        payloads = Payloads(codec, writes=method.response, reads=method.request)
        if len(handler.payloads) < _MOST_CODECS:
            handler.payloads[call.content_type] = payloads
        return payloads


def _reply_headers(current: CurrentCall) -> dict[str, str]:
    try:
        return checked_headers(current.reply_headers)
    except InvalidRequest as error:  # a mistake of the handler, not of its caller
        raise ValueError(error.message) from error


def _decode(payloads: Payloads, call: Call, arguments: Arguments) -> object:
    if not call.payload and arguments.is_optional and payloads.content_type != PROTOBUF:  # there, it is a message, too
        return ...
    try:
        return payloads.decode(call.payload)
    except ValueError as error:
        raise PluginError(f"the request of {call.name} is wrong: {error}", code=Code.INVALID_ARGUMENT) from error
    except BaseException as error:  # a codec may be a stranger's code
        if is_interruption(error):
            raise
        raise _answer_to(error, call) from error


def _encode(payloads: Payloads, call: Call, result: object) -> bytes:
    try:
        return payloads.encode(result)
    except BaseException as error:  # a codec may be a stranger's code
        if is_interruption(error):
            raise
        _log.error("the reply of %s cannot be encoded: %s", call.name, error, extra=of_served(call))
        raise PluginError(f"the reply of {call.name} cannot be encoded", code=Code.INTERNAL) from error


def _failed(error: BaseException, call: Call) -> PluginError:
    """
    The error for the caller that hides what the handler has failed with; the log has it.
    """
    _log.error("%s failed", call.name, exc_info=error, extra=of_served(call))
    return PluginError(f"{call.name} failed with {type(error).__name__}", code=Code.INTERNAL)


def _answer_to(error: BaseException, call: Call) -> RemoraError:
    """
    The error for the caller after an exception of the handler: the handler's own status, or INTERNAL without details.
    """
    error = innermost(error)
    if isinstance(error, PluginError) and error.plugin is None:
        return error
    if isinstance(error, RemoraError):  # of a call that the handler made itself; the caller must not learn where
        details = error.details if isinstance(error, PluginError) else None
        return PluginError(error.message, code=error.code, details=details, retry_after=error.retry_after)
    return _failed(error, call)
