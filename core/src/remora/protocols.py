"""
What an extension's objects must be able to do. No base class is needed: any object with these methods will do.

What lives here: protocols. What must not: implementations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence
    from contextlib import AbstractAsyncContextManager

    from remora.errors import RemoraError
    from remora.metrics import MetricBatch, MetricKind
    from remora.types import Attempt, Call, Endpoint, HealthStatus, Inspection, Refresh, Reply, TraceIds

__all__ = [
    "AttemptInterceptor",
    "AuthMethod",
    "Balancer",
    "Candidate",
    "Channel",
    "Codec",
    "Dispatch",
    "InspectableTransport",
    "Interceptor",
    "Listener",
    "MetricExporter",
    "PullExporter",
    "Resolver",
    "Tracing",
    "Transport",
    "Verifier",
    "WatchedChannel",
]

T = TypeVar("T")


class Channel(Protocol):
    """
    The way to one instance of a plugin, open for calls. Many calls may be in flight at once.
    """

    async def call(self, call: Call, /) -> Reply:
        """
        Carry one call to the plugin and its reply back.

        A cancelled call is abandoned: its late reply reaches nobody, and the plugin is told where the wire can say so.

        Raises:
            PluginError: The plugin answered with an error of its own.
            RemoraError: Any other error, as the leaf that fits; foreign exceptions stop here.
        """
        ...

    async def probe(self) -> HealthStatus:
        """
        Ask the plugin how it is. A plugin that has no health service is healthy while it can be reached.

        Raises:
            RemoraError: It cannot be reached.
        """
        ...


@runtime_checkable
class WatchedChannel(Channel, Protocol):
    """
    A channel that knows by itself when it has ended, so that it can be replaced before the next call needs it.
    """

    async def wait_closed(self) -> RemoraError | None:
        """
        Wait until the channel has ended.

        Returns:
            Why it ended; None when the peer closed it in good order.
        """
        ...


class Dispatch(Protocol):
    """
    The served plugin as a listener sees it.
    """

    async def __call__(self, call: Call, peer: str, /) -> Reply:
        """
        Let the plugin answer one call.

        Args:
            call: The call; its deadline is on this process's clock.
            peer: Who calls, as far as the transport knows: an address, or `pid:N uid:N`.

        Raises:
            RemoraError: The answer is an error, to be sent with its code, message and details.
        """
        ...


class Listener(Protocol):
    """
    A served plugin, reachable at `endpoint` until its context is left.
    """

    @property
    def endpoint(self) -> Endpoint:
        """
        Where the plugin can be called, with the port or path that was really taken.
        """
        ...

    async def wait_closed(self) -> None:
        """
        Wait until the other side has ended it (end of input on a pipe). A listening socket never ends by itself.
        """
        ...


class Transport(Protocol):
    """
    One way to carry calls, in both directions.
    """

    def open(self, endpoint: Endpoint, /) -> AbstractAsyncContextManager[Channel]:
        """
        Open a channel to the plugin at an endpoint; leaving the context closes it and all that it started.

        Raises:
            Unavailable: Nothing answers there.
            WrongProtocol: Something else answers there.
            ConfigError: The endpoint makes no sense.
        """
        ...

    def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AbstractAsyncContextManager[Listener]:
        """
        Serve a plugin at an endpoint. An endpoint of the bare form `SCHEME:` asks for a free local address.

        Leaving the context stops accepting, lets no call answer any more, and frees the address.

        Raises:
            Unavailable: The address is taken.
            ConfigError: The endpoint makes no sense.
        """
        ...


@runtime_checkable
class InspectableTransport(Transport, Protocol):
    """
    A transport that starts programs, and can tell what it would start without doing so.
    """

    def inspect(self, endpoint: Endpoint, /) -> Inspection:
        """
        What would be started for an endpoint, and under which measures.

        Raises:
            ConfigError: There is nothing that could be started.
        """
        ...


class Codec(Protocol):
    """
    Turns records into payloads and back.
    """

    content_type: str

    def encode(self, value: object, /) -> bytes:
        """
        The payload for a record.

        Raises:
            ValueError: It cannot be written in this format; the message names the type or the field.
        """
        ...

    def decode(self, payload: bytes, type_: type[T], /) -> T:
        """
        The record of a payload.

        Raises:
            ValueError: It is not such a record; the message names the field.
        """
        ...


class Interceptor(Protocol):
    """
    Wraps every attempt-independent part of a call: sees it before the first attempt and its end after the last.
    """

    async def __call__(self, call: Call, proceed: Callable[[Call], Awaitable[Reply]], /) -> Reply:
        """
        Let the call go on with `await proceed(call)`, changed or not, and return its reply, changed or not.
        """
        ...


class AttemptInterceptor(Protocol):
    """
    Wraps the sending of one attempt of a call to one instance; a call that is tried three times passes three times.
    """

    async def __call__(self, call: Call, proceed: Callable[[Call], Awaitable[Reply]], /, *, attempt: Attempt) -> Reply:
        """
        Let the attempt go on with `await proceed(call)`, and return its reply. What it changes in the call is gone
        with the attempt.
        """
        ...


class Tracing(Protocol):
    """
    Knows which trace a call belongs to, for exemplars and log records.
    """

    def __call__(self, call: Call, /) -> TraceIds:
        """
        The trace and the span of an attempt or a call that has just ended, as far as this task knows; of one that no
        span was made for, those at hand. Called once or twice for each attempt and each call: it must be quick.
        """
        ...


class AuthMethod(Protocol):
    """
    Shows a plugin who calls. It decides and does no I/O itself, so a test drives it with `next()` and `.send()`.
    """

    def flow(self, call: Call, /) -> Generator[Call | Refresh, Any, None]:
        """
        Let one attempt of a call pass, with what proves who makes it.

        Yield the call with headers added: it is sent, and what comes back is the Reply, or the RemoraError of the
        attempt is thrown in. Yield a Refresh: its action is awaited, and what comes back is what that returns. The
        last reply is the attempt's; an error that the flow lets through is the attempt's too.
        """
        ...


class Verifier(Protocol):
    """
    Finds out who calls a served plugin.
    """

    def verify(self, call: Call, peer: str, /) -> str:
        """
        The name of the caller.

        Credentials are compared in a time that does not tell how much of them is right (`hmac.compare_digest`).

        Args:
            call: The call, with its headers.
            peer: Where it comes from, as far as the transport knows.

        Raises:
            PluginError: It proves nothing (UNAUTHENTICATED), or its maker may not call (PERMISSION_DENIED).
        """
        ...


class Candidate(Protocol):
    """
    An instance as a balancer sees it.
    """

    @property
    def name(self) -> str:
        """
        Its name, the same for as long as it exists.
        """
        ...

    @property
    def weight(self) -> int:
        """
        Its share of traffic beside the others; 0 for none while others have some.
        """
        ...

    @property
    def priority(self) -> int:
        """
        The highest number is preferred.
        """
        ...

    @property
    def in_flight(self) -> int:
        """
        Its calls under way.
        """
        ...

    @property
    def warmth(self) -> float:
        """
        How much of its share it is to get while it warms up: more than 0, and 1 once it is warm.
        """
        ...


C = TypeVar("C", bound=Candidate)


class Balancer(Protocol):
    """
    Chooses among the instances of one plugin. Nothing in it waits, so nothing else happens while it decides.
    """

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        The candidate for a call.

        Args:
            candidates: Those that can take the call, in the order of the configuration; at least one.
            key: What the call is about; calls with the same key may be sent to the same candidate. Empty for none.
        """
        ...

    def started(self, candidate: Candidate, /) -> None:
        """
        A call is sent to a candidate, whether this balancer chose it or not.
        """
        ...

    def finished(self, candidate: Candidate, /, *, latency: float, ok: bool | None) -> None:
        """
        A call to a candidate has ended after `latency` seconds: well, badly, or without a verdict (None).
        """
        ...

    def forget(self, name: str, /) -> None:
        """
        A candidate is gone for good, and what is known about it is of no use.
        """
        ...


