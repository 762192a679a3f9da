"""
Relative paths in a file that may lie anywhere: they begin at its folder.
"""

from __future__ import annotations

import os
import re
from typing import Any

_RELATIVE = re.compile(r"(?s)([A-Za-z][A-Za-z0-9+.-]+:)?(\.\.?/.*)")
_PLACES = ("endpoint", "endpoints", "executable", "resolver", "options")


def anchored(table: dict[str, Any], folder: str) -> dict[str, Any]:
    """
    A plugin's table with what is relative in it made absolute: `work_dir`, and texts that begin with `./` or `../`,
    behind a scheme or not, where endpoints, programs and files of credentials are named.

    Args:
        table: The table.
        folder: Where paths begin.
    """
    places = {key: _anchored(table[key], folder) for key in _PLACES if key in table}
    if isinstance(auth := table.get("auth"), dict):
        places["auth"] = {key: _anchored(each, folder) if _is_file(key) else each for key, each in auth.items()}
    work_dir = table.get("work_dir")
    if isinstance(work_dir, str) and work_dir:
        places["work_dir"] = os.path.normpath(os.path.join(folder, work_dir))
    return {**table, **places}


def _is_file(key: object) -> bool:
    return isinstance(key, str) and key.endswith("_file")


def _anchored(value: Any, folder: str) -> Any:
    if isinstance(value, dict):
        return {key: _anchored(each, folder) for key, each in value.items()}
    if isinstance(value, list):
        return [_anchored(each, folder) for each in value]
    match = _RELATIVE.fullmatch(value) if isinstance(value, str) else None
    return value if match is None else (match[1] or "") + os.path.normpath(os.path.join(folder, match[2]))
