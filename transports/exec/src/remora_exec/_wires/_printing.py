"""
What a served program prints: text for its host's log, which is lost once nobody reads it.

A host that is killed reads no more, and the program still has to clean up; what it prints meanwhile must not fail.
What lives here: the streams for that. What must not: where they lead (see `_stdio`).
"""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from typing import Any, TextIO


def lose_what_nobody_reads() -> None:
    """
    Replace `sys.stdout` and `sys.stderr` by streams to which text can be written even when nobody reads it any more.
    Streams that the program has put there itself are left alone.
    """
    sys.stdout, sys.stderr = _lossy(sys.stdout, sys.__stdout__), _lossy(sys.stderr, sys.__stderr__)


class _LossyFile(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def _lossy(stream: TextIO, of_python: object) -> TextIO:
    """
    A stream like one, if it is the one that Python has opened; that is None where the descriptor was closed.
    """
    if stream is not of_python or not isinstance(stream, io.TextIOWrapper) or stream.closed:
        return stream
    with suppress(BrokenPipeError):
        stream.flush()
    file = _LossyFile(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(file) if isinstance(stream.buffer, io.BufferedWriter) else file,  # unbuffered with `-u`
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
