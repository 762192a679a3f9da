"""
The description that a plugin gives of itself: where it is asked for, and in which versions.

What lives here: what both sides must agree on. What must not: asking, answering.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PLUGIN_SERVICE = "remora.v1.Plugin"
DESCRIBE_METHOD = "Describe"
PROTOCOL_VERSIONS = (1,)


def common_version(theirs: Iterable[int]) -> int | None:
    """
    The newest version that both sides support; None when there is none. A side that names none supports the first.
    """
    return max(set(theirs or (1,)) & set(PROTOCOL_VERSIONS), default=None)
