"""
How a file is told from what it was before.
"""

from __future__ import annotations

import os

Mark = tuple[int, int, int, int]


def mark_of(path: str) -> Mark | None:
    """
    What changes when a file does, or who may read it; None when there is no file.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
