"""
A host that works with the files, and tries to get out of their directory.
"""

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import anyio
from plugin import File, Listing, Path

from remora import Manager, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTE = "notes/today.txt"


class Files(Protocol):
    """
    The plugin as the host sees it: each method is a coroutine, whatever it is over there.
    """

    async def list(self, request: Path) -> Listing: ...

    async def read(self, request: Path) -> File: ...

    async def write(self, request: File) -> Path: ...

    async def delete(self, request: Path) -> Path: ...


async def main() -> None:
    async with Manager.from_file("remora.toml") as manager:
        files = manager.client("files", Files)
        await work(files)
        await break_out(files)
        print("delete", (await files.delete(Path(NOTE))).path)
        with refusal("read  "):
            await files.read(Path(NOTE))


async def work(files: Files) -> None:
    print("write ", (await files.write(File(NOTE, b"Remoras do not let go."))).path)
    for entry in (await files.list(Path("notes"))).entries:
        print("list  ", f"notes: {entry.name} ({entry.size} bytes)")
    print("read  ", (await files.read(Path(NOTE))).content.decode())


async def break_out(files: Files) -> None:
    with refusal("..    "):
        await files.read(Path("../secret.txt"))
    with suppress(FileExistsError):
        os.symlink("/etc", "shared/link")
    with refusal("link  "):
        await files.read(Path("link/passwd"))


@contextmanager
def refusal(what: str) -> "Iterator[None]":
    try:
        yield
    except PluginError as error:
        print(what, f"{error.code}: {error.message}")


anyio.run(main, backend=os.environ.get("REMORA_BACKEND", "asyncio"))
