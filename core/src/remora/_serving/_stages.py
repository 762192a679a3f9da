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
        self._waiting = 0

    def turn_to(self, scope: anyio.CancelScope) -> None:
        """
        Begin a stage; a signal that came with the one that has ended the stage before ends it at once.
        """
        self._scope = scope
        if self._waiting:
            self._waiting -= 1
            scope.cancel()

    async def heed(self, signals: AsyncIterator[object]) -> None:
        """
        Let each signal end a stage, until cancelled.
        """
        async for _ in signals:
            if self._scope.cancel_called:
                self._waiting += 1
            else:
                self._scope.cancel()
