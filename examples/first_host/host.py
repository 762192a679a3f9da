"""
A host: it starts the plugin, calls it, and ends it.
"""

import os

import anyio
from plugin import Count, Text

from remora import Manager


async def main() -> None:
    async with Manager.from_file("remora.toml") as manager:
        words = manager.plugin("words", Text, Count)
        print(await words.execute(Text("a host and its remora")))


anyio.run(main, backend=os.environ.get("REMORA_BACKEND", "asyncio"))
