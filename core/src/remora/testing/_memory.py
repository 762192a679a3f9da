"""
A transport inside the process, for tests of hosts and plugins without sockets.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from remora.errors import ConnectionLost, PluginError, Unavailable
from remora.io import probe_health
from remora.specs import TransportSpec
from remora.testing._registration import NoOptions, TransportExtension
from remora.wire import decode_status, encode_status, unsendable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remora.errors import RemoraError
    from remora.protocols import Dispatch
    from remora.types import Call, Endpoint, HealthStatus, Reply

__all__ = ["MemoryTransport"]


class MemoryTransport:
    """
    Carries calls to plugins that listen on the same object, at addresses such as `memory:text`.

    Pass `transport.extension` to `Manager(..., extensions=[...])` and to `serving(..., extensions=[...])`.
    """

    def __init__(self) -> None:
        self._served: dict[str, Dispatch] = {}
        self._channels: dict[str, set[_MemoryChannel]] = {}
        self._numbers = count(1)

    @property
    def spec(self) -> TransportSpec[NoOptions]:
        """
        A spec whose `build` always returns this object.
        """
        return TransportSpec(name="memory", schemes=("memory",), options=NoOptions, build=lambda _: self)

    @property
    def extension(self) -> object:
        """
        An extension that registers it.
        """
        return TransportExtension(self.spec)

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncIterator[_MemoryChannel]:
        """
        A channel to the plugin that listens at the endpoint.

        Raises:
            Unavailable: No plugin listens there.
        """
        await anyio.lowlevel.checkpoint()
        dispatch = self._served.get(endpoint.address)
        if dispatch is None:
            raise Unavailable(f"nothing listens at {endpoint.url}", sent=False)
        channel = _MemoryChannel(dispatch)
        self._channels[endpoint.address].add(channel)
        try:
            yield channel
        finally:
            channel.lose()

    @asynccontextmanager
    async def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AsyncIterator[_MemoryListener]:
        """
        Serve at the endpoint; the bare `memory:` takes a new address.

        Raises:
            Unavailable: The address is taken.
        """
        await anyio.lowlevel.checkpoint()
        address = endpoint.address or f"plugin-{next(self._numbers)}"
        if address in self._served:
            raise Unavailable(f"memory:{address} is taken", sent=False)
        self._served[address] = dispatch
        self._channels[address] = set()
        try:
            yield _MemoryListener(replace(endpoint, url=f"memory:{address}"))
        finally:
            self.crash(address)

    def crash(self, address: str) -> None:
        """
        Let the plugin at an address vanish: its calls fail, its channels end, and nothing listens there any more.
        """
        self._served.pop(address, None)
        for channel in self._channels.pop(address, set()):
            channel.lose()


@dataclass(frozen=True)
class _MemoryListener:
    endpoint: Endpoint

    async def wait_closed(self) -> None:
        await anyio.sleep_forever()


class _MemoryChannel:
    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._lost = anyio.Event()
        self._calls: set[anyio.CancelScope] = set()

    async def call(self, call: Call, /) -> Reply:
        if self._lost.is_set():
            raise ConnectionLost("the plugin is gone", sent=False)
        with anyio.CancelScope() as scope:
            self._calls.add(scope)
            try:
                return await self._dispatch(replace(call, hash_key="", identity=""), "memory")  # neither is sent
            except PluginError as error:
                raise _as_sent(error) from error
            finally:
                self._calls.discard(scope)
        raise ConnectionLost("the plugin is gone")

    async def probe(self) -> HealthStatus:
        return await probe_health(self.call)

    async def wait_closed(self) -> RemoraError | None:
        await self._lost.wait()
        return ConnectionLost("the plugin is gone")

    def lose(self) -> None:
        """
        End the channel, and every call on it.
        """
        self._lost.set()
        for scope in self._calls:
            scope.cancel()


def _as_sent(error: PluginError) -> RemoraError:
    """
    The error as a host gets it over a wire: neither its class nor the objects in its details go along.
    """
    try:
        sent = decode_status(encode_status(error)) or error
    except Exception:  # a handler may have put anything into it
        return unsendable(error)
    if isinstance(sent, PluginError):
        sent.headers = error.headers
    return sent
