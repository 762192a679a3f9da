"""
Why a TLS connection came to nothing: grpcio says "Socket closed" for many things, so one handshake is made without it.

What lives here: that handshake. What must not: gRPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from anyio.streams.tls import TLSStream

from remora.errors import CertificateRejected, ConfigError
from remora.tls import client_context, tls_failure
from remora_grpc._credentials import files_of

if TYPE_CHECKING:
    import ssl

    from remora_grpc._address import Address
    from remora_grpc.plugin import GrpcOptions


async def why_refused(address: Address, options: GrpcOptions, timeout: float) -> CertificateRejected | None:
    """
    The certificate that is to blame, and why; None when none is.
    """
    try:
        context = await anyio.to_thread.run_sync(_context, options)
        with anyio.move_on_after(timeout):
            return await _try_handshake(address, context, is_showing=bool(options.cert_file))
    except ConfigError:
        return None
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        return _certificate_failure(error)
    return None


def _context(options: GrpcOptions) -> ssl.SSLContext:
    context = client_context(files_of(options), server_name=options.server_name)
    context.set_alpn_protocols(["h2"])
    return context


async def _try_handshake(address: Address, context: ssl.SSLContext, *, is_showing: bool) -> CertificateRejected | None:
    async with await anyio.connect_tcp(address.host, address.port) as stream:
        tls = await TLSStream.wrap(stream, hostname=address.host, ssl_context=context, standard_compatible=False)
        try:
            await tls.receive(1)  # what the server thinks of our certificate comes after the handshake
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            return _certificate_failure(error) or _refused_certificate(is_showing=is_showing)
    return None


def _certificate_failure(error: BaseException) -> CertificateRejected | None:
    failure = tls_failure(error)
    return failure if isinstance(failure, CertificateRejected) else None


def _refused_certificate(*, is_showing: bool) -> CertificateRejected:
    """
    What it means that a server hangs up after the handshake: servers of grpcio say no more than that.
    """
    if is_showing:
        words, reason = "it does not accept the client's certificate", "client-certificate-refused"
    else:
        words, reason = "it asks for a certificate of the client", "client-certificate-missing"
    return CertificateRejected(f"the server hangs up after the TLS handshake: most likely {words}", reason=reason)
