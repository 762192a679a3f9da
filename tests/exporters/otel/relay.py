"""
A plugin that fails its first call, and answers the next one by asking a plugin of its own.

    python relay.py ADDRESS     serves; asks the plugin at ADDRESS, or answers by itself where there is none
"""

from __future__ import annotations

import sys

from remora import Code, Manager, PluginError, current_call, idempotent, serve, service


@service("test.Relay")
class Relay:
    """
    Passes words on.
    """

    def __init__(self, following: str = "") -> None:
        self._following = following
        self._seen: set[str] = set()

    @idempotent
    async def say(self, words: str) -> str:
        """
        Fail when asked for the first time under a request id.
        """
        request_id = current_call().request_id
        if request_id not in self._seen:
            self._seen.add(request_id)
            raise PluginError("not yet", code=Code.UNAVAILABLE)
        if not self._following:
            return words
        config = {"plugins": {"next": {"endpoint": self._following, "retry": {"initial_interval": 0.01}}}}
        async with Manager(config) as manager:
            return await manager.client("next", Relay).say(words)


if __name__ == "__main__":
    serve(Relay(*sys.argv[1:]), listen="stdio:")
