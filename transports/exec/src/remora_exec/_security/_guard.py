"""
The guard: it decides whether a program may be started, records that and enforces it.

What lives here: applying decisions to files. What must not: processes.

If the configuration names neither a list nor a log and the policy is "permissive", only file modes are checked.
Otherwise the program is opened and hashed, and that same open file is executed.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.to_thread

from remora.errors import ConfigError, ExecutableRefused, Unavailable
from remora.security import Decision, Program, decide
from remora_exec._security._allow_file import allow_file
from remora_exec._security._audit import AuditLog
from remora_exec._security._program import opened, weaknesses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from remora.config import SecurityConfig
    from remora_exec._notices import Notices
    from remora_exec._security._program import OpenProgram

_logger = logging.getLogger(__name__.replace("_", ".", 1))

TRANSPORT = "exec"
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_REMEDY = "if it is the right program, `remora security pin CONFIG` writes it into the list"
_REMEDY_OF_WEAKNESS = "take the right to write away (chmod go-w)"


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    The findings about a program, and whether it may be started.

    Attributes:
        path: The path of the program.
        decision: Whether it may be started.
        sha256: Its hash; empty when it was not read.
        size: Its size in bytes.
        file: The open file that was hashed; None when it was not read.
        weaknesses: Who else could change it, in one sentence each.
    """

    path: str
    decision: Decision
    sha256: str = ""
    size: int = 0
    file: OpenProgram | None = None
    weaknesses: tuple[str, ...] = ()


