"""
Where plugins are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora.types import Endpoint


class Resolver(Protocol):
    """
    Finds out where a plugin is, and notices when that changes.
    """

    async def watch(self, report: Callable[[Sequence[Endpoint]], None], /) -> None:
        """
        Report all endpoints that there are now, and all of them again each time that they have changed.

        Runs until it is cancelled; it returns only when nothing will change any more.

        Args:
            report: Takes the endpoints; it returns at once and raises nothing. Connections to endpoints that are in
                the new report as well are kept.

        Raises:
            RemoraError: It cannot find out. The last report stays in force, and this method is called again after a
                while, or after the error's `retry_after` seconds.
        """
        ...
