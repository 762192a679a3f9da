"""
A tap on a wire: it stands between two sockets and writes down what passes.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Self

import anyio.to_thread

Address = str | tuple[str, int]


class Tap:
    """
    Passes connections on to a socket while the context lasts.

    Attributes:
        address: Where to connect to instead of the target.
        connections: For each connection what the caller has sent, and what came back.
    """

    def __init__(self, target: Address, *, listen: Address) -> None:
        self._target = target
        self._family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET
        self._listener = socket.socket(self._family)
        self._listener.bind(listen)
        self._listener.listen()
        self._sockets = [self._listener]
        self._threads = [Thread(target=self._accept)]
        self.address: Address = self._listener.getsockname()
        self.connections: list[tuple[bytearray, bytearray]] = []

    async def __aenter__(self) -> Self:
        self._threads[0].start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await anyio.to_thread.run_sync(self._close)  # the peer, which must close too, may be on this event loop

    def _close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:  # grows until the first of them has ended
            thread.join(5)
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                self._connect(caller)

    def _connect(self, caller: socket.socket) -> None:
        target = socket.socket(self._family)
        self._sockets += [caller, target]
        target.connect(self._target)
        sent, received = bytearray(), bytearray()
        self.connections.append((sent, received))
        for source, sink, record in ((caller, target, sent), (target, caller, received)):
            thread = Thread(target=_pass_on, args=(source, sink, record))
            self._threads.append(thread)
            thread.start()


def _pass_on(source: socket.socket, sink: socket.socket, record: bytearray) -> None:
    """
    Carry bytes until the source ends, and tell the sink so.
    """
    with suppress(OSError):
        while data := source.recv(65536):
            record += data
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
