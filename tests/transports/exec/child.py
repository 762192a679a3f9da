"""
A plugin for the tests, on the transport's own listener. Its methods misbehave on demand.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import anyio

from remora.errors import Code, PluginError
from remora.types import Call, Endpoint, Reply, Status
from remora.wire import HEALTH_SERVICE, encode_health
from remora_exec.plugin import ExecOptions, build

STANDARD = [os.fstat(number) for number in (0, 1)]
"""What standard input and output were at the start."""

print("printed before serving, not flushed")


async def dispatch(call: Call, peer: str) -> Reply:
    if call.service == HEALTH_SERVICE:
        return Reply(payload=encode_health(Status.HEALTHY), content_type="application/proto")
    request = json.loads(call.payload or b"null")
    return Reply(payload=json.dumps(await answer(call, request, peer)).encode())


async def answer(call: Call, request: object, peer: str) -> object:
    match call.method:
        case "echo":
            print("printed by a handler", flush=True)
            return {"request": request, "headers": dict(call.headers), "id": call.request_id, "peer": peer}
        case "remaining":
            return call.deadline and call.deadline - anyio.current_time()
        case "pid":
            return os.getpid()
        case "no":
            raise PluginError("no such user", code=Code.NOT_FOUND, details={"user": 7})
        case "busy":
            raise PluginError("come back", code=Code.UNAVAILABLE)
        case "bug":
            raise KeyError("secret")
        case "big":
            return "x" * int(str(request))
        case "sleep":
            return await sleep(str(request))
        case "environ":
            return dict(os.environ)
        case "descriptors":
            return sorted(os.listdir("/proc/self/fd"))
        case "standard":
            return [[stat.filemode(each.st_mode)[0], each.st_dev, each.st_ino] for each in STANDARD]
        case "grandchild":
            subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
            return os.getpgrp()
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            return os.getpid()
        case "hang":
            print("hanging", file=sys.stderr, flush=True)
            time.sleep(600)
        case "crash":
            print("last words", file=sys.stderr, flush=True)
            os._exit(3)
    raise PluginError("no such method", code=Code.UNIMPLEMENTED)


async def sleep(marker: str) -> str:
    Path(f"{marker}.begun").touch()  # noqa: ASYNC240
    try:
        await anyio.sleep(600)
    except anyio.get_cancelled_exc_class():
        Path(marker).touch()  # noqa: ASYNC240
        raise
    return "slept"


async def main() -> None:
    transport = build(ExecOptions())
    async with transport.listen(Endpoint(os.environ["REMORA_LISTEN"]), dispatch) as listener:
        await listener.wait_closed()


anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "asyncio")
