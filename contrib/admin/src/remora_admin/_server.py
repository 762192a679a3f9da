"""
The endpoints at an address of their own.
"""

from __future__ import annotations

import logging
import socket
from contextlib import asynccontextmanager
from importlib import import_module
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

import anyio
import sniffio
from hypercorn.config import Config, Sockets

from remora.errors import ConfigError, Unavailable
from remora.io import background_tasks
from remora_admin._app import admin_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.applications import Starlette

    from remora import Manager, Secret

_LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
_GRACE = 1.0

_log = logging.getLogger(__name__.replace("_", ".", 1))


@asynccontextmanager
async def serving_admin(
    manager: Manager,
    *,
    host: str = "127.0.0.1",
    port: int = 9091,
    admin_token: Secret | None = None,
    reload: Callable[[], Awaitable[object]] | None = None,
) -> AsyncIterator[str]:
    """
    Serve the endpoints of a manager while the context lasts.

    Args:
        manager: The manager, entered.
        host: The address to listen at; by default only this machine is answered.
        port: The port; 0 for any that is free.
        admin_token: Whoever sends it as `Authorization: Bearer` may restart, drain and reload; None lets nobody.
        reload: What `POST /reload` does; None to refuse it.

    Yields:
        The URL of the status page.

    Raises:
        Unavailable: The address is taken.
        ConfigError: There is no such address, or the token is empty or cannot be sent.
    """
    family, address = _resolved(host, port)
    shown = f"[{host}]" if ":" in host else host
    names = (*_LOOPBACK, *_readings(shown.lower())) if _is_loopback(address[0]) else ("*",)
    app = admin_app(manager, admin_token=admin_token, reload=reload, allowed_hosts=names)
    listening = _listen(host, family, address)
    ended = anyio.Event()
    async with background_tasks() as tasks:
        tasks.start_soon(_run, app, _Settings(listening), ended)
        try:
            yield f"http://{shown}:{listening.getsockname()[1]}/"
        finally:
            ended.set()


class _Settings(Config):
    """
    The settings of hypercorn, with a socket that exists already.
    """

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.errorlog = _log.getChild("hypercorn")
        self.errorlog.setLevel(logging.ERROR)  # where it listens is said already
        self.graceful_timeout = _GRACE
        self.include_server_header = False

    def create_sockets(self) -> Sockets:
        return Sockets([], [self._listening], [])


async def _run(app: Starlette, settings: _Settings, ended: anyio.Event) -> None:
    """
    Serve until `ended`. Hypercorn must not be cancelled while it cleans up.
    """
    run = import_module(f"hypercorn.{sniffio.current_async_library()}").serve
    try:
        with anyio.CancelScope(shield=True):
            await run(app, settings, shutdown_trigger=ended.wait)
    except Exception:  # of hypercorn, or of connections that were not done when it ended
        _log.exception("the endpoints of the host are gone")


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigError(f"cannot listen at {host!r}: {error.strerror or error}") from error
    return family, address


def _readings(host: str) -> tuple[str, str]:
    """
    A name as Starlette reads it in `Host`; before 1.7 it took what stands before the first colon of an IPv6 address.
    """
    return host, host.partition(":")[0]


def _is_loopback(address: str) -> bool:
    """
    Whether only this machine reaches an address, however it was written.
    """
    found = ip_address(address)
    inner = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (inner or found).is_loopback


def _listen(host: str, family: socket.AddressFamily, address: Any) -> socket.socket:
    try:
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host!r}: {error.strerror or error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(100)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise Unavailable(f"cannot listen at {host}:{address[1]}: {error.strerror or error}") from error
    return listening
