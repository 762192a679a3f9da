"""
What a scripted plugin does with one call.

What lives here: records. What must not: doing it (see `_scripted`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora.errors import RemoraError

__all__ = ["Answer", "Crash", "Drop", "Echo", "Fail", "Hang", "Step"]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    Answer with a record, or with what a function makes of the request's plain value.

    Attributes:
        value: The record; a function gets the request as JSON has it, and returns the record.
        after: Seconds until then.
    """

    value: object
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Echo:
    """
    Answer with the request.

    Attributes:
        after: Seconds until then.
    """

    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Fail:
    """
    End the call with an error.

    Attributes:
        error: The error, or what makes it; an error that is used more than once is better made anew.
        after: Seconds until then.
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
    Lose the connection while the call is under way: nobody knows whether the plugin has done it.

    Attributes:
        after: Seconds until then.
    """

    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Crash:
    """
    Die, with every call that is under way.

    Attributes:
        after: Seconds until then.
    """

    after: float = 0.0


Step = Answer | Echo | Fail | Hang | Drop | Crash