class MetricExporter(Protocol):
    """
    Takes metrics to where somebody looks at them.

    It runs in a task of its own, on the event loop: what it waits for holds up nobody, but it must not block. It is
    cancelled when it takes longer than the registry allows, and what it raises is logged, counted, and followed by a
    longer pause; nothing of that is lost, since the next batch holds the totals again.
    """

    @property
    def name(self) -> str:
        """
        Its name, for messages.
        """
        ...

    def supports(self, kind: MetricKind, /) -> bool:
        """
        Whether it can do something with metrics of a kind; it gets no others.
        """
        ...

    async def export(self, batch: MetricBatch, /) -> None:
        """
        Take a batch. The numbers are totals since the start of each series, never differences.
        """
        ...

    async def close(self) -> None:
        """
        Let go of what it holds. Nothing is exported any more.
        """
        ...


@runtime_checkable
class PullExporter(Protocol):
    """
    Lets somebody come for metrics, whenever they like.
    """

    @property
    def name(self) -> str:
        """
        Its name, for messages.
        """
        ...

    def serving(self, read: Callable[[], MetricBatch], /) -> AbstractAsyncContextManager[object]:
        """
        A context in which the metrics can be fetched; when entering it fails, that is tried again later.

        Args:
            read: Gives what all metrics hold now; it may be called from any thread.
        """
        ...

    async def close(self) -> None:
        """
        Let go of what it holds. Its context has been left.
        """
        ...


class Resolver(Protocol):
    """
    Knows where a plugin is, also when that changes.
    """

    async def watch(self, report: Callable[[Sequence[Endpoint]], None], /) -> None:
        """
        Report all endpoints that there are now, and all of them again each time that they have changed.

        It goes on until it is cancelled; returning means that nothing changes any more. A report returns at once:
        what follows from it happens elsewhere. Of an endpoint that stays, the connections are kept.

        Raises:
            RemoraError: It cannot find out. The last report holds, and it is called again after a while, or after the
                error's `retry_after`.
        """
        ...
