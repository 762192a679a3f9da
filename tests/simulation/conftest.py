"""
Simulations that can be replayed: trio wakes tasks of the same moment in an order of its own, which is drawn here.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable

import pytest

Replay = Callable[[int], None]


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch) -> Replay:
    """
    Call it with a seed before a simulation; asyncio wakes tasks in the order of their timers anyhow.
    """
    if importlib.util.find_spec("trio") is None:
        return lambda seed: None
    from trio._core import _run  # as pytest-trio does it for Hypothesis

    monkeypatch.setattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    monkeypatch.setattr(_run, "_r", order := random.Random())
    return order.seed
