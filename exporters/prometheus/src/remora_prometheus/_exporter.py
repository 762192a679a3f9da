"""
The exporter: `/metrics` at a port, for a Prometheus server to scrape.
"""

from __future__ import annotations

import errno
import logging
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from anyio import CancelScope, to_thread
from prometheus_client import CollectorRegistry, make_wsgi_app

from remora.errors import Unavailable
from remora_prometheus._collector import RemoraCollector
from remora_prometheus._server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from remora.metrics import MetricBatch
    from remora_prometheus._server import App

_log = logging.getLogger(__name__.replace("_", ".", 1))

PATH = "/metrics"
_LAST_PORT = 65535
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""The names of this machine for itself."""


class PrometheusExporter:
    """
    Answers scrapes at `http://HOST:PORT/metrics`, in the text format and in OpenMetrics, whichever is asked for.

    Attributes:
        name: Its name.
        host: The address at which it listens.
        port: The port; while it listens, the actual one.

    Args:
        port: The port; 0 for any that is free.
        host: The address to listen at; by default only this machine is answered.
        ports: How many ports may be tried, from `port` on, for the first one that is free.
    """

    name = "prometheus"

    def __init__(self, *, port: int = 9464, host: str = "127.0.0.1", ports: int = 1) -> None:
        self.host = host
        self.port: int = port
        self._first = port
        self._ports = ports

    @property
    def url(self) -> str:
        """
        Where to scrape.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{PATH}"

    @asynccontextmanager
    async def serving(self, read: Callable[[], MetricBatch], /) -> AsyncIterator[None]:
        """
        Answer while the context lasts.

        Raises:
            Unavailable: It cannot listen there.
        """
        registry = CollectorRegistry(auto_describe=False, support_collectors_without_names=True)
        registry.register(RemoraCollector(read))
        server = self._listen(_only_at_path(make_wsgi_app(registry), self.host))
        self.port = server.server_port
        _log.info("metrics can be scraped at %s", self.url)
        try:
            yield
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(server.end)

    def _listen(self, app: App) -> Server:
        first = self._first if self._ports > 1 else self.port  # the one that it had before, where that was any
        last = min(first + self._ports - 1, _LAST_PORT)
        for self.port in range(first, last + 1):
            try:
                return Server(self.host, self.port, app)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or self.port == last:
                    reason = _reason(error, first, last)
                    raise Unavailable(f"cannot listen at {self.url}: {reason}", sent=False) from error
        raise AssertionError("there is at least one port")

    async def close(self) -> None:
        """
        Nothing is left when the context has been left.
        """


def _reason(error: OSError, first: int, last: int) -> str:
    said = error.strerror or str(error)
    if error.errno != errno.EADDRINUSE:
        return said
    if last > first:
        return f"{said}, and so are all from {first} on; raise `ports`"
    return f"{said}; for several processes, raise `ports`"


def _only_at_path(app: App, host: str) -> App:
    names = (*_LOOPBACK, host.lower())

    def answer(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        # A web page may have got itself a name for this machine.
        if _is_loopback(environ["SERVER_NAME"]) and _host_of(environ) not in names:
            start("400 Bad Request", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"That is not a name of this machine.\n"]
        if environ["PATH_INFO"] == PATH:
            return app(environ, start)
        start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"There is only {PATH} here.\n".encode()]

    return answer


def _is_loopback(address: str) -> bool:
    """
    Whether only this machine reaches an address, however it was written.
    """
    found = ip_address(address)
    inner = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (inner or found).is_loopback


def _host_of(environ: Mapping[str, Any]) -> str | None:
    try:
        return urlsplit(f"//{environ.get('HTTP_HOST', 'localhost')}").hostname
    except ValueError:
        return None
