"""
How a program is started so that it can do no more than it should.

What lives here: the measures, combined in the order in which they apply. What must not: what is allowed to start.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from remora.errors import ConfigError
from remora_exec._command import current_directory
from remora_exec._keeping._keeper_launch import KEEPS_DESCENDANTS
from remora_exec._keeping._limits import KNOWS_LIMITS, describe_limits, limiting_argv, system_limits
from remora_exec._keeping._order import Order
from remora_exec._keeping._privileges import KNOWS_NO_NEW_PRIVILEGES
from remora_exec._keeping._python import python_of
from remora_exec._keeping._python_words import StartNeeded
from remora_exec._security._program import EXECUTES_DESCRIPTORS
from remora_exec._security._sandbox import find_bubblewrap, sandbox_argv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remora_exec._command import Command
    from remora_exec._keeping._order import PythonMain
    from remora_exec._keeping._python import Interpreter
    from remora_exec._security._guard import Verdict
    from remora_exec._security._program import OpenProgram
    from remora_exec.plugin import ExecOptions


_logger = logging.getLogger(__name__.replace("_", ".", 1))


class Confinement:
    """
    The measures for the programs of one plugin.
    """

    def __init__(self, options: ExecOptions) -> None:
        security = options.security
        self._limits = options.limits or security.limits
        self._no_new_privileges = security.no_new_privileges and KNOWS_NO_NEW_PRIVILEGES
        self._is_sandboxed = (options.sandbox or security.sandbox) == "bwrap"
        self._paths = options.sandbox_paths
        self._network = options.sandbox_network
        self._forks = options.start_method == "forkserver"
        self._preload = options.preload
        self._is_said = False  # why no program is forked

    def order(self, command: Command, verdict: Verdict) -> Order:
        """
        The order to start a program that may be started.

        Raises:
            ConfigError: A measure needs a program that is not installed, or the program cannot be forked.
        """
        if self._is_sandboxed:
            return self._order_of_sandbox(command, verdict.file)
        file = verdict.file if EXECUTES_DESCRIPTORS else None
        interpreter, main = self._python(command, file, verdict.sha256)
        return Order(
            command.argv,
            executable=file.address if file else command.program,
            env=command.env,
            directory=command.work_dir or current_directory(),
            descriptors=[*command.descriptors, *([file.descriptor] if file else [])],
            limits=system_limits(self._limits),
            no_new_privileges=self._no_new_privileges,
            main=main,
            interpreter=interpreter,
        )

    def _python(
        self, command: Command, file: OpenProgram | None, sha256: str
    ) -> tuple[Interpreter, PythonMain] | tuple[None, None]:
        if not self._forks:
            return None, None
        try:
            return python_of(command, self._preload, file=file, sha256=sha256)
        except StartNeeded as error:
            if not self._is_said:
                _logger.info("%s is executed, not forked: %s", command.program, error)
            self._is_said = True
            return None, None

    def _order_of_sandbox(self, command: Command, file: OpenProgram | None) -> Order:
        inside = sandbox_argv(command, file, paths=self._paths, network=self._network)
        argv = [*limiting_argv(self._limits), *inside]
        return Order(
            argv,
            executable=argv[0],
            env=command.env,
            directory=current_directory(),
            descriptors=[*command.descriptors, *([file.descriptor] if file else [])],
            limits=(),
            no_new_privileges=False,  # bwrap may need privileges, and grants none inside
        )

    def measures(self, verdict: Verdict) -> Mapping[str, str]:
        """
        By name, each measure for a program and whether it is in force, in words.
        """
        return {
            "hash": _hash_words(verdict, executes_file=EXECUTES_DESCRIPTORS or self._is_sandboxed),
            "limits": self._limit_words(),
            "no_new_privileges": self._privilege_words(),
            "sandbox": self._sandbox_words(),
            "descendants": self._descendant_words(),
        }

    def _limit_words(self) -> str:
        words = describe_limits(self._limits)
        if words == "none":
            return "none"
        if self._is_sandboxed or KEEPS_DESCENDANTS:
            return f"{words} (set before the start)"
        if KNOWS_LIMITS:
            return f"{words} (set right after the start)"
        with suppress(ConfigError):
            system_limits(self._limits)
            return f"{words}: not in force on this system"
        return f"{words}: not known to this system, the program does not start"

    def _privilege_words(self) -> str:
        if self._is_sandboxed:
            return "in force (by bwrap)"
        return "in force" if self._no_new_privileges else "not in force"

    def _sandbox_words(self) -> str:
        if not self._is_sandboxed:
            return "none"
        with suppress(ConfigError):
            find_bubblewrap()
            return "bwrap" + (", with the network" if self._network else "")
        return "bwrap is not installed: the program does not start"

    def _descendant_words(self) -> str:
        if self._is_sandboxed or KEEPS_DESCENDANTS:
            return "all end with it"
        return "those in its process group end with it; what leaves the group escapes"


def _hash_words(verdict: Verdict, *, executes_file: bool) -> str:
    if not verdict.decision.is_pinned:
        return "not pinned"
    return "pinned" if executes_file else "pinned, but executed by name: this system cannot run an open file"
