"""
What is run for an endpoint: the program, its arguments, its environment, its directory.

What lives here: decisions from the configuration and the file system. What must not: processes.

Of the host's environment a child gets only this allow-list, so that no secret of the host reaches a plugin by
accident: PATH, HOME, USER, LOGNAME, LANG, LANGUAGE, LC_*, TZ, TMPDIR, SSL_CERT_FILE, SSL_CERT_DIR. To these come the
variables that `inherit_env` names, then the configured `env`, then Remora's own: REMORA_LISTEN, REMORA_PROTOCOL,
REMORA_PLUGIN, and REMORA_HOST_PID, since the program's parent is not the host (see `_keeper`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from remora.config import names_secret
from remora.errors import ConfigError
from remora.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remora.types import Endpoint
    from remora_exec.plugin import ExecOptions

ALLOWED = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
    }
)  # fmt: skip
"""The variables of the host that every child gets, in addition to those that begin with LC_."""


@dataclass(frozen=True, slots=True)
class Command:
    """
    A program, ready to be run.

    Attributes:
        argv: The program's path and its arguments.
        env: Its whole environment.
        work_dir: Its directory; None for the host's own.
        descriptors: The host's descriptors that it gets in addition to its standard streams.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    work_dir: str | None = None
    descriptors: tuple[int, ...] = ()

    @property
    def program(self) -> str:
        """
        The path of the program.
        """
        return self.argv[0]

    def with_env(self, more: Mapping[str, str]) -> Command:
        """
        The same command with more variables.
        """
        return replace(self, env={**self.env, **more})


def command_for(endpoint: Endpoint, options: ExecOptions) -> Command:
    """
    What to run for an endpoint.

    Raises:
        ConfigError: There is no such program or directory, or a text cannot be passed to a program.
    """
    env = child_env(options, os.environ)
    argv = (_program(options.executable or endpoint.address, env), *options.args)
    command = Command(argv, env, _directory(options), options.pass_fds)
    _refuse_null(command)
    return command


def child_env(options: ExecOptions, host: Mapping[str, str]) -> dict[str, str]:
    """
    The environment of the child.
    """
    wanted = ALLOWED.union(options.inherit_env)
    env = {name: value for name, value in host.items() if name in wanted or name.startswith("LC_")}
    own = {
        "REMORA_LISTEN": "stdio:",
        "REMORA_PROTOCOL": options.protocol,
        "REMORA_PLUGIN": options.name,
        "REMORA_HOST_PID": str(os.getpid()),
    }
    return {**env, **options.env, **own}


def require_descriptors(command: Command) -> None:
    """
    Check that the descriptors are open, before Remora opens others that could get their numbers.

    Raises:
        ConfigError: One is not.
    """
    for number in command.descriptors:
        try:
            os.fstat(number)
        except OSError:
            raise ConfigError(f"the descriptor {number} is not open in this process (pass_fds)") from None


def secrets_of(command: Command) -> list[Secret]:
    """
    The values of those variables of a command whose names suggest that they are secret.
    """
    return [Secret(value) for name, value in command.env.items() if names_secret(name)]


def other_python(command: Command) -> str:
    """
    The two interpreters in words, when a program is run by another Python than the host: what is installed for one is
    not there for the other. Empty otherwise.
    """
    if not os.path.basename(command.program).startswith("python"):
        return ""
    if os.path.dirname(command.program) == os.path.dirname(sys.executable):
        return ""
    return f" (it was run by {command.program}, the host by {sys.executable})"


def _program(name: str, env: Mapping[str, str]) -> str:
    if not name:
        raise ConfigError("no program is named: write exec:./path/to/program, or set executable")
    if os.sep not in name:
        return _search(name, env)
    path = os.path.abspath(name)
    if not os.path.exists(path):
        raise ConfigError(f"there is no program {path}{_meant(name, env)}")
    _require_executable(path)
    return path


def _search(name: str, env: Mapping[str, str]) -> str:
    if found := shutil.which(name, path=env.get("PATH", os.defpath)):
        return os.path.abspath(found)
    raise ConfigError(f"there is no program {name!r} on PATH{_meant(name, env) or _nearby(name)}")


def _meant(name: str, env: Mapping[str, str]) -> str:
    """
    What a line of a shell would be here; empty when the name does not look like one.
    """
    program, _, rest = name.partition(" ")
    if rest and shutil.which(program, path=env.get("PATH", os.defpath)):
        return f"; arguments have a key of their own: args = {json.dumps(rest.split())}"
    if name.startswith(("~", "$")):
        return "; no shell reads this: write ${HOME} for the home directory"
    return ""


def _nearby(name: str) -> str:
    if os.path.exists(name):
        return f"; did you mean ./{name}?"
    own = os.path.join(os.path.dirname(sys.executable), name)
    if sys.executable and os.path.exists(own):
        return f"; did you mean {own}? It is found when that environment is activated"
    return ""


def _require_executable(path: str) -> None:
    if os.path.isdir(path):
        raise ConfigError(f"{path} is a directory, not a program")
    if not os.access(path, os.X_OK):
        raise ConfigError(f"{path} is not executable: chmod +x it")


def _directory(options: ExecOptions) -> str | None:
    if not options.work_dir:
        return None
    path = os.path.abspath(options.work_dir)
    if not os.path.isdir(path):
        raise ConfigError(f"there is no directory {path} (work_dir)")
    return path


def _refuse_null(command: Command) -> None:
    for text in (*command.argv, *command.env, *command.env.values()):
        if "\0" in text:
            raise ConfigError(f"{text!r} holds a NUL character and cannot be handed to a program")
    for name in command.env:
        if "=" in name or not name:
            raise ConfigError(f"{name!r} is not a name for an environment variable")


def current_directory() -> str:
    """
    The working directory of this process; empty when it does not exist any more.
    """
    try:
        return os.getcwd()
    except OSError:
        return ""
