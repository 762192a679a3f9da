"""
Limits on what one process may use.

What lives here: setting and describing them. What must not: starting processes.

The keeper sets them on a process before the program runs in it (see `_birth`). Without a keeper they are set right
after the start, a fraction of a millisecond into the program's life: processes that it starts before escape them. In
a sandbox `prlimit` sets them.
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from dataclasses import fields
from shutil import which
from typing import TYPE_CHECKING

from remora.config import LimitsConfig
from remora.errors import ConfigError
from remora_exec._security._program import trusted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    The number, the soft and the hard value of each limit, as the system defines them; none where they cannot be set.

    Raises:
        ConfigError: There are other limits than the usual ones, and they cannot be set.
    """
    if not KNOWS_LIMITS:
        if limits != LimitsConfig():
            raise ConfigError("this system cannot set the limits of another process: remove the limits")
        return []
    return [(_RESOURCES[kind][0], soft, hard) for kind, soft, hard in _wanted(limits)]


def limit_process(pid: int, limits: Iterable[tuple[int, int, int]]) -> None:
    """
    Set limits on a process that has just been started.

    Raises:
        OSError: The system refuses it.
    """
    with suppress(ProcessLookupError):  # it has already ended
        for number, soft, hard in limits:
            resource.prlimit(pid, number, (soft, hard))


def limiting_argv(limits: LimitsConfig) -> list[str]:
    """
    The beginning of a command line that runs the rest of it under limits; empty without limits.

    Raises:
        ConfigError: The program `prlimit` is not installed, or others may write to it.
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
    The kind, soft and hard value of each configured limit, never more than this process may have itself.
    """
    for kind, (number, _) in _RESOURCES.items():
        value: int | None = getattr(limits, kind)
        if value is not None:
            _, most = resource.getrlimit(number)
            hard = value if most == resource.RLIM_INFINITY else min(value, most)
            # the hard limit one second later, so that SIGXCPU comes first, which tells the cause
            yield kind, hard, hard + 1 if kind == "cpu_seconds" and hard != most else hard
