"""
Limits on what one process may use.

What lives here: setting them, and saying how. What must not: starting processes.

The keeper sets them on a process before the program runs in it (see `_birth`). Where there is no keeper, they are set
right after the start, a fraction of a millisecond into the program's life: what it starts in that moment escapes. In a
sandbox `prlimit` sets them.
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from dataclasses import fields
from shutil import which
from typing import TYPE_CHECKING

from remora.errors import ConfigError
from remora_exec._program import trusted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from remora.config import LimitsConfig

KNOWS_LIMITS = sys.platform == "linux"
"""Whether a process can set the limits of another."""

_RESOURCES = {
    "memory": (resource.RLIMIT_AS, "as"),
    "open_files": (resource.RLIMIT_NOFILE, "nofile"),
    "processes": (resource.RLIMIT_NPROC, "nproc"),
    "cpu_seconds": (resource.RLIMIT_CPU, "cpu"),
    "core": (resource.RLIMIT_CORE, "core"),
}


def system_limits(limits: LimitsConfig) -> list[tuple[int, int, int]]:
    """
    The number, the soft and the hard value of each limit, as the system has them.
    """
    return [(_RESOURCES[kind][0], soft, hard) for kind, soft, hard in _wanted(limits)]


def limit_process(pid: int, limits: Iterable[tuple[int, int, int]]) -> None:
    """
    Bind a process that has just been started.

    Raises:
        OSError: The system does not allow it.
    """
    if not KNOWS_LIMITS:
        return
    with suppress(ProcessLookupError):  # it has ended already
        for number, soft, hard in limits:
            resource.prlimit(pid, number, (soft, hard))


def limiting_argv(limits: LimitsConfig) -> list[str]:
    """
    The beginning of a command line that runs the rest of it under limits; empty when there are none.

    Raises:
        ConfigError: The program for that is not installed, or others may write to it.
    """
    options = [f"--{_RESOURCES[kind][1]}={soft}:{hard}" for kind, soft, hard in _wanted(limits)]
    if not options:
        return []
    if (program := which("prlimit")) is None:
        raise ConfigError("limits in a sandbox need the program prlimit: install util-linux, or remove the limits")
    return [trusted(program), *options, "--"]


def describe_limits(limits: LimitsConfig) -> str:
    """
    The limits in a few words.
    """
    words = [f"{each.name} {value}" for each in fields(limits) if (value := getattr(limits, each.name)) is not None]
    return ", ".join(words) or "none"


def _wanted(limits: LimitsConfig) -> Iterator[tuple[str, int, int]]:
    """
    Kind, soft and hard limit of those that are configured; never more than this process may have itself.
    """
    for kind, (number, _) in _RESOURCES.items():
        value: int | None = getattr(limits, kind)
        if value is not None:
            _, most = resource.getrlimit(number)
            hard = value if most == resource.RLIM_INFINITY else min(value, most)
            # one second later for the signal that can be told from others
            yield kind, hard, hard + 1 if kind == "cpu_seconds" and hard != most else hard
