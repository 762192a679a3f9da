"""
A manager that follows its files: their changes are put in force; if they cannot be used, the last good one stays.

What lives here: what to do about a change. What must not: noticing it (see `_watch`), or how a reload is done.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import anyio

from remora._frozen import dataclass
from remora._watch import RESCAN, content_of, require_watching, watch_config
from remora.errors import ConfigError, ManagerClosed, RemoraError
from remora.types import ConfigRejected

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskStatus

    from remora.config import LoadedConfig, ManagerConfig
    from remora.reload import ReloadReport
    from remora.types import Event

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """
    Follows the files of a configuration.

    Attributes:
        path: The file or the directory.
        known: Its `content_of` when the configuration in force was read.
        rescan: Seconds between two checks while no change is reported.
    """

    path: str | os.PathLike[str]
    known: object
    rescan: float = RESCAN

    async def run(
        self,
        apply: Callable[[ManagerConfig], Awaitable[ReloadReport]],
        publish: Callable[[Event], None],
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """
        Follow until it is cancelled.

        Args:
            apply: Puts a configuration in force; raises a ConfigError when it cannot be used.
            publish: Called with an event for each change that cannot be used.
            task_status: Started when no change can be missed any more.
        """
        # a change waits until the one before it is in force, not until old calls have been drained
        async with anyio.create_task_group() as group:

            async def take(found: LoadedConfig | ConfigError) -> None:
                if isinstance(found, ConfigError):
                    _reject(found, publish)
                else:
                    group.start_soon(_put_in_force, found, apply, publish)

            await watch_config(self.path, take, known=self.known, rescan=self.rescan, task_status=task_status)


def follow(path: str | os.PathLike[str]) -> Follower:
    """
    A follower of the files at a path, from their present content on; read them after this.

    Raises:
        NotInstalled: The package that watches files is not installed.
    """
    require_watching()
    return Follower(path=path, known=content_of(path))


async def _put_in_force(
    found: LoadedConfig, apply: Callable[[ManagerConfig], Awaitable[ReloadReport]], publish: Callable[[Event], None]
) -> None:
    try:
        report = await apply(found.config)
        if report.error is not None:
            _log.error("the changed configuration is not in force: %s", report.error)
        elif report.applied:
            _log.info("the changed configuration is in force: %s", report.summary)
    except ConfigError as error:
        found.locate(error)
        _reject(error, publish)
    except ManagerClosed:
        _log.debug("nothing is changed any more: the manager is shut down")
    except RemoraError as error:
        _log.error("the changed configuration is not in force: %s", error)


def _reject(error: ConfigError, publish: Callable[[Event], None]) -> None:
    _log.error("the changed configuration is not used: %s", error)
    publish(ConfigRejected(time=time.time(), source=error.source or "", problems=error.problems))
