"""
What the end of a call says about the instance that took it.

Three verdicts, not two: success, failure, and none. A plugin that answers with an error of its own has answered, which
is a success, unless the code says that it could not do its work: UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, DATA_LOSS,
and UNKNOWN, which an error has that names no code. A call that was cancelled, or could never be sent, says nothing
about the instance.

Source: gRPC's outlier detection and Finagle's failure accrual, which tell a server's failure from an application's.
"""

from __future__ import annotations

from remora.errors import Code, DeadlineExceeded, GiveUp, PluginError, RemoraError

FAILURES = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS})
"""The codes that count against an instance."""


def verdict_of(error: RemoraError) -> bool | None:
    """
    What an error says about the instance: True for a success, False for a failure, None for no verdict.
    """
    if not error.sent and isinstance(error, DeadlineExceeded | GiveUp):
        return None
    if error.code in FAILURES:
        return False
    return True if isinstance(error, PluginError) else None
