"""
Where the client and the servers run: on which CPUs.

Linux moves processes between CPUs and keeps to its choice for seconds, so that the two of a pair may meet different
placements. Servers and child processes are told theirs in their arguments, since they inherit that of the client.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_WORD = "--cpus="


@dataclass(frozen=True, slots=True)
class Placement:
    """
    CPUs by number.

    Attributes:
        client: Those of this process.
        roaming: Those of this process while it may use more: it has threads, or starts processes.
        servers: Those of the servers and of child processes that stay.
        words: The same in words.
    """

    client: frozenset[int]
    roaming: frozenset[int]
    servers: frozenset[int]
    words: str

    def take(self, *, roams: bool = False) -> None:
        """
        Move this process there, and all that it starts, unless it moves itself.
        """
        os.sched_setaffinity(0, self.roaming if roams else self.client)

    @property
    def argument(self) -> str:
        """
        The argument that has a server move to its place.
        """
        return _WORD + ",".join(map(str, sorted(self.servers)))


def placements() -> dict[str, Placement]:
    """
    What this process may choose from, by name.
    """
    every = frozenset(os.sched_getaffinity(0))
    first = frozenset({min(every)})
    return {
        "apart": Placement(first, every, every - first or first, "the client on one CPU, the servers on the others"),
        "together": Placement(first, first, first, "on the same CPU"),
        "anywhere": Placement(every, every, every, "on any CPU"),
    }


def obeyed(arguments: list[str]) -> list[str]:
    """
    Move this process to where its arguments say; returns the others.
    """
    for each in arguments:
        if each.startswith(_WORD):
            os.sched_setaffinity(0, map(int, each.removeprefix(_WORD).split(",")))
    return [each for each in arguments if not each.startswith(_WORD)]
