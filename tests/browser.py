"""
The browser that tests of pages need.
"""

from __future__ import annotations

import shutil

import pytest

OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=2000"]
"""For a look at a page after two seconds of it."""


def chromium() -> str:
    """
    The path of the program; skips where it is not installed.
    """
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return browser or pytest.skip("needs the program chromium")
