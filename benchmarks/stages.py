"""
Where the work of a call is done: the bytecode instructions that it executes, by module.

    python -m benchmarks.stages [--functions]

Calls are those of `benchmarks.overhead`, to a plugin with one instance, and to one with three and a balancer.
Instructions can be counted on a busy machine too, and approximate time well enough: a call of 2 µs executes about six
hundred of them.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from benchmarks.machine import environment
from benchmarks.null import CALL, NullTransport, host_of
from remora import Manager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import CodeType, FrameType

    from remora import Reply
    from remora._calls._pipeline import Pipeline

    Name = Callable[[CodeType], str]
    """What the instructions of a function are counted under."""

_WARM = 200
_COUNTED = 100


async def instructions(config: dict[str, object], name: Name) -> Counter[str]:
    """
    The instructions of one call, as an average over several calls.
    """
    async with Manager(config, extensions=[NullTransport()]) as manager:
        pipeline: Pipeline = manager._fleet.caller("null").pipeline
        await anyio.wait_all_tasks_blocked()  # until every instance is ready

        def call() -> Awaitable[Reply]:
            return pipeline(CALL, 5.0)

        for _ in range(_WARM):
            await call()
        return await _counted(call, name)


async def _counted(call: Callable[[], Awaitable[object]], name: Name) -> Counter[str]:
    found: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            found[name(frame.f_code)] += 1
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
    return Counter({what: round(count / _COUNTED) for what, count in found.items()})


def _module(code: CodeType) -> str:
    return Path(code.co_filename).stem.lstrip("_")


def _function(code: CodeType) -> str:
    return f"{_module(code)}.{code.co_qualname}"


def main() -> None:
    """
    Count the instructions, and print them.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description="where the work of a call is done")
    parser.add_argument("--functions", action="store_true", help="count by function rather than by module")
    name = _function if parser.parse_args().functions else _module
    print(environment("remora"))
    configs = {
        "one instance": host_of("", instances=1),
        "three instances and a balancer": host_of("least-connections"),
    }
    for what, config in configs.items():
        found = anyio.run(instructions, config, name)
        print(f"\n{what}")
        for part, count in found.most_common():
            print(f"{count:5} {count / found.total():5.0%}  {part}")
        print(f"{found.total():5}        in all")


if __name__ == "__main__":
    main()
