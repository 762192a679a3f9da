"""
Asynchronous parts that more than one transport shares. What only converts bytes lives in `remora.wire`.
"""

from typing import TYPE_CHECKING

from remora._lazy import lazily

if TYPE_CHECKING:
    from remora.io._channel import TtrpcChannel, open_ttrpc
    from remora.io._deadlines import Deadlines
    from remora.io._landing import landing
    from remora.io._loop import is_asked_to_end, loop_clock
    from remora.io._pipe import BytePipe, SocketPipe
    from remora.io._probe import probe_health
    from remora.io._serve import serve_ttrpc
    from remora.io._served_call import ServedCall
    from remora.io._tasks import background_tasks
    from remora.io._worker_pool import Job, WorkerPool
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "remora.io._channel": "TtrpcChannel open_ttrpc",
            "remora.io._worker_pool": "WorkerPool Job",
            "remora.io._deadlines": "Deadlines",
            "remora.io._landing": "landing",
            "remora.io._loop": "is_asked_to_end loop_clock",
            "remora.io._pipe": "BytePipe SocketPipe",
            "remora.io._probe": "probe_health",
            "remora.io._serve": "serve_ttrpc",
            "remora.io._served_call": "ServedCall",
            "remora.io._tasks": "background_tasks",
        },
    )

__all__ = [
    "BytePipe",
    "Deadlines",
    "Job",
    "ServedCall",
    "SocketPipe",
    "TtrpcChannel",
    "WorkerPool",
    "background_tasks",
    "is_asked_to_end",
    "landing",
    "loop_clock",
    "open_ttrpc",
    "probe_health",
    "serve_ttrpc",
]
