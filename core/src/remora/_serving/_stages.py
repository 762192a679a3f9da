"""
What a signal ends: the stage that a served plugin is in. Its stages are the start, being open, draining, and the end.

What lives here: which scope a signal cancels. What must not: signals themselves, and what is done in a stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import anyio


class Stages:
    """
    The stages of a plugin, one after the other; each signal ends one.
    """

    def __init__(self, first: anyio.CancelScope) -> None:
        self._scope = first
        self._unspent = 0
        """Signals that came while a stage was ending already; each ends one of those that follow."""

    def turn_to(self, scope: anyio.CancelScope) -> None:
        """
        Begin a stage, which ends at once when a signal for it has come already.
        """
        self._scope = scope
        if self._unspent:
            self._unspent -= 1
            scope.cancel()

    async def heed(self, signals: AsyncIterator[object]) -> None:
        """
        Let each signal end a stage, until cancelled.
        """
        async for _ in signals:
            if self._scope.cancel_called:
                self._unspent += 1
            else:
                self._scope.cancel()
