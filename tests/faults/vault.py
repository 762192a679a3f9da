"""
A plugin that tells which credentials it was shown, by their names only; with a word after its name it wants others.
"""

from __future__ import annotations

import os
import sys

from remora import Code, PluginError, current_call, serve


class Vault:
    """
    Looks at headers.
    """

    async def seen(self) -> list[str]:
        """The names of the headers that could be credentials."""
        return sorted({"authorization", "x-api-key", "x-secret"} & current_call().headers.keys())

    async def blurt(self) -> None:
        """Everything that it was shown or given, to whoever listens."""
        shown = dict(current_call().headers)
        print(f"shown {shown} and given {dict(os.environ)}", file=sys.stderr)
        raise PluginError(f"these are no good: {shown}", code=Code.NOT_FOUND, details={"shown": shown}, headers=_told())


def _told() -> dict[str, str]:
    return {f"x-told-{name}": value for name, value in current_call().headers.items()}


if __name__ == "__main__":
    serve(Vault(), auth={"method": "bearer", "token": "another"} if sys.argv[1:] else None)
