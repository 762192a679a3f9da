"""
What all processes of one channel have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora import Secret
    from remora_exec._child import Starter
    from remora_exec._confinement import Confinement
    from remora_exec._guard import Guard


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """
    Who lets processes in, how they are confined, and who starts them so that they end with the host.

    Attributes:
        secrets: What they are told and must not tell. A secret that is held is taken out of what they write.
    """

    starter: Starter
    guard: Guard
    confinement: Confinement
    secrets: Sequence[Secret] = ()
