"""
Where the work of a call is done: the bytecode instructions that it executes, by module.

    python -m benchmarks.stages

Calls are those of `benchmarks.overhead`. Instructions can be counted on a busy machine too, and approximate time well
enough: a call of 3 µs executes about a thousand of them.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from benchmarks import overhead
from benchmarks.rounds import environment
from remora import Manager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

    from remora import Reply
    from remora._pipeline import Pipeline

_WARM = 200
_COUNTED = 100


async def instructions() -> Counter[str]:
    """
    The instructions of one call in each module, as an average over several calls.
    """
    async with Manager(overhead._config("least-connections"), extensions=[overhead._Extension()]) as manager:
        pipeline: Pipeline = manager._fleet.caller("null").pipeline
        await anyio.wait_all_tasks_blocked()  # until every instance is ready

        def call() -> Awaitable[Reply]:
            return pipeline(overhead._CALL, 5.0)

        for _ in range(_WARM):
            await call()
        return await _counted(call)


async def _counted(call: Callable[[], Awaitable[object]]) -> Counter[str]:
    found: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            found[Path(frame.f_code.co_filename).stem] += 1
        return trace

    for _ in range(_COUNTED):
        sys.settrace(trace)
        coroutine: Any = call()
        try:
            coroutine.send(None)
        except StopIteration:
            pass
        finally:
            sys.settrace(None)
    return Counter({module: round(count / _COUNTED) for module, count in found.items()})


def main() -> None:
    """
    Count the instructions, and print them.
    """
    print(environment("remora"), "\n")
    found = anyio.run(instructions)
    for module, count in found.most_common():
        print(f"{count:5} {count / found.total():5.0%}  {module.lstrip('_')}")
    print(f"{found.total():5}        in all")


if __name__ == "__main__":
    main()
