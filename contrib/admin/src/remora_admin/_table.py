"""
The status of a host as a table for a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remora_cli.toolkit import make_table, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

_COLOURS = {
    "healthy": "green",
    "degraded": "yellow",
    "starting": "yellow",
    "waiting": "yellow",
    "half-open": "yellow",
    "unhealthy": "red",
    "offline": "red",
    "failed": "red",
    "open": "red",
}
_NUMBERS = ("in flight", "calls", "calls/s", "ok", "p50", "p95", "p99")


def table_of(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> Table:
    """
    Plugins with their instances below them.

    Args:
        now: What `/status` says.
        before: What it said before, for rates; None where there was no before.
    """
    table = make_table("plugin", "health", "breaker", *_NUMBERS, "last error", numbers=_NUMBERS)
    table.title = f"{now['status']}, {now['requests']} calls"
    former = {} if before is None else {each["name"]: each for each in before["plugins"]}
    seconds = 0.0 if before is None else now["time"] - before["time"]
    for plugin in now["plugins"]:
        rate = _rate(plugin, former.get(plugin["name"]), seconds)
        table.add_row(styled(plugin["name"], "bold"), *_cells(plugin, "", rate))
        for instance in plugin["instances"]:
            table.add_row(f"  {instance['name']}", *_cells(instance, instance["breaker"], ""))
    return table


def _cells(part: Mapping[str, Any], breaker: str, rate: str) -> list[Any]:
    latency = part["latency"]
    error = part["last_error"]
    return [
        _word(part["status"]),
        _word(breaker),
        str(part["in_flight"]),
        str(part["requests"]),
        rate,
        "" if part["success_rate"] is None else f"{part['success_rate']:.1%}",
        *(_duration(latency[name]) for name in ("p50", "p95", "p99")),
        "" if error is None else f"{error['code']}: {error['message']}",
    ]


def _rate(plugin: Mapping[str, Any], before: Mapping[str, Any] | None, seconds: float) -> str:
    if before is None or seconds <= 0:
        return ""
    return f"{(plugin['requests'] - before['requests']) / seconds:.1f}"


def _word(word: str) -> Any:
    return styled(word, _COLOURS.get(word, ""))


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
