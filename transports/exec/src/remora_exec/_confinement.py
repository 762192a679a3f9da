"""
How a program is started so that it can do no more than it should.

What lives here: the measures put together, in the order in which they work. What must not: what is allowed to start.
"""

from __future__ import annotations

import subprocess
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from remora.errors import ConfigError
from remora_exec._limits import KNOWS_LIMITS, describe_limits, limit_process, limiting_argv
from remora_exec._privileges import KNOWS_NO_NEW_PRIVILEGES, without_new_privileges
from remora_exec._program import EXECUTES_DESCRIPTORS
from remora_exec._sandbox import find_bubblewrap, sandbox_argv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remora_exec._command import Command
    from remora_exec._guard import Verdict
    from remora_exec.plugin import ExecOptions


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

    def start(self, command: Command, verdict: Verdict, *, stdin: int, stdout: int) -> subprocess.Popen[bytes]:
        """
        Start a program that may be started.

        Raises:
            OSError: It cannot be run.
            ConfigError: A measure needs what is not installed.
        """
        if self._is_sandboxed:
            return self._start_in_sandbox(command, verdict, stdin, stdout)
        executes_file = verdict.file is not None and EXECUTES_DESCRIPTORS
        run = partial(
            _popen,
            command,
            stdin,
            stdout,
            executable=verdict.file.address if verdict.file and executes_file else None,
            descriptors=[verdict.file.descriptor] if verdict.file and executes_file else [],
        )
        popen = without_new_privileges(run) if self._no_new_privileges else run()
        self._limit(popen)
        return popen

    def _start_in_sandbox(self, command: Command, verdict: Verdict, stdin: int, stdout: int) -> subprocess.Popen[bytes]:
        inside = sandbox_argv(command, verdict.file, paths=self._paths, network=self._network)
        argv = (*limiting_argv(self._limits), *inside)
        descriptors = [verdict.file.descriptor] if verdict.file else []
        outside = replace(command, argv=argv, work_dir=None)
        return _popen(outside, stdin, stdout, executable=None, descriptors=descriptors)

    def _limit(self, popen: subprocess.Popen[bytes]) -> None:
        try:
            limit_process(popen.pid, self._limits)
        except OSError:
            popen.kill()
            popen.wait()
            raise

    def measures(self, verdict: Verdict) -> Mapping[str, str]:
        """
        What is in force for a program, and what is not, in words.
        """
        return {
            "hash": _hash_words(verdict, executes_file=EXECUTES_DESCRIPTORS or self._is_sandboxed),
            "limits": self._limit_words(),
            "no_new_privileges": self._privilege_words(),
            "sandbox": self._sandbox_words(),
        }

    def _limit_words(self) -> str:
        words = describe_limits(self._limits)
        if words == "none":
            return "none"
        if self._is_sandboxed:
            return f"{words} (set before the start)"
        return f"{words} (set right after the start)" if KNOWS_LIMITS else f"{words}: not in force on this system"

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


def _hash_words(verdict: Verdict, *, executes_file: bool) -> str:
    if not verdict.decision.is_pinned:
        return "not pinned"
    return "pinned" if executes_file else "pinned, but executed by name: this system cannot run an open file"


def _popen(
    command: Command, stdin: int, stdout: int, *, executable: str | None, descriptors: Sequence[int]
) -> subprocess.Popen[bytes]:
    inherited = [*command.descriptors, *descriptors]
    return subprocess.Popen(
        command.argv, executable=executable, pass_fds=inherited, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
        bufsize=0, env=dict(command.env), cwd=command.work_dir, start_new_session=True,
    )  # fmt: skip
