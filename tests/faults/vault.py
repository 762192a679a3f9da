"""
A plugin that tells which credentials it was shown, by their names only; with a word after its name it wants others.
"""

from __future__ import annotations

import sys

from remora import current_call, serve


class Vault:
    """
    Looks at headers.
    """

    async def seen(self) -> list[str]:
        """The names of the headers that could be credentials."""
        return sorted({"authorization", "x-api-key", "x-secret"} & current_call().headers.keys())


if __name__ == "__main__":
    serve(Vault(), auth={"method": "bearer", "token": "another"} if sys.argv[1:] else None)
