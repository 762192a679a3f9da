"""
gRPC over TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import anyio
import grpc
import grpc.aio
import pytest
import trustme

from remora import Call, CertificateRejected, ConfigError, Endpoint, Unavailable
from remora.config import ConnectionConfig
from remora.protocols import Transport
from remora_grpc._client import Client
from remora_grpc.plugin import GrpcOptions, build

pytestmark = pytest.mark.anyio

Files = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """
    A certificate authority.
    """
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path) -> str:
    """
    The authority's certificate.
    """
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def files(authority, tmp_path) -> Files:
    """
    Writes a certificate for a name, and its key.
    """

    def write(name: str) -> dict[str, str]:
        issued = authority.issue_cert(name)
        chain, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return {"cert_file": str(chain), "key_file": str(key)}

    return write


async def test_call_over_tls(files, ca_file, plugin):
    """
    The plugin's certificate is checked against the given authority.
    """
    with anyio.fail_after(10):
        async with (
            _transport(**files("localhost")).listen(Endpoint("grpcs://localhost:0"), plugin) as listener,
            _transport(ca_file=ca_file).open(listener.endpoint) as channel,
        ):
            reply = await channel.call(Call(service="s", method="m", payload=b"x"))

    assert b"x" == reply.payload
    assert listener.endpoint.url.startswith("grpcs://localhost:")


async def test_certificate_of_another_name_is_refused_unless_it_is_named(files, ca_file, plugin):
    """
    `server_name` says which name the certificate must carry.
    """
    with anyio.fail_after(10):
        async with _transport(**files("plugin.internal")).listen(Endpoint("grpcs:"), plugin) as listener:
            with pytest.raises(CertificateRejected, match=r"not for this host"):
                await _open(_transport(ca_file=ca_file), listener.endpoint)
            await _open(_transport(ca_file=ca_file, server_name="plugin.internal"), listener.endpoint)


@pytest.mark.fault(43)
async def test_certificate_of_an_unknown_authority_is_refused(files, plugin):
    """
    Without a `ca_file` only the public authorities are trusted.
    """
    with anyio.fail_after(10):
        async with _transport(**files("localhost")).listen(Endpoint("grpcs://localhost:0"), plugin) as listener:
            with pytest.raises(CertificateRejected, match=r"local issuer"):
                await _open(_transport(), listener.endpoint)


@pytest.mark.fault(43)
async def test_plugin_with_a_ca_file_wants_certificates_of_its_callers(files, ca_file, plugin):
    """
    Mutual TLS: a caller without a certificate gets no connection.
    """
    server = _transport(ca_file=ca_file, **files("localhost"))
    with anyio.fail_after(15):
        async with server.listen(Endpoint("grpcs://localhost:0"), plugin) as listener:
            async with _transport(ca_file=ca_file, **files("host")).open(listener.endpoint) as channel:
                reply = await channel.call(Call(service="s", method="m", payload=b"x"))
            with pytest.raises(CertificateRejected, match="asks for a certificate of the client"):
                async with _transport(ca_file=ca_file).open(listener.endpoint) as channel:
                    await channel.call(Call(service="s", method="m"))

    assert b"x" == reply.payload


async def test_file_that_is_missing_is_named(tmp_path, files, plugin):
    """
    Mistakes in the configuration are found before anything is opened.
    """
    missing = str(tmp_path / "nothing.pem")
    with pytest.raises(ConfigError, match=r"ca_file.*nothing.pem"):
        await _open(_transport(ca_file=missing), Endpoint("grpcs://localhost:1"))
    with pytest.raises(ConfigError, match=r"together"):
        await _open(_transport(cert_file=files("a")["cert_file"]), Endpoint("grpcs://localhost:1"))
    with pytest.raises(ConfigError, match=r"needs a cert_file"):
        async with _transport().listen(Endpoint("grpcs:"), plugin):
            pass


async def test_file_that_is_no_certificate_is_an_error_in_bounded_time(tmp_path, plugin):
    """
    grpcio says nothing about unusable files; whoever opens still gets an error.
    """
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    with anyio.fail_after(10):
        with pytest.raises((ConfigError, Unavailable)):
            await _open(_transport(ca_file=str(nonsense)), Endpoint("grpcs://localhost:1"))
        bad = _transport(cert_file=str(nonsense), key_file=str(nonsense))
        with pytest.raises((ConfigError, Unavailable)):
            async with bad.listen(Endpoint("grpcs:"), plugin):
                pass


@pytest.mark.parametrize(("has_changed", "expected"), [(False, CertificateRejected), (True, Unavailable)])
async def test_a_call_that_meets_the_renewed_server_before_the_renewed_files_may_be_made_again(has_changed, expected):
    """
    When the connection breaks just as a call begins, grpcio connects again with the certificates that it knows.
    """
    nothing = grpc.aio.Metadata()
    reason = "Tls handshake failed: CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate: OK"
    words = f"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: {reason}"
    refused = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, details=words)

    error = await Client(_no_channel, 1, lambda: has_changed)._error(refused)

    assert expected is type(error)
    assert has_changed is error.retryable
    assert not error.sent


def _no_channel() -> NoReturn:
    raise AssertionError("the next call makes it")


def _transport(**files: str) -> Transport:
    return build(GrpcOptions(connection=ConnectionConfig(connection_timeout=3), **files))


async def _open(transport: Transport, endpoint: Endpoint) -> None:
    async with transport.open(endpoint):
        pass
