"""
How many examples a property is tried with that needs more or fewer than others.
"""

from __future__ import annotations

from hypothesis import settings


def of_hundred(number: int) -> int:
    """
    So many where others are tried with a hundred, and as large a share where the profile says another number.
    """
    return number * settings.default.max_examples // 100  # type: ignore[union-attr]
