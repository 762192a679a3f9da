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
    Knows where a plugin is, also when that changes.
    """

    async def watch(self, report: Callable[[Sequence[Endpoint]], None], /) -> None:
        """
        Report all endpoints that there are now, and all of them again each time that they have changed.

        It goes on until it is cancelled; returning means that nothing changes any more. A report returns at once:
        what follows from it happens elsewhere. Of an endpoint that stays, the connections are kept.

        Raises:
            RemoraError: It cannot find out. The last report holds, and it is called again after a while, or after the
                error's `retry_after`.
        """
        ...
