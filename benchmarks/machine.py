"""
What all figures depend on, in words: the machine, its load, Python, and the versions of what is installed.
"""

from __future__ import annotations

import os
import platform
import shlex
import sysconfig
from contextlib import suppress
from importlib import metadata

_BUILD_OPTIONS = (
    "--disable-gil", "--enable-experimental-jit", "--enable-optimizations", "--with-computed-gotos", "--with-lto",
    "--with-pydebug", "--with-tail-call-interp",
)  # fmt: skip


def environment(*names: str) -> str:
    """
    What the figures depend on, as text: Python and how it was built, the machine, and the versions of the named
    distributions.
    """
    versions = ", ".join(f"{name} {_version(name)}" for name in names)
    python = f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}"
    return f"{python}, {_build()}, {os.cpu_count()} CPUs ({_processor()})\n{versions}"


def load() -> str:
    """
    The machine's load averages.
    """
    return ", ".join(f"{number:.2f}" for number in os.getloadavg())


def _build() -> str:
    """
    The options with which Python was built that change its speed.
    """
    given = shlex.split(sysconfig.get_config_var("CONFIG_ARGS") or "")
    return (
        " ".join(option for option in given if option.partition("=")[0] in _BUILD_OPTIONS)
        or "built without options for speed"
    )


def _processor() -> str:
    """
    The model of the first CPU, where Linux says it; otherwise the architecture.
    """
    with suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # such as the other event loop
        return "absent"
