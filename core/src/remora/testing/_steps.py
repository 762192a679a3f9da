"""
What a scripted plugin does with one call.

What lives here: records. What must not: doing it (see `_scripted`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora.errors import RemoraError

__all__ = ["Answer", "Crash", "Drop", "Echo", "Fail", "Hang", "Step"]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    Answer with a record, or with what a function makes of the request.

    Attributes:
        value: The record; or a function that gets the request, decoded from JSON, and returns the record.
        after: Seconds to wait first.
    """

    value: object | Callable[[Any], object]
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Echo:
    """
    Answer with the request.

    Attributes:
        after: Seconds to wait first.
    """

    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Fail:
    """
    End the call with an error.

    Attributes:
        error: The error, or a function that makes it; for `always`, use a function, so that each call gets its own.
        after: Seconds to wait first.
    """

    error: RemoraError | Callable[[], RemoraError]
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Hang:
    """
    Never answer.
    """


@dataclass(frozen=True, slots=True)
class Drop:
    """
    Lose the connection while the call is under way, so that nobody knows whether the plugin has done what was asked.

    Attributes:
        after: Seconds to wait first.
    """

    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Crash:
    """
    Die, which ends every call that is under way.

    Attributes:
        after: Seconds to wait first.
    """

    after: float = 0.0


Step = Answer | Echo | Fail | Hang | Drop | Crash
