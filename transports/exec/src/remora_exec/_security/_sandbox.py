"""
The sandbox: a command line that runs a program inside bubblewrap.

What lives here: the command line. What must not: processes.

Inside there are the system's programs and libraries (read-only), the program, its working directory, an empty /tmp, a
/proc and a /dev of its own, and nothing else of the file system; no network, no other process, no capability. Where
root is the host, bubblewrap would leave all capabilities to the program, and /proc would be the way to the settings of
the kernel, such as the program that it starts for a core dump. A program that was hashed is copied from the open file,
so that what runs is what was checked.
"""

from __future__ import annotations

import os
from shutil import which
from typing import TYPE_CHECKING

from remora.errors import ConfigError
from remora_exec._security._program import trusted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from remora_exec._command import Command
    from remora_exec._security._program import OpenProgram

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
_AUTHORITIES = ("/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl/openssl.cnf")
"""Beside them there may be private keys, which root and its group can read."""
_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")


def find_bubblewrap() -> str:
    """
    The path of bubblewrap.

    Raises:
        ConfigError: It is not installed, or others may write to it.
    """
    if found := which("bwrap"):
        return trusted(found)
    raise ConfigError('sandbox = "bwrap" needs the program bwrap: install bubblewrap, or set sandbox = "none"')


def sandbox_argv(
    command: Command, file: OpenProgram | None, *, paths: Iterable[str] = (), network: bool = False
) -> list[str]:
    """
    The command line that runs a command inside.

    Args:
        command: The program, its arguments and its directory.
        file: The open file that was hashed; None when it was not.
        paths: Further paths that can be read inside.
        network: Whether the host's network is available inside.

    Raises:
        ConfigError: bubblewrap is not installed, or a path does not exist.
    """
    argv = [find_bubblewrap(), "--unshare-all", "--die-with-parent", *(["--share-net"] if network else [])]
    argv += ["--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    argv += ["--remount-ro", "/proc"] if os.geteuid() == 0 else []
    argv += [word for path in _SYSTEM for word in _system(path)]
    for path in (*_SETTINGS, *_AUTHORITIES, *(_NETWORK if network else ())):
        argv += ["--ro-bind-try", path, path]
    for path in paths:
        argv += ["--ro-bind", _present(path), _present(path)]
    argv += ["--bind", command.work_dir, command.work_dir] if command.work_dir else []
    real = os.path.realpath(command.program)
    argv += _program(real, file)
    argv += ["--remount-ro", "/", "--chdir", command.work_dir or "/", "--", real, *command.argv[1:]]
    return argv


def _system(path: str) -> Iterator[str]:
    if os.path.islink(path):
        yield from ("--symlink", os.readlink(path), path)
    else:
        yield from ("--ro-bind-try", path, path)


def _present(path: str) -> str:
    absolute = os.path.abspath(path)
    if not os.path.exists(absolute):
        raise ConfigError(f"there is no {absolute} (sandbox_paths)")
    return absolute


def _program(real: str, file: OpenProgram | None) -> list[str]:
    if file is None:
        return ["--ro-bind", real, real]
    return ["--perms", "0555", "--ro-bind-data", str(file.descriptor), real]
