"""
The plugin's side of `oneshot`: one payload from standard input, one reply to standard output, then exit.

The protocol reports an error by the exit status and by text on standard error. The listener does not end the program
itself, so the status is left with the interpreter, which uses it when the program ends normally.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import sys
from typing import TYPE_CHECKING

import anyio

from remora.errors import Code, DeadlineExceeded, PluginError, RemoraError
from remora.types import Call
from remora.wire import printable, too_large
from remora_exec._wires._trace_variables import from_variables

if TYPE_CHECKING:
    from remora.protocols import Dispatch
    from remora_exec._pipes import ReadPipe, WritePipe

_logger = logging.getLogger(__name__.replace("_", ".", 1))


async def serve_oneshot(reader: ReadPipe, writer: WritePipe, dispatch: Dispatch, peer: str, *, max_size: int) -> None:
    """
    Answer the one call that standard input and the environment describe.
    """
    try:
        payload = await _ask(reader, dispatch, peer, max_size)
    except RemoraError as error:
        print(error.message, file=sys.stderr, flush=True)
        _exit_later(os.EX_TEMPFAIL if error.code is Code.UNAVAILABLE else 1)
        return
    try:
        await writer.send(payload)
    except OSError:
        _logger.debug("nobody reads the reply any more")


async def _ask(reader: ReadPipe, dispatch: Dispatch, peer: str, max_size: int) -> bytes:
    call = _call(await _read_all(reader, max_size))
    with anyio.CancelScope(deadline=math.inf if call.deadline is None else call.deadline):
        try:
            return (await dispatch(call, peer)).payload or b"null"
        except RemoraError:
            raise
        except Exception as error:  # of the served plugin
            _logger.exception("%s failed", printable(call.name, most=200))
            raise PluginError("internal error", code=Code.INTERNAL) from error
    raise DeadlineExceeded("the plugin ran out of time")


async def _read_all(reader: ReadPipe, max_size: int) -> bytes:
    payload = bytearray()
    while data := await reader.receive():
        payload += data
        if len(payload) > max_size:
            raise too_large("request", max_size)
    return bytes(payload)


def _call(payload: bytes) -> Call:
    env = os.environ
    timeout = env.get("REMORA_TIMEOUT_MS", "")
    return Call(
        service=env.get("REMORA_SERVICE", ""),
        method=env.get("REMORA_METHOD", ""),
        payload=payload,
        deadline=anyio.current_time() + int(timeout) / 1000 if timeout.isdecimal() else None,
        headers=from_variables(env),
        request_id=env.get("REMORA_REQUEST_ID", ""),
    )


def _exit_later(status: int) -> None:
    atexit.register(_exit_now, status)


def _exit_now(status: int) -> None:
    atexit.unregister(_exit_now)
    atexit._run_exitfuncs()  # those registered earlier, such as for exporting spans, since the exit would skip them
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(status)
