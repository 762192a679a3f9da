"""
What all processes of one channel share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora import Secret
    from remora_exec._confinement import Confinement
    from remora_exec._keeping._child import Starter
    from remora_exec._security._guard import Guard


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """
    What a channel's processes are started with.

    Attributes:
        starter: Starts them.
        guard: Looks at the program before each start.
        confinement: The measures that keep them within bounds.
        secrets: The secrets that they get. Holding them here has them removed from whatever the processes write.
    """

    starter: Starter
    guard: Guard
    confinement: Confinement
    secrets: Sequence[Secret] = ()
