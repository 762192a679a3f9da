"""
A host, and a plugin, on a system that is not Linux, as far as Linux can be one: what only Linux has is taken away.

Arguments of the host: the backend, and a directory for a socket. It prints what becomes of each call. The plugin has no
arguments.
"""

from __future__ import annotations

import asyncio.subprocess
import os
import signal
import socket
import ssl
import subprocess
import sys
import sysconfig
import urllib.request
from importlib import import_module

_OF_LINUX = {
    os: ("O_PATH", "memfd_create", "pidfd_open"),
    signal: ("sigtimedwait", "sigwaitinfo"),
    socket: ("MSG_CMSG_CLOEXEC", "MSG_NOSIGNAL", "SO_PEERCRED", "SOCK_CLOEXEC", "SOCK_NONBLOCK"),
}


class Words:
    """
    What is served.
    """

    async def upper(self, text: str) -> str:
        """
        The same, louder.
        """
        return text.upper()


def leave_linux(backend: str) -> None:
    """
    Load what chooses by the system when it is loaded, and then change the system.
    """
    sysconfig.get_config_vars()
    assert asyncio.subprocess, (ssl, subprocess, urllib.request)
    import_module(f"anyio._backends._{backend}")
    for module, names in _OF_LINUX.items():
        for name in names:
            vars(module).pop(name, None)
    sys.platform = "darwin"


async def main(directory: str) -> None:
    """
    Call a child, and plugins behind a socket in a file and behind TCP; then ask for what only Linux can do.
    """
    from remora import Manager
    from remora.errors import RemoraError
    from remora.serve import serving

    child = {"endpoint": f"exec:{sys.executable}", "args": [__file__]}
    async with serving(Words(), listen=[f"unix://{directory}/s", "http:"]) as served:
        unix, http = (each.url for each in served.endpoints)
        asked = {
            "child": child,
            "forked": child | {"options": {"start_method": "forkserver"}},
            "unix": {"endpoint": unix},
            "http": {"endpoint": http},
            "limits": child | {"options": {"limits": {"open_files": 64}}},
            "user": {"endpoint": unix, "options": {"peer_uid": os.geteuid()}},
        }
        for name, plugin in asked.items():
            try:
                async with Manager({"plugins": {name: plugin | {"service": "Words"}}}) as manager:
                    print(name, await manager.execute(name, "a", str, method="upper"))
            except RemoraError as error:
                print(name, error.message)


if __name__ == "__main__":
    [backend, *directories] = sys.argv[1:] or ["asyncio"]
    leave_linux(backend)
    if directories:
        import anyio

        anyio.run(main, *directories, backend=backend)
    else:
        from remora import serve

        serve(Words())
