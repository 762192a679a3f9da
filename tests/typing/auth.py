"""
Authentication as its users write it. Never run; mypy and pyright check that it needs no suppression.
"""

from __future__ import annotations

import hmac
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any

from remora import (
    AccessConfig,
    AuthConfig,
    AuthSpec,
    Call,
    CertificateRejected,
    Code,
    NoCredentials,
    PluginConfig,
    PluginError,
    RemoraError,
    Secret,
    ServeOptions,
    current_call,
    hookimpl,
    serve,
)
from remora.protocols import AuthMethod, Verifier
from remora.types import Refresh


@dataclass(frozen=True)
class Options:
    """
    Options with a default each.
    """

    token: Secret = Secret()


class Ticket:
    """
    A method and a verifier need no base class.
    """

    def __init__(self, token: Secret) -> None:
        self._token = token

    def flow(self, call: Call) -> Generator[Call | Refresh, Any, None]:
        """
        Show the ticket.
        """
        token = yield Refresh(self._fetch)
        yield Refresh(self._fetch, is_awaited=False)
        try:
            yield replace(call, headers={**call.headers, "x-ticket": token.reveal()})
        except RemoraError as error:
            if error.code is not Code.UNAUTHENTICATED:
                raise

    def verify(self, call: Call, peer: str) -> str:
        """
        Look at the ticket.
        """
        if not hmac.compare_digest(call.headers.get("x-ticket", ""), self._token.reveal()):
            raise PluginError(f"no ticket from {peer}", code=Code.UNAUTHENTICATED)
        return "holder"

    async def _fetch(self) -> Secret:
        return self._token


def build(options: Options) -> AuthMethod:
    """
    The host's side.
    """
    return Ticket(options.token)


def accept(access: AccessConfig) -> Verifier:
    """
    The plugin's side.
    """
    return Ticket(access.token)


@hookimpl
def remora_register_auth_methods() -> Iterable[AuthSpec[Options]]:
    """
    One method.
    """
    return [AuthSpec(name="ticket", options=Options, build=build, accept=accept)]


def who() -> str:
    """
    Inside of a handler.
    """
    return current_call().identity


def why(error: RemoraError) -> str:
    """
    What a caller can find out.
    """
    if isinstance(error, CertificateRejected):
        return error.reason
    return "later" if isinstance(error, NoCredentials) and error.retryable else ""


plugin = PluginConfig(name="p", endpoint="https://h", auth=AuthConfig(method="bearer", token=Secret("t")))
options = ServeOptions(auth={"method": "bearer", "token_file": "/run/token"})
if who():
    serve(object(), auth=AccessConfig(method="basic", callers={"bob": Secret("b")}), options=options)
    serve(object(), auth="bearer:token_file=/run/token")
