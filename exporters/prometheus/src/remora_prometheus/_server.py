"""
A small HTTP server in threads of its own: a scrape, however slow, takes no turn of the event loop, and what is counted
can be read even while something holds the loop up.

What lives here: connections and their limits. What must not: metrics.
"""

from __future__ import annotations

import logging
import socket
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    App = Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]

_log = logging.getLogger(__name__.replace("_", ".", 1))

_PATIENCE = 5.0  # seconds that a client may be silent
_CONNECTIONS = 16


class Server(ThreadingMixIn, WSGIServer):
    """
    Answers requests, at most so many at once, until it is closed.

    Args:
        host: The address to listen at.
        port: The port; 0 for any that is free.
        app: What answers.

    Raises:
        OSError: It cannot listen there.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, app: App) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._places = BoundedSemaphore(_CONNECTIONS)
        super().__init__((host, port), _Handler)
        self.set_app(app)
        self._thread = Thread(target=self.serve_forever, args=(0.05,), name="remora-prometheus", daemon=True)
        self._thread.start()

    def server_bind(self) -> None:
        """
        Take the address as it stands: the name of this machine, which would be looked up, is of no use here.
        """
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """
        Answer in a thread, where there is room for one.
        """
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system has no thread left
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """
        Answer, and make room.
        """
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """
        Say it in the log: a client that went away, mostly.
        """
        _log.debug("a scrape from %s failed", client_address, exc_info=True)

    def end(self) -> None:
        """
        Stop listening, and wait until nobody does any more.
        """
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, the library's name
        _log.debug(format, *args)
