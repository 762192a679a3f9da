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
    Proves to a plugin who calls. It decides and does no I/O itself, so a test can drive it with `next()` and `.send()`.
    """

    def flow(self, call: Call, /) -> Generator[Call | Refresh, Any, None]:
        """
        The steps of one attempt of a call, as a generator.

        Yield the call with credentials added to its headers, and it is sent: the Reply is sent into the generator, or
        the RemoraError is thrown into it. Yield a Refresh, and its action is run: what that returns is sent in.
        The last reply is the result of the attempt; so is an error that the generator does not catch.
        """
        ...


class Verifier(Protocol):
    """
    Finds out who calls a served plugin.
    """

    def verify(self, call: Call, peer: str, /) -> str:
        """
        The name of the caller.

        Compare credentials in constant time (`hmac.compare_digest`), so that the time taken tells nothing about them.

        Args:
            call: The call, with its headers.
            peer: Where it comes from, as far as the transport knows.

        Raises:
            PluginError: The call proves nothing (UNAUTHENTICATED), or its caller may not call (PERMISSION_DENIED).
        """
        ...
