"""
What the demo has to say: a table and a few lines for people, plain values for programs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from remora_cli._table import make_table, styled
from remora_cli.demo._round import CONCURRENCY

if TYPE_CHECKING:
    from rich.table import Table

    from remora_cli.demo._crash import Crash
    from remora_cli.demo._round import Round
    from remora_cli.demo._show import Show

_NEXT = "remora serve remora_cli.demo.text:TextProcessor --listen http://127.0.0.1:8000"


def table_of(show: Show) -> Table:
    """
    The transports and their calls.
    """
    table = make_table(
        "transport", "wire", "calls", "p50 ms", "p99 ms", "result", numbers=("calls", "p50 ms", "p99 ms")
    )
    for act, each in show.rounds:
        result = styled(f"{len(each.failures)} failed", "red") if each.failures else styled("all correct", "green")
        table.add_row(act.transport, act.wire, str(each.calls), _ms(each, 50), _ms(each, 99), result)
    for name in show.missing:
        table.add_row(name, "-", "0", "-", "-", styled("not installed", "dim"))
    return table


def lines_of(show: Show) -> list[str]:
    """
    What stands under the table.
    """
    loop = f"host and plugins on {show.backend}, {CONCURRENCY} calls at a time, {show.seconds:.1f} s in all"
    failed = [f"{act.transport}: {each.failures[0]}" for act, each in show.rounds if each.failures]
    missing = [f'{name} is not installed: pip install "remora[{name}]"' for name in show.missing]
    return [loop, *failed, *missing, *(_crash_lines(show.crash) if show.crash else []), f"try next: {_next()}"]


def _next() -> str:
    """
    What to type; who came by `uv run` has no `remora` without it.
    """
    return f"uv run {_NEXT}" if "UV_RUN_RECURSION_DEPTH" in os.environ else _NEXT


def facts_of(show: Show) -> dict[str, object]:
    """
    The same for programs.
    """
    return {
        "ok": show.is_good,
        "backend": show.backend,
        "concurrency": CONCURRENCY,
        "seconds": round(show.seconds, 3),
        "transports": [
            {
                "transport": act.transport,
                "wire": act.wire,
                "calls": each.calls,
                "failed": len(each.failures),
                "failures": list(each.failures[:5]),
                "p50_ms": _rounded(each.milliseconds(50)),
                "p99_ms": _rounded(each.milliseconds(99)),
            }
            for act, each in show.rounds
        ],
        "not_installed": list(show.missing),
        "crash": show.crash,
    }


def _crash_lines(crash: Crash) -> list[str]:
    told = [f"  the call under way: {crash.call_under_way}"] if crash.call_under_way else []
    told += [f"  {event}" for event in crash.events]
    if crash.failure:
        return [f"killed pid {crash.killed_pid}; then: {crash.failure}", *told]
    first = f"killed pid {crash.killed_pid}; back after {crash.seconds:.1f} s as pid {crash.new_pid}"
    return [first, *told, f"  the next call: answered by pid {crash.new_pid}"]


def _ms(round_: Round, percent: int) -> str:
    value = round_.milliseconds(percent)
    return "-" if value is None else f"{value:.2f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
