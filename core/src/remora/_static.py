"""
The resolver of plugins whose endpoints are in the configuration and do not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora.types import Endpoint


class StaticResolver:
    """
    Reports the same endpoints once.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        if not endpoints:
            raise ConfigError("the resolver 'static' needs endpoint or endpoints")

    async def watch(self, report: Callable[[Sequence[Endpoint]], None], /) -> None:
        """
        Report them once.
        """
        report(self._endpoints)
