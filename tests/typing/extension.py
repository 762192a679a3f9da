"""
An extension as its author writes it. Never run; mypy and pyright check that it needs no suppression.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from remora import (
    BalancerSpec,
    Call,
    CodecSpec,
    ConfigError,
    Endpoint,
    HealthStatus,
    InterceptorSpec,
    Reply,
    ResolverSpec,
    TransportSpec,
    hookimpl,
)
from remora.codecs import RecordConverter
from remora.metrics import TraceIds
from remora.protocols import (
    Balancer,
    Candidate,
    Channel,
    Codec,
    Dispatch,
    InspectableTransport,
    Interceptor,
    Listener,
    PreparedCodec,
    PreparingTransport,
    Resolver,
    ReviewedChannel,
    Tracing,
    Transport,
)
from remora.types import Event, Inspection, InstanceLost
from remora.values import dataclass as record
from remora.wire import is_reserved, make_reply, too_large

C = TypeVar("C", bound=Candidate)
T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """
    Options with a default each.
    """

    max_message_size: int = 4 * 1024 * 1024


class CarrierChannel:
    """
    A channel needs no base class.
    """

    async def call(self, call: Call) -> Reply:
        """
        Echo.
        """
        if len(call.payload) > 1000:
            raise too_large("request", 1000, sent=False)
        headers = {name: value for name, value in call.headers.items() if not is_reserved(name)}
        return make_reply(call.payload, call.content_type, headers)

    async def probe(self) -> HealthStatus:
        """
        Always unknown.
        """
        return HealthStatus()


class CarrierTransport:
    """
    A transport needs no base class either.
    """

    def open(self, endpoint: Endpoint) -> AbstractAsyncContextManager[Channel]:
        """
        Open it.
        """
        raise NotImplementedError(endpoint.address)

    def listen(self, endpoint: Endpoint, dispatch: Dispatch) -> AbstractAsyncContextManager[Listener]:
        """
        Serve it.
        """
        raise NotImplementedError(endpoint.scheme, dispatch)


def build(options: Options) -> Transport:
    """
    Make a transport.
    """
    assert options.max_message_size > 0
    return CarrierTransport()


def refuse(records: RecordConverter, value: object, error: Exception) -> ValueError:
    """
    The error for a record that cannot be written, with the field.
    """
    return records.refusal(value, error, write=repr)


def build_codec() -> Codec:
    """
    Make a codec.
    """
    raise NotImplementedError


class FastCodec:
    """
    A codec may be quicker for types that are known before any call.
    """

    content_type = "application/cbor"

    def encode(self, value: object, /) -> bytes:
        """
        The payload.
        """
        return bytes(str(value), "ascii")

    def decode(self, payload: bytes, type_: type[T], /) -> T:
        """
        The record.
        """
        raise NotImplementedError

    def encoder(self, type_: type, /) -> Callable[[object], bytes]:
        """
        The same.
        """
        return self.encode

    def decoder(self, type_: type[T], /) -> Callable[[bytes], T]:
        """
        The same.
        """
        return lambda payload: self.decode(payload, type_)


@dataclass(frozen=True)
class ChosenCodec:
    """
    The media type of a codec is only read, so it may be a field of a frozen record.
    """

    content_type: str = "text/x-chosen"

    def encode(self, value: object) -> bytes:
        """
        The payload.
        """
        return bytes(str(value), "ascii")

    def decode(self, payload: bytes, type_: type[T]) -> T:
        """
        The record.
        """
        raise NotImplementedError


prepared: PreparedCodec = FastCodec()
plain: Codec = prepared
chosen: Codec = ChosenCodec()


def check(endpoint: Endpoint) -> None:
    if not endpoint.address:
        raise ConfigError(f"{endpoint.url}: expected carrier:ADDRESS")


@hookimpl
def remora_register_transports() -> Iterable[TransportSpec[Options]]:
    """
    One transport.
    """
    return [TransportSpec(name="carrier", schemes=("carrier",), options=Options, build=build, check=check)]


@hookimpl
def remora_register_codecs() -> Iterable[CodecSpec]:
    """
    One codec.
    """
    return [CodecSpec(name="cbor", content_types=("application/cbor",), build=build_codec)]


class Stickiest:
    """
    A balancer needs no base class.
    """

    def pick(self, candidates: Sequence[C], key: str) -> C:
        """
        The first of those of the key.
        """
        return candidates[len(key) % len(candidates)]

    def started(self, candidate: Candidate) -> None:
        """
        Nothing to learn.
        """

    def finished(self, candidate: Candidate, *, latency: float, ok: bool | None) -> None:
        """
        Nothing to learn.
        """

    def forget(self, name: str) -> None:
        """
        Nothing to forget.
        """


def build_balancer(clock: Callable[[], float], rng: random.Random) -> Balancer:
    """
    Make a balancer.
    """
    rng.seed(clock())
    return Stickiest()


@hookimpl
def remora_register_balancers() -> Iterable[BalancerSpec]:
    """
    One balancer that learns how calls end, and one that need not be told.
    """
    return [
        BalancerSpec(name="stickiest", build=build_balancer),
        BalancerSpec(name="first", build=build_balancer, learns=False),
        BalancerSpec(name="loyal", build=build_balancer, sticky=True, keyed=False),
    ]


def build_stamp(plugin: str) -> Interceptor | None:
    """
    Make what adds a header to every call of a plugin.
    """
    if plugin == "private":
        return None

    async def stamp(call: Call, proceed: Callable[[Call], Awaitable[Reply]], /) -> Reply:
        return await proceed(call.with_headers({**call.headers, "x-stamp": plugin}))

    return stamp


@dataclass(frozen=True)
class LimitOptions:
    """
    The table of an interceptor.
    """

    most: int = 1000


def build_limit(plugin: str, options: LimitOptions) -> Interceptor | None:
    """
    Make what refuses large payloads, as its options say.
    """

    async def limit(call: Call, proceed: Callable[[Call], Awaitable[Reply]], /) -> Reply:
        if len(call.payload) > options.most:
            raise ValueError(plugin)
        return await proceed(call)

    return limit


def trace_of(call: Call, /) -> TraceIds:
    """
    The trace of a call.
    """
    return {"trace_id": call.headers.get("x-trace", ""), "span_id": ""}


def build_tracing() -> Tracing | None:
    """
    Make what knows the trace of a call.
    """
    return trace_of


@hookimpl
def remora_register_interceptors() -> Iterable[InterceptorSpec]:
    """
    One interceptor, which waits for nothing, and knows the trace; and one with options.
    """
    stamp = InterceptorSpec(name="stamp", build=build_stamp, waits=False, tracing=build_tracing)
    return [stamp, InterceptorSpec(name="limit", build=build_limit, options=LimitOptions)]


@hookimpl
def remora_event(event: Event) -> None:
    """
    One observer.
    """
    if isinstance(event, InstanceLost):
        print(f"{event.plugin}: {event.cause}, again in {event.retry_in:.1f} s")


channel: Channel = CarrierChannel()


class StarterChannel(CarrierChannel):
    """
    A channel to a program can say how the program is judged while it runs.
    """

    async def next_review(self) -> Inspection:
        """
        At once, and always the same.
        """
        return Inspection(program="p", sha256="", size=0, outcome="refused", reasons=("it is not listed",))


reviewed: ReviewedChannel = StarterChannel()


class StarterTransport(CarrierTransport):
    """
    A transport that starts programs can say what it would start.
    """

    def inspect(self, endpoint: Endpoint) -> Inspection:
        """
        Always the same.
        """
        return Inspection(
            program=endpoint.address,
            sha256="",
            size=0,
            outcome="allowed",
            measures={"sandbox": "none"},
            warnings=("old",),
        )


starter: InspectableTransport = StarterTransport()


class StreamTransport(CarrierTransport):
    """
    A transport that serves what the process was started with can keep it out of the way of others.
    """

    @contextmanager
    def preparing(self, endpoint: Endpoint) -> Iterator[str]:
        """
        Whatever the context gives is not used.
        """
        yield endpoint.address


streams: PreparingTransport = StreamTransport()


@record(frozen=True, slots=True, kw_only=True)
class Where:
    """
    Options of a resolver.
    """

    url: str = "http://127.0.0.1:8000"


class Once:
    """
    A resolver needs no base class.
    """

    def __init__(self, options: Where) -> None:
        self._options = options

    async def watch(self, report: Callable[[Sequence[Endpoint]], None], /) -> None:
        """
        Tell once.
        """
        report([Endpoint(self._options.url)])


def find(options: Where) -> Resolver:
    """
    Make a resolver.
    """
    return Once(options)


@hookimpl
def remora_register_resolvers() -> Iterable[ResolverSpec[Where]]:
    """
    Add it.
    """
    return [ResolverSpec(name="once", options=Where, build=find)]
