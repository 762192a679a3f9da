"""
A plugin that manages the files of one directory.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from directory import Confined, Entry

from remora import Code, PluginError, idempotent, serve, service


@dataclass(frozen=True, slots=True)
class Path:
    path: str = ""


@dataclass(frozen=True, slots=True)
class File:
    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    entries: list[Entry]


@service("files.v1.Files", version="1.0.0")
class Files:
    """
    Manages the files of one directory.
    """

    def __init__(self, root: str) -> None:
        self._directory = Confined(root)

    @idempotent
    def list(self, request: Path) -> Listing:
        """
        What a directory holds, by name.
        """
        with told(request.path):
            return Listing(self._directory.entries(request.path))

    @idempotent
    def read(self, request: Path) -> File:
        """
        A file with its content.
        """
        with told(request.path):
            return File(request.path, self._directory.read(request.path))

    @idempotent
    def write(self, request: File) -> Path:
        """
        Give a file this content; it is made if it is missing, and so are the directories above it.
        """
        with told(request.path):
            self._directory.write(request.path, request.content)
        return Path(request.path)

    def delete(self, request: Path) -> Path:
        """
        Remove a file.
        """
        with told(request.path):
            self._directory.delete(request.path)
        return request


@contextmanager
def told(path: str) -> Iterator[None]:
    """
    Tell the caller what went wrong with a path.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise PluginError(f"there is no {path!r}", code=Code.NOT_FOUND) from error
    except PermissionError as error:
        raise PluginError(f"{path!r} {error.strerror}", code=Code.PERMISSION_DENIED) from error
    except ValueError as error:
        raise PluginError(f"{path!r} {error}", code=Code.INVALID_ARGUMENT) from error
    except OSError as error:
        raise PluginError(f"{path!r}: {error.strerror}", code=Code.FAILED_PRECONDITION) from error


if __name__ == "__main__":
    serve(Files(os.environ.get("FILES_ROOT", "shared")))
