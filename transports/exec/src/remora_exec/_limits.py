"""
Limits on what one process may use.

What lives here: setting them, and saying how. What must not: starting processes.

They are set on the child right after it has been started, a fraction of a millisecond into its life: what it starts in
that moment escapes. Limits that are set before would need a program in between, which could not hand on the name that
the program is called by. In a sandbox such a program is no harm, so there they are set before.
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
    from collections.abc import Iterator

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


def limit_process(pid: int, limits: LimitsConfig) -> None:
    """
    Bind a process that has just been started.

    Raises:
        OSError: The system does not allow it.
    """
    if not KNOWS_LIMITS:
        return
    with suppress(ProcessLookupError):  # it has ended already
        for kind, soft, hard in _wanted(limits):
            resource.prlimit(pid, _RESOURCES[kind][0], (soft, hard))


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
