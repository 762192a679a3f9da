"""
Files that may change while the program runs; changes are detected by content and not by dates.

Theory of operation: the folders of the files, and of every symbolic link on the way to them, are watched, because
files are replaced more often than they are written. Whatever happens there only triggers a look at the content, which
decides. A change is reported once the content has been the same for a moment, so that nobody reads half a file or the
gap between two renames. A look at intervals is the fallback, for file systems without notifications and for folders
that were replaced themselves.

What lives here: noticing changes. What must not: what to do about them.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from remora.config import fragments, read_content, trace_config
from remora.errors import ConfigError, NotInstalled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from anyio.abc import TaskStatus

    from remora.config import LoadedConfig

_log = logging.getLogger(__name__)

_STEP = 50
_LONGEST_STEP = 250
_QUIET = 0.1
_MOST_READINGS = 20
_RETRY = 1.0
_MOST_LINKS = 40

RESCAN = 10.0
"""Seconds between two looks while nothing seems to happen."""


def require_watching() -> None:
    """
    Check that files can be watched.

    Raises:
        NotInstalled: The package watchfiles is not installed.
    """
    try:
        import watchfiles  # noqa: F401
    except ModuleNotFoundError as error:
        raise NotInstalled('files cannot be watched without watchfiles: pip install "remora[watch]"') from error


async def watch_config(
    path: str | os.PathLike[str],
    report: Callable[[LoadedConfig | ConfigError], Awaitable[None]],
    *,
    known: object,
    rescan: float = RESCAN,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """
    Report the configuration in a file or a directory after each change, until cancelled.

    Args:
        path: The file or the directory.
        report: Called with the new configuration, or with its error; changes during a report are reported after it.
        known: The `content_of` the path that needs no report.
        rescan: Seconds between two looks while nothing seems to happen.
        task_status: Told when no change can be missed any more.
    """

    async def changed() -> None:
        await report(await anyio.to_thread.run_sync(_loaded, path))

    watch = FileWatch(
        content=partial(content_of, path),
        folders=partial(folders_of, path),
        changed=changed,
        known=known,
        rescan=rescan,
    )
    await watch.run(task_status=task_status)


def _loaded(path: str | os.PathLike[str]) -> LoadedConfig | ConfigError:
    try:
        return trace_config(path, may_be_empty=False)
    except ConfigError as error:
        return error


def content_of(path: str | os.PathLike[str]) -> tuple[tuple[str, str], ...]:
    """
    The names and the hashes of a file, or of the fragments in a directory; empty when there is none.
    """
    try:
        files = fragments(path) if os.path.isdir(path) else [Path(path)]
    except OSError:
        return ()
    return contents_of(files)


def contents_of(files: Iterable[str | os.PathLike[str]]) -> tuple[tuple[str, str], ...]:
    """
    The names and the hashes of files.
    """
    return tuple((os.fspath(file), _hash(Path(file))) for file in files)


def _hash(file: Path) -> str:
    try:
        from hashlib import sha256  # it loads OpenSSL, and most hosts watch nothing

        return sha256(read_content(file)).hexdigest()
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def folders_of(path: str | os.PathLike[str]) -> set[str]:
    """
    The folders to watch for changes of a file or a directory, and of the symbolic links on the way to it.
    """
    name = os.path.abspath(path)
    found = _folders_to(name)
    if os.path.isdir(name):
        found.add(name)
        try:
            links = [entry.path for entry in os.scandir(name) if entry.is_symlink()]
        except OSError:
            links = []
        for link in links:
            found |= _folders_to(link)
    return {_existing(folder) for folder in found}


def _folders_to(name: str) -> set[str]:
    found, waiting = {os.path.dirname(name)}, [name]
    for _ in range(_MOST_LINKS):
        if not waiting:
            break
        step = waiting.pop()
        link = next((each for each in (step, *map(str, Path(step).parents)) if os.path.islink(each)), None)
        if link is not None:
            target = os.path.join(os.path.dirname(link), os.readlink(link))
            waiting.append(target + step[len(link) :])
            found |= {os.path.dirname(link), os.path.dirname(target)}
        else:
            found.add(os.path.dirname(step))
    return found


def _existing(folder: str) -> str:
    """
    The folder, or the closest one above it that exists.
    """
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return folder


class FileWatch:
    """
    Calls a function after the content of some files has changed.

    Args:
        content: Returns the present content, as anything that can be compared; called in a thread.
        folders: Returns the folders to watch; called in a thread.
        changed: Called and awaited after a change.
        known: The content that is no change.
        rescan: Seconds between two looks while nothing seems to happen.
    """

    def __init__(
        self,
        *,
        content: Callable[[], object],
        folders: Callable[[], Iterable[str]],
        changed: Callable[[], Awaitable[None]],
        known: object,
        rescan: float = RESCAN,
    ) -> None:
        self._content = content
        self._folders = folders
        self._changed = changed
        self._known = known
        self._rescan = rescan
        self._wake = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Watch until cancelled.
        """
        async with anyio.create_task_group() as group:
            await group.start(self._listen)
            task_status.started()
            while True:
                await self._wake.wait()
                self._wake = anyio.Event()
                await self._look()

    async def _look(self) -> None:
        if (found := await self._settled()) != self._known:
            self._known = found
            await self._changed()

    async def _settled(self) -> object:
        """
        The content, once it stays the same for a moment; content that is already known is returned at once.
        """
        found = await anyio.to_thread.run_sync(self._content)
        for _ in range(_MOST_READINGS):
            if found == self._known:
                break
            await anyio.sleep(_QUIET)
            before, found = found, await anyio.to_thread.run_sync(self._content)
            if before == found:
                break
        return found

    async def _listen(self, *, task_status: TaskStatus[None]) -> None:
        """
        Trigger a look whenever something happens in the folders, even if they are replaced.
        """
        stop = threading.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(_set_at_the_end, stop)
            while True:
                folders = await anyio.to_thread.run_sync(_identities, self._folders)
                # a task that is started now runs first when the watcher, made without a pause, begins to wait
                group.start_soon(self._armed, task_status)
                task_status = anyio.TASK_STATUS_IGNORED
                try:
                    await self._listen_to(folders, stop)
                except (OSError, RuntimeError) as error:  # of watchfiles: no more watches, a folder that is gone
                    _log.warning("cannot watch %s: %s; looking again in %g s", ", ".join(folders), error, _RETRY)
                    await anyio.sleep(_RETRY)

    async def _armed(self, task_status: TaskStatus[None]) -> None:
        self._wake.set()
        task_status.started()

    async def _listen_to(self, folders: Mapping[str, object], stop: threading.Event) -> None:
        from watchfiles import awatch

        _quieten()
        batches = awatch(
            *folders,
            watch_filter=None,
            debounce=_LONGEST_STEP,
            step=_STEP,
            stop_event=stop,  # type: ignore[arg-type]  # anything with is_set() will do
            rust_timeout=int(self._rescan * 1000),
            yield_on_timeout=True,
            recursive=False,
        )
        async with aclosing(batches):
            async for _ in batches:
                self._wake.set()
                if await anyio.to_thread.run_sync(_identities, self._folders) != folders:
                    return


def _quieten() -> None:
    """
    Keep watchfiles from logging each change, which would never end if the log is a file next to the configuration.
    """
    logger = logging.getLogger("watchfiles")
    if logger.level == logging.NOTSET:  # else the application has chosen a level
        logger.setLevel(logging.WARNING)


def _identities(folders: Callable[[], Iterable[str]]) -> dict[str, tuple[int, int]]:
    """
    The folders, each with its identity, which changes when another folder replaces it.
    """
    found = {}
    for folder in sorted(folders()):
        try:
            status = os.stat(folder)
        except OSError:
            continue
        found[folder] = (status.st_dev, status.st_ino)
    return found


async def _set_at_the_end(stop: threading.Event) -> None:
    """
    Set an event on cancellation, which a thread would not notice otherwise.
    """
    try:
        await anyio.sleep_forever()
    finally:
        stop.set()
