"""
The first contact with a server: whether anything answers, and whether it speaks HTTP.

An HTTP client library that meets another protocol waits, or reports a lost connection. So a channel opens with
`OPTIONS *`, which RFC 9110 provides for this purpose, on a connection of its own, and looks at the first bytes.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.streams.tls import TLSStream

from remora.errors import Unavailable, WrongProtocol
from remora.io import SocketPipe
from remora.tls import tls_failure
from remora_http._unix import connect_unix

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from remora.io import BytePipe
    from remora_http._address import Address

_BEGINNING = b"HTTP/"
_QUOTED = 64
_PATIENCE = 1.0
"""Seconds to wait for the first bytes. A server that sends none in that time is assumed to be just busy."""


async def greet(address: Address, tls: ssl.SSLContext | None, *, timeout: float) -> None:
    """
    Check that an HTTP server answers at an address.

    Args:
        address: The address.
        tls: The TLS context; None for no encryption.
        timeout: Seconds for connecting.

    Raises:
        Unavailable: Nothing answers there.
        WrongProtocol: Something answers, but not in HTTP.
        ConfigError: Its certificate is not accepted.
    """
    async with _connect(address, tls, timeout) as stream:
        beginning = await _first_bytes(address, stream)
    if beginning is None or beginning[: len(_BEGINNING)] == _BEGINNING[: len(beginning)] != b"":
        return
    raise WrongProtocol(f"what answers at {address.place} does not speak HTTP: {_describe(beginning, tls)}")


@asynccontextmanager
async def _connect(address: Address, tls: ssl.SSLContext | None, timeout: float) -> AsyncIterator[BytePipe]:
    try:
        with anyio.fail_after(timeout):
            stream = await _establish(address, tls)
    except TimeoutError as exc:
        raise Unavailable(f"{address.place} did not answer within {timeout:g} s", sent=False) from exc
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as exc:
        raise unreachable(address, exc) from exc
    try:
        yield stream
    finally:
        with anyio.CancelScope(shield=True) as scope:
            scope.cancel()  # close without a TLS farewell
            await stream.aclose()


async def _establish(address: Address, tls: ssl.SSLContext | None) -> BytePipe:
    if address.socket:
        return SocketPipe(await connect_unix(address))
    stream = await anyio.connect_tcp(address.host, address.port)
    if tls is None:
        return stream
    try:
        return await TLSStream.wrap(stream, hostname=address.host, ssl_context=tls, standard_compatible=False)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(stream)
        raise


def unreachable(address: Address, error: BaseException) -> Exception:
    """
    The error to raise for a connection that could not be made.
    """
    reason = _deepest_reason(error) or "the connection was closed"
    return tls_failure(error) or Unavailable(f"{address.place} cannot be reached: {reason}", sent=False)


def _deepest_reason(error: BaseException) -> str:
    reason, cause = _explain(error) if isinstance(error, OSError) else str(error), _cause(error)
    while cause is not None:
        reason = _explain(cause) if isinstance(cause, OSError) else reason
        cause = _cause(cause)
    return reason


def _cause(error: BaseException) -> BaseException | None:
    # A name may have several addresses; the error of the first one is enough.
    return error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__ or error.__context__


def _explain(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


async def _first_bytes(address: Address, stream: BytePipe) -> bytes | None:
    request = f"OPTIONS * HTTP/1.1\r\nHost: {address.authority}\r\nConnection: close\r\n\r\n"
    try:
        with anyio.move_on_after(_PATIENCE):
            await stream.send(request.encode())
            return (await stream.receive())[:_QUOTED]
    except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as exc:
        if failure := tls_failure(exc):
            raise failure from exc
        return b""
    return None


def _describe(beginning: bytes, tls: ssl.SSLContext | None) -> str:
    if not beginning:
        # Servers that miss a client certificate often close the connection without saying so.
        hint = "; does it ask for a certificate of the client?" if tls else ""
        return f"it closed the connection without an answer{hint}"
    hint = " (HTTP/2, as on a gRPC port)" if beginning[3:9] == b"\x04\x00\x00\x00\x00\x00" else ""
    return f"its answer begins with {beginning!r}{hint}"
