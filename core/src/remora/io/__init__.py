"""
The asynchronous halves that more than one transport shares. What only rearranges bytes lives in `remora.wire`.
"""

from remora.io._channel import TtrpcChannel, open_ttrpc
from remora.io._deadlines import Deadlines
from remora.io._loop import loop_clock
from remora.io._pipe import BytePipe, SocketPipe
from remora.io._probe import probe_health
from remora.io._serve import serve_ttrpc
from remora.io._tasks import background_tasks

__all__ = [
    "BytePipe",
    "Deadlines",
    "SocketPipe",
    "TtrpcChannel",
    "background_tasks",
    "loop_clock",
    "open_ttrpc",
    "probe_health",
    "serve_ttrpc",
]
