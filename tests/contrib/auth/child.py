"""
A plugin for the tests that is a child process and asks for a token.
"""

from __future__ import annotations

import sys

from remora import current_call, serve


class Who:
    """
    Tells the caller who it is.
    """

    async def am_i(self) -> str:
        """
        The caller's name.
        """
        return current_call().identity


serve(Who(), auth={"method": "bearer", "token_file": sys.argv[1]})
