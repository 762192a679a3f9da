"""
Where tokens come from: a file, a program, a callable.

What lives here: fetching. What must not: when to (see `_tokens`).
"""

from __future__ import annotations

import inspect
from subprocess import DEVNULL
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from remora.config import read_credentials
from remora.errors import NoCredentials, RemoraError
from remora_auth._mark import mark_of
from remora_auth._token import Token, read_token, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora_auth._mark import Mark

_MOST_PRINTED = 1024 * 1024


class FileSource:
    """
    A file that holds the token, and that somebody rewrites or replaces from time to time.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._mark: Mark | None = None

    def has_changed(self) -> bool:
        """
        Whether the file is another one than was read last, well or not.
        """
        return mark_of(self._path) != self._mark

    async def fetch(self) -> Token:
        """
        The token in the file.

        Raises:
            NoCredentials: The file cannot be read, or holds none.
        """
        return await anyio.to_thread.run_sync(self._read)

    def _read(self) -> Token:
        mark = mark_of(self._path)
        try:
            return read_token(read_credentials(self._path).decode("utf-8-sig"))
        except OSError as error:
            raise NoCredentials(f"token_file {self._path!r}: {error.strerror}") from error
        except ValueError as error:
            raise NoCredentials(f"token_file {self._path!r}: {_reason(error)}") from None
        finally:
            self._mark = mark


class CommandSource:
    """
    A program that prints the token.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    def has_changed(self) -> bool:
        """
        Nobody knows before it runs.
        """
        return False

    async def fetch(self) -> Token:
        """
        What the program prints.

        Raises:
            NoCredentials: It cannot be run, fails or prints no token. What it prints is not repeated.
        """
        name = self._command[0]
        try:
            status, printed = await _run(self._command)
            if status:
                raise NoCredentials(f"token_command {name!r} ended with status {status}")
            return read_token(printed.decode())
        except OSError as error:
            raise NoCredentials(f"token_command {name!r}: {error.strerror}") from error
        except ValueError as error:
            raise NoCredentials(f"token_command {name!r}: {_reason(error)}") from None


async def _run(command: Sequence[str]) -> tuple[int, bytes]:
    """
    The status and the output of a program.

    Raises:
        ValueError: It prints more than any token has.
    """
    async with await anyio.open_process(command, stdin=DEVNULL, stderr=DEVNULL) as process:
        assert process.stdout is not None
        printed = b""
        async for chunk in process.stdout:
            printed += chunk
            if len(printed) > _MOST_PRINTED:
                process.kill()
                raise ValueError("it prints more than 1 MiB")
        return await process.wait(), printed


class CallableSource:
    """
    A callable of the program, synchronous (it runs in a thread) or not.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function

    def has_changed(self) -> bool:
        """
        Nobody knows before it is called.
        """
        return False

    async def fetch(self) -> Token:
        """
        What it returns.

        Raises:
            NoCredentials: It fails, or returns no token.
        """
        try:
            value = await self._call()
        except RemoraError:
            raise
        except Exception as error:  # the program's own code; its message may hold what must not be shown
            raise NoCredentials(f"token_source failed with {type(error).__name__}") from error
        try:
            return token_of(value)
        except ValueError as error:
            raise NoCredentials(f"token_source: {error}") from None

    async def _call(self) -> object:
        if inspect.iscoroutinefunction(self._function):
            return await self._function()
        value = await anyio.to_thread.run_sync(self._function, abandon_on_cancel=True)
        return await value if inspect.isawaitable(value) else value


def _reason(error: ValueError) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
