"""
The error of a text that is not of its format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Malformed(ValueError):
    """
    A text is not of its format.

    Attributes:
        problems: What is wrong, each with the line where that is known.
    """

    def __init__(self, problems: Sequence[tuple[int | None, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(reason for _, reason in problems))
