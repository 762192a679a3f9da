"""
What all processes of one channel have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora import Secret
    from remora_exec._confinement import Confinement
    from remora_exec._guard import Guard
    from remora_exec._keeper import Keeper


@dataclass(frozen=True, slots=True)
class House:
    """
    Who lets processes in, how they are kept, and who ends them when the host cannot.

    Attributes:
        secrets: What they are told and must not tell. A secret that is held is taken out of what they write.
    """

    keeper: Keeper
    guard: Guard
    confinement: Confinement
    secrets: Sequence[Secret] = ()
