"""
Mutual TLS as an auth method: one table for the certificate, on both sides.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from remora import (
    AccessConfig,
    AuthConfig,
    CertificateRejected,
    Code,
    PluginError,
    RemoraError,
    Secret,
    ServeOptions,
    serving,
)
from remora.config import RetryConfig
from tests.contrib.auth.who import Who, ask, manager_for
from tests.transports.tls import Authority

pytestmark = pytest.mark.anyio


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority that nobody trusts by default."""
    return Authority(tmp_path / "ca")


@pytest.mark.parametrize("address", ["https://127.0.0.1:0", "grpcs://127.0.0.1:0"])
async def test_certificate_is_who_calls(address: str, authority: Authority) -> None:
    """
    The transports get their files from the auth tables.
    """
    access = AccessConfig(
        method="mtls", ca_file=authority.ca_file, **authority.issue("127.0.0.1"), allow={"billing.example": ("Who/*",)}
    )
    billing = AuthConfig(method="mtls", ca_file=authority.ca_file, **authority.issue("billing.example"))
    other = AuthConfig(method="mtls", ca_file=authority.ca_file, **authority.issue("other.example"))
    with anyio.fail_after(20):
        async with serving(Who(), listen=address, options=ServeOptions(auth=access)) as served:
            url = served.endpoints[0].url
            assert "billing.example" == await ask(url, billing)
            with pytest.raises(PluginError) as caught:
                await ask(url, other)

    assert Code.PERMISSION_DENIED == caught.value.code


@pytest.mark.parametrize("address", ["https://127.0.0.1:0", "grpcs://127.0.0.1:0"])
async def test_host_without_a_certificate_is_told_so(address: str, authority: Authority) -> None:
    """
    The instance is not ready, and says why.
    """
    access = AccessConfig(method="mtls", ca_file=authority.ca_file, **authority.issue("127.0.0.1"))
    with anyio.fail_after(20):
        async with serving(Who(), listen=address, options=ServeOptions(auth=access)) as served:
            url = served.endpoints[0].url
            async with manager_for(
                url, AuthConfig(ca_file=authority.ca_file), retry=RetryConfig(max_retries=0)
            ) as manager:
                with pytest.raises(RemoraError, match="asks for a certificate of the client"):
                    await manager.execute("who", None, str)


@pytest.mark.parametrize("address", ["https://127.0.0.1:0", "grpcs://127.0.0.1:0"])
async def test_token_goes_over_tls_with_an_authority_and_a_name_of_its_own(address: str, authority: Authority) -> None:
    """
    What the auth table says of TLS holds with any method.
    """
    access = AccessConfig(method="bearer", token=Secret("t"), **authority.issue("plugin.internal"))
    auth = AuthConfig(method="bearer", token=Secret("t"), ca_file=authority.ca_file, server_name="plugin.internal")
    with anyio.fail_after(20):
        async with serving(Who(), listen=address, options=ServeOptions(auth=access)) as served:
            assert "token holder" == await ask(served.endpoints[0].url, auth)


def test_rejection_is_a_problem_of_the_configuration() -> None:
    """
    With a code, as every error.
    """
    assert Code.UNAUTHENTICATED == CertificateRejected("no", reason="expired").code