class Guard:
    """
    Decides about the program of one endpoint.

    Attributes:
        plugin: The plugin's configured name.

    Args:
        security: The `[security]` table.
        plugin: The plugin's configured name.
        endpoint: The endpoint.
        notices: What was said in the log before, which is not said again as long as nothing about it has changed.
    """

    def __init__(self, security: SecurityConfig, *, plugin: str, endpoint: str, notices: Notices) -> None:
        self.plugin = plugin
        self._notices = notices
        self._security = security
        self._endpoint = endpoint
        self._list = allow_file(os.path.abspath(security.allow_list)) if security.allow_list else None
        self._log = _audit_log(security)

    @asynccontextmanager
    async def admitted(self, path: str) -> AsyncIterator[Verdict]:
        """
        The verdict on a program that is to be started now. It is recorded; the program's file is open inside the
        context.

        Raises:
            ExecutableRefused: It may not be started.
            ConfigError: There is no such program.
            Unavailable: The system lacks the resources to examine it now.
        """
        with ExitStack() as files:
            if self._hashes:
                yield await anyio.to_thread.run_sync(self._admit, path, files)
            else:
                yield self._admit(path, files)

    @contextmanager
    def examined(self, path: str) -> Iterator[Verdict]:
        """
        The verdict on a program that is only looked at: the program is always hashed, nothing is recorded, and one that
        may not be started is no error.

        Raises:
            ConfigError: There is no such program.
            Unavailable: The system lacks the resources to examine it now.
        """
        with ExitStack() as files:
            yield self._examine(path, files, is_hashed=True)

    @property
    def has_list(self) -> bool:
        """
        Whether there is a list that may change.
        """
        return self._list is not None

    def version_of_list(self) -> object:
        """
        A value that changes when the file of the list does.
        """
        return self._list.version() if self._list is not None else None

    def review(self, verdict: Verdict) -> Decision:
        """
        The present decision on a program that was allowed to start.
        """
        return self._decide(self._program(verdict.sha256, verdict.size, verdict.weaknesses))

    def note(self, verdict: Verdict, outcome: str, reasons: Sequence[str]) -> None:
        """
        Record a later decision on a running program.
        """
        self._complain(self._append({**self._record(verdict), "outcome": outcome, "reasons": list(reasons)}))

    @property
    def _hashes(self) -> bool:
        """
        Whether programs that are to be started are opened and hashed, which takes time.
        """
        return self._list is not None or self._log is not None or self._security.policy != "permissive"

    def _admit(self, path: str, files: ExitStack) -> Verdict:
        """
        The verdict on a program that may be started, once it is recorded.
        """
        verdict = self._examine(path, files, is_hashed=self._hashes)
        self._write_down(verdict)
        if verdict.decision.outcome == "refused":
            raise _refusal(verdict)
        words = _words(verdict.decision.reasons)
        if self._notices.is_news((self._endpoint, path), words):
            _logger.warning("plugin %r: %s would be refused: %s", self.plugin, path, words)
        return verdict

    def _examine(self, path: str, files: ExitStack, *, is_hashed: bool) -> Verdict:
        """
        The verdict on a program; what is opened for it is closed with `files`.
        """
        try:
            if is_hashed:
                file = files.enter_context(opened(path))
                return self._judge(path, file, file.sha256(), weaknesses(path, file.descriptor))
            return self._judge(path, None, "", weaknesses(path))
        except FileNotFoundError as error:
            raise ConfigError(f"there is no program {path}") from error
        except OSError as error:
            if error.errno in _SHORTAGES:  # not the fault of the program
                raise Unavailable(f"{path} cannot be examined now: {error.strerror}", sent=False) from error
            reason = f"it cannot be examined: {error.strerror or error}"
            is_tolerated = self._security.policy == "audit-only"
            return Verdict(path, Decision("would-refuse" if is_tolerated else "refused", (reason,)))

    def _judge(self, path: str, file: OpenProgram | None, sha256: str, weak: tuple[str, ...]) -> Verdict:
        size = file.size if file else 0
        return Verdict(path, self._decide(self._program(sha256, size, weak)), sha256, size, file, weak)

    def _program(self, sha256: str, size: int, weak: tuple[str, ...]) -> Program:
        return Program(
            plugin=self.plugin,
            transport=TRANSPORT,
            endpoint=self._endpoint,
            sha256=sha256,
            size=size,
            weaknesses=weak,
        )

    def _decide(self, program: Program) -> Decision:
        policy = self._security.policy
        allowed, problem = self._list.current(policy) if self._list else (None, "")
        return decide(policy, allowed, program, problem=problem)

    def _write_down(self, verdict: Verdict) -> None:
        error = self._append(self._record(verdict))
        if error is not None and self._security.policy == "strict":
            raise _refusal(verdict, self._unwritten(error)) from error
        self._complain(error)

    def _append(self, record: Mapping[str, object]) -> OSError | None:
        """
        Append a record to the audit log, if there is one; returns why it cannot be written.
        """
        try:
            if self._log is not None:
                self._log.write(record)
        except OSError as error:
            return error
        return None

    def _complain(self, error: OSError | None) -> None:
        """
        Say what is wrong with the audit log, unless nothing is.
        """
        problem = "" if error is None else self._unwritten(error)
        if self._notices.is_news("audit log", problem):
            _logger.warning("%s", problem)

    def _unwritten(self, error: OSError) -> str:
        return f"the audit log {self._security.audit_log} cannot be written: {error.strerror or error}"

    def _record(self, verdict: Verdict) -> dict[str, object]:
        return {
            "time": time.time(),
            "plugin": self.plugin,
            "program": verdict.path,
            "sha256": verdict.sha256,
            "outcome": verdict.decision.outcome,
            "reasons": list(verdict.decision.reasons),
            "policy": self._security.policy,
            "host": os.getpid(),
        }


def _audit_log(security: SecurityConfig) -> AuditLog | None:
    if not security.audit_log:
        return None
    path = os.path.abspath(security.audit_log)
    return AuditLog(path, max_bytes=security.audit_size, kept=security.audit_files)


def _refusal(verdict: Verdict, problem: str = "") -> ExecutableRefused:
    reasons = (problem,) if problem else verdict.decision.reasons
    is_weak = all("can be written by" in reason for reason in reasons)
    remedy = "" if problem else f"; {_REMEDY_OF_WEAKNESS if is_weak else _REMEDY}"
    message = f"{verdict.path} is not started: {_words(reasons)}{remedy}"
    return ExecutableRefused(message, program=verdict.path, sha256=verdict.sha256, reasons=reasons)


def _words(reasons: tuple[str, ...]) -> str:
    return "; ".join(reasons)
