"""
The kinds of values: what they take, and how that is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from remora.values import Count, Duration, Number, Positive, Share, check_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    One field of each kind, and one that has no limits.
    """

    count: Count = 1
    duration: Duration = 1.0
    number: Number = 0
    positive: Positive = 1.0
    share: Share | None = None
    text: str = ""


def test_record_within_its_limits_is_accepted() -> None:
    """
    None stands for no value, where a field takes it.
    """
    check_limits(Record())
    check_limits(Record(share=1.0))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("count", "3", "a whole number of at least 1"),
        ("count", None, "a whole number of at least 1"),
        ("count", 3.0, "a whole number of at least 1"),
        ("count", True, "a whole number of at least 1"),
        ("duration", "5s", "a number of seconds"),
        ("duration", None, "a number of seconds"),
        ("share", [], "a number"),
    ],
)
def test_value_that_is_no_number_is_named(name: str, value: object, expected: str) -> None:
    """
    Only a file may write a duration as text.
    """
    with pytest.raises(ValueError, match="expected") as caught:
        check_limits(Record(**{name: value}))  # type: ignore[arg-type]

    assert str(caught.value) == f"{name}: expected {expected}, got {value!r}"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("count", 0, "a whole number of at least 1"),
        ("duration", 0.0, 'a duration of more than 0 s, such as 30, "100ms", "1m30s"'),
        ("number", -1, "a whole number of at least 0"),
        ("positive", float("nan"), "a number of more than 0"),
        ("share", 1.1, "a number of more than 0 and at most 1"),
    ],
)
def test_value_outside_its_limits_is_named_with_the_range(name: str, value: float, expected: str) -> None:
    """
    As for a value from a file.
    """
    with pytest.raises(ValueError, match="expected") as caught:
        check_limits(Record(**{name: value}))  # type: ignore[arg-type]

    assert str(caught.value) == f"{name}: expected {expected}, got {value!r}"
