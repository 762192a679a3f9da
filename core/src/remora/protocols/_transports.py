"""
The way of calls: a transport, and what it opens and serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from remora.errors import RemoraError
    from remora.types import Call, Endpoint, HealthStatus, Inspection, Reply


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


@runtime_checkable
class ReviewedChannel(Channel, Protocol):
    """
    A channel to a program that is judged again while it runs.
    """

    async def next_review(self) -> Inspection:
        """
        Wait until the program would not be started any more, or would be again.

        Returns:
            How it is judged now, with the reasons against it; none when it would be started again.
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
