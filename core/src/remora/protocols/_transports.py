"""
How calls travel: a transport, the channels that it opens, and the listeners that it serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from remora.errors import RemoraError
    from remora.types import Call, Endpoint, HealthStatus, Inspection, Reply


class Transport(Protocol):
    """
    One way to carry calls, in both directions.
    """

    def open(self, endpoint: Endpoint, /) -> AbstractAsyncContextManager[Channel]:
        """
        Open a channel to the plugin at an endpoint. Leaving the context closes the channel and all that it started.

        Raises:
            Unavailable: Nothing answers there.
            WrongProtocol: What answers there speaks another protocol.
            ConfigError: The endpoint cannot be used with this transport.
        """
        ...

    def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AbstractAsyncContextManager[Listener]:
        """
        Serve a plugin at an endpoint. The bare form `SCHEME:` asks for a free local address.

        Leaving the context stops accepting, cancels the calls that are being answered, and frees the address.

        Args:
            endpoint: Where to serve.
            dispatch: Answers the calls.

        Raises:
            Unavailable: The address is taken.
            ConfigError: The endpoint cannot be used with this transport.
        """
        ...


@runtime_checkable
class InspectableTransport(Transport, Protocol):
    """
    A transport that starts programs, and can tell what it would start without doing so.
    """

    def inspect(self, endpoint: Endpoint, /) -> Inspection:
        """
        What would be started for an endpoint, and how it would be confined.

        Raises:
            ConfigError: There is nothing that could be started.
        """
        ...


@runtime_checkable
class PreparingTransport(Transport, Protocol):
    """
    A transport that has to prepare the process before the served objects start, such as to move standard streams out of
    their way.
    """

    def preparing(self, endpoint: Endpoint, /) -> AbstractContextManager[object]:
        """
        Prepare the process for serving at an endpoint. It is entered before the objects that are served, and left after
        them; `listen` is called, and its context left, in between.

        Raises:
            ConfigError: The endpoint cannot be used with this transport.
        """
        ...


class Channel(Protocol):
    """
    An open connection, or several, to one instance of a plugin. Many calls may be in flight at once.
    """

    async def call(self, call: Call, /) -> Reply:
        """
        Carry one call to the plugin, and its reply back.

        A call that is cancelled is abandoned: a late reply is dropped, and the plugin is told where the wire allows.

        Raises:
            PluginError: The plugin answered with an error of its own.
            RemoraError: Anything else went wrong, as the most specific class. Exceptions of the libraries below never
                get out; they are the `__cause__`.
        """
        ...

    async def probe(self) -> HealthStatus:
        """
        Ask the plugin for its health. A plugin without a health service is healthy while it can be reached.

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
            Why it ended; None when the peer closed it in an orderly way.
        """
        ...


@runtime_checkable
class ReviewedChannel(Channel, Protocol):
    """
    A channel to a program whose permission to run is checked again while it runs.
    """

    async def next_review(self) -> Inspection:
        """
        Wait until the program is no longer allowed to be started, or is allowed again.

        Returns:
            The new judgement. Its `reasons` say what speaks against the program; none when it is allowed again.
        """
        ...


class Listener(Protocol):
    """
    A served plugin, reachable at `endpoint` until its context is left.
    """

    @property
    def endpoint(self) -> Endpoint:
        """
        Where the plugin can be called, with the actual port or path.
        """
        ...

    async def wait_closed(self) -> None:
        """
        Wait until the other side has ended it, such as by the end of input on a pipe. A listening socket never ends by
        itself.
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
            call: The call; its deadline is on this process's clock (`anyio.current_time`).
            peer: Who calls, as far as the transport knows: an address, or `pid:N uid:N`.

        Raises:
            RemoraError: The answer is an error, to be sent with its code, message and details.
        """
        ...
