"""
Typed calls of one plugin: records go in, records come out; in between a payload goes through the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from remora._calls._fallback import fixed_reply, misfit
from remora._calls._handshake import (
    check_methods,
    check_protocol,
    describe_call,
    means_no_description,
    read_description,
)
from remora._calls._probing import probe
from remora._calls._request_id import new_request_id
from remora._draft import make_call
from remora._extensions._faults import is_interruption, told
from remora._headers import checked_headers, checked_request_id, checked_text, checked_word
from remora._payloads import Payloads, check_types
from remora.errors import InvalidReply, InvalidRequest, PluginError, RemoraError, ServiceMismatch, VersionMismatch
from remora.types import Call, PluginInfo

if TYPE_CHECKING:
    from remora._calls._pipeline import Pipeline
    from remora._calls._route import Route
    from remora._extensions._catalog import Catalog
    from remora.errors import ConfigError
    from remora.types import HealthStatus, Reply

T = TypeVar("T")

_MOST_TARGETS = 256
_REPLY: tuple[tuple[str, type], ...] = (("payload", bytes), ("content_type", str), ("headers", Mapping))
_NEVER_TYPES = (str, bytes, int, float, list, tuple, dict, set)
_ELSEWHERE = (
    "the manager belongs to the event loop of another thread: call it there with `anyio.from_thread.run`,"
    " or use `remora.sync.Manager`, which is for threads"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """
    The options of one call.

    Attributes:
        timeout: Seconds that the call may take; None for the configured limit only.
        headers: Headers to send; the case of their names does not matter.
        request_id: The identifier of the call; a new one when there is none.
        idempotent: Whether the call may be made twice; None for what the method declares.
        hash_key: A key for balancers that send calls with the same key to the same instance.
    """

    timeout: float | None = None
    headers: Mapping[str, str] | None = None
    request_id: str | None = None
    idempotent: bool | None = None
    hash_key: str = ""


NO_OPTIONS = CallOptions()


@dataclass(frozen=True, slots=True)
class Target:
    """
    One method of a plugin with what turns its records into payloads and back.
    """

    service: str
    method: str
    response: Any
    payloads: Payloads
    catalog: Catalog
    route: Route
    idempotent: bool = False

    def read(self, call: Call, reply: Reply) -> Any:
        """
        The record in a reply.

        Raises:
            InvalidReply: It cannot be decoded; the message names the field.
        """
        try:
            if reply.content_type and reply.content_type != self.payloads.content_type:
                return self._read_other(reply)
            return self.payloads.decode(reply.payload)
        except BaseException as error:  # a codec may be a stranger's code
            if is_interruption(error):
                raise
            reason = self._oddity(reply) or _reason(error)
            raise InvalidReply(f"the reply of {call.name} is wrong: {reason}") from error

    def fallback_error(self) -> ConfigError | None:
        """
        The error when the configured fallback is a value that is no reply of the method.
        """
        fallback = self.route.config.fallback
        if fallback is None or fallback.value is None:
            return None
        call = Call(service=self.service, method=self.method)
        try:
            self.read(call, fixed_reply(fallback))
        except InvalidReply as error:
            return misfit(self.route.name, call, error)
        return None

    def _oddity(self, reply: Reply) -> str:
        """
        What a transport has made a reply of that is none, in a sentence. Only looked for once decoding has failed,
        since looking would make every call slower.
        """
        for name, kind in _REPLY:
            value = getattr(reply, name)
            if not isinstance(value, kind):
                origins = " or ".join(dict.fromkeys(each.origin for each in self.route.instances))
                return f"the transport of {origins} gave {name} of type {type(value).__name__}, not {kind.__name__}"
        return ""

    def _read_other(self, reply: Reply) -> Any:
        """
        The record in a reply of another content type, by the codec for that, if there is one.
        """
        codec = self.catalog.codec_for(reply.content_type)
        return self.payloads.decode(reply.payload) if codec is None else codec.decode(reply.payload, self.response)


class Caller:
    """
    Makes the calls of one plugin.
    """

    def __init__(self, route: Route, pipeline: Pipeline, catalog: Catalog) -> None:
        self.route = route
        self.pipeline = pipeline
        self._catalog = catalog
        self._thread = get_ident()
        self._config = route.config
        self._targets: dict[tuple[Any, ...], Target] = {}

    def known_target(self, service: str | None, method: str | None, request: Any, response: Any) -> Target:
        """
        What `target` makes, for callers that ask anew for each call; it is remembered while the configuration stays.
        """
        if self._config is not self.route.config:
            self._config = self.route.config
            self._targets.clear()
        key = (service, method, request, response)
        try:
            found = self._targets.get(key)
        except TypeError:  # of types, a few cannot be keys
            return self.target(service=service, method=method, request=request, response=response)
        if found is None:
            found = self.target(service=service, method=method, request=request, response=response)
            if len(self._targets) < _MOST_TARGETS:
                self._targets[key] = found
        return found

    def target(
        self, *, service: str | None, method: str | None, request: Any, response: Any, idempotent: bool = False
    ) -> Target:
        """
        A method to call; a service or a method that is None is taken from the configuration.

        Raises:
            ConfigError: Values of a type would not come out as what they were.
            InvalidRequest: A name cannot be sent.
            NotInstalled: The configured codec is not installed.
            TypeError: Something else stands where a type is expected, such as a record.
        """
        for each in (request, response):
            _refuse_value(each)
        config = self.route.config
        codec = self._catalog.codec(config.codec) if config.codec else self._catalog.codec_of(request, response)
        service = checked_word("service", config.service if service is None else service)
        method = checked_word("method", config.method if method is None else method)
        check_types(codec, f"{service}/{method}".strip("/") or self.route.name, request, response)
        return Target(
            service=service,
            method=method,
            response=response,
            payloads=Payloads(codec, writes=request, reads=response),
            catalog=self._catalog,
            route=self.route,
            idempotent=idempotent,
        )

    async def call(self, target: Target, request: object, options: CallOptions) -> Any:
        """
        Call a method.

        Raises:
            InvalidRequest: The request cannot be encoded, or an option is wrong.
            InvalidReply: The reply is not such a record; the message names the field.
            RemoraError: The call has no reply.
            RuntimeError: This is not the thread of the manager.
            TypeError: The options are none.
        """
        if get_ident() != self._thread:  # it would wait forever for another thread's event loop
            raise RuntimeError(_ELSEWHERE)
        if options is not NO_OPTIONS and not isinstance(options, CallOptions):
            raise TypeError(f"the options of a call are a CallOptions, not a {type(options).__name__}")
        request_id = new_request_id() if options.request_id is None else options.request_id
        try:
            if options is not NO_OPTIONS:
                checked_request_id(request_id)
                checked_text("hash key", options.hash_key)
            call = make_call(
                target.service,
                target.method,
                self._encode(target, request),
                target.payloads.content_type,
                checked_headers(options.headers) if options.headers else {},
                self.pipeline.deadline(options.timeout),
                request_id,
                target.idempotent if options.idempotent is None else options.idempotent,
                options.hash_key,
                "",
            )
            return await self.pipeline.carry(call, target.read)
        except RemoraError as error:
            error.locate(plugin=self.route.name, instance=None, request_id=request_id)
            raise

    async def info(self) -> PluginInfo:
        """
        What the plugin says about itself, or what the configuration says when it cannot describe itself.
        """
        return await self._described() or PluginInfo(name=self.route.name, version=self.route.config.version)

    async def verify(self, service: str, protocol: type) -> PluginInfo:
        """
        Check that the plugin serves the methods of a class.

        Raises:
            ServiceMismatch: It does not.
        """
        try:
            info = await self.info()
            check_methods(info, service, protocol)
        except ServiceMismatch as error:
            error.plugin = self.route.name
            raise
        return info

    async def _described(self) -> PluginInfo | None:
        try:
            info = read_description(await self.pipeline(describe_call(), None))
            check_protocol(info)
        except PluginError as error:
            if not means_no_description(error):
                raise
            return None
        except VersionMismatch as error:
            error.plugin = self.route.name
            raise
        return info

    async def health(self) -> HealthStatus:
        """
        The health of the plugin, after asking each of its instances.
        """
        async with anyio.create_task_group() as group:
            for instance in self.route.instances:
                group.start_soon(probe, self.route, instance)
        return self.route.health()

    def _encode(self, target: Target, request: object) -> bytes:
        if request is ...:  # the only argument is left out
            return b""
        try:
            return target.payloads.encode(request)
        except BaseException as error:  # a codec may be a stranger's code
            if is_interruption(error):
                raise
            raise InvalidRequest(f"the request cannot be encoded: {_reason(error)}") from error


def _refuse_value(given: object) -> None:
    """
    Refuse what is no type, before a call is made with it.
    """
    if hasattr(given, "__dataclass_fields__") and not isinstance(given, type):
        name = type(given).__name__
        raise TypeError(f"a method is called by the types of its records: write {name}, not {name}(...)")
    if isinstance(given, _NEVER_TYPES):
        raise TypeError(f"a method is called by the types of its records, and {given!r} is none")


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, ValueError) else told(error)
