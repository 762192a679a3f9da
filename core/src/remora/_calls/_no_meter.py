"""
The meter of plugins and instances when metrics are switched off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from remora.errors import RemoraError
    from remora.protocols import Tracing
    from remora.types import Call


@final
class NoMeter:
    """
    Counts nothing, for `enabled = false` in `[metrics]`.
    """

    def ended(self, call: Call, seconds: float, failure: RemoraError | None, tracing: Tracing | None) -> None:
        """
        Nothing.
        """

    def retried(self) -> None:
        """
        Nothing.
        """

    def limited(self) -> None:
        """
        Nothing.
        """

    def retry_refused(self) -> None:
        """
        Nothing.
        """

    def attempted(self, call: Call, seconds: float, failure: RemoraError | None, tracing: Tracing | None) -> None:
        """
        Nothing.
        """


NO_METER = NoMeter()
