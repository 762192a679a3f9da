"""
Showing who calls, and finding it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator

    from remora.types import Call, Refresh


class AuthMethod(Protocol):
    """
    Shows a plugin who calls. It decides and does no I/O itself, so a test drives it with `next()` and `.send()`.
    """

    def flow(self, call: Call, /) -> Generator[Call | Refresh, Any, None]:
        """
        Let one attempt of a call pass, with what proves who makes it.

        Yield the call with headers added: it is sent, and what comes back is the Reply, or the RemoraError of the
        attempt is thrown in. Yield a Refresh: its action is awaited, and what comes back is what that returns. The
        last reply is the attempt's; an error that the flow lets through is the attempt's too.
        """
        ...


class Verifier(Protocol):
    """
    Finds out who calls a served plugin.
    """

    def verify(self, call: Call, peer: str, /) -> str:
        """
        The name of the caller.

        Credentials are compared in a time that does not tell how much of them is right (`hmac.compare_digest`).

        Args:
            call: The call, with its headers.
            peer: Where it comes from, as far as the transport knows.

        Raises:
            PluginError: It proves nothing (UNAUTHENTICATED), or its maker may not call (PERMISSION_DENIED).
        """
        ...
