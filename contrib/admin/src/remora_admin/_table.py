"""
The status of a host as lines for a terminal: what needs attention, and a table of plugins with their instances.

What lives here: words and colours. What must not: where they are shown (see `_top` and the command `top`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remora.wire import printable
from remora_cli.toolkit import make_table, styled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from rich.table import Table
    from rich.text import Text

    Part = Mapping[str, Any]

COLUMNS = ("plugin", "health", "up", "breaker", "in flight", "calls/s", "ok", "p50", "p95", "calls", "last error")
NUMBERS = COLUMNS[4:10]

_COLOURS = {
    "healthy": "green",
    "degraded": "yellow",
    "draining": "yellow",
    "starting": "yellow",
    "waiting": "yellow",
    "half-open": "yellow",
    "fair": "yellow",
    "unhealthy": "red",
    "offline": "red",
    "failed": "red",
    "open": "red",
    "bad": "red",
}


@dataclass(frozen=True, slots=True)
class Row:
    """
    One line of the table.

    Attributes:
        plugin: The plugin that it is about.
        instance: The instance; empty for a plugin as a whole.
        cells: What stands in it.
    """

    plugin: str
    instance: str
    cells: tuple[Text, ...]


def headline(status: Part) -> Text:
    """
    The host in one line.
    """
    line = styled("", "").append_text(
        styled(f"● {status['status']}", f"bold {_COLOURS.get(status['status'], '')}".strip())
    )
    share = "" if status["success_rate"] is None else f", {status['success_rate']:.1%} succeeded"
    line.append(f"   {len(status['plugins'])} plugins, {status['requests']} calls{share}")
    return line


def problem_lines(status: Part) -> list[Text]:
    """
    What needs attention, a line each.
    """
    return [_problem_line(each) for each in status["problems"]]


def _problem_line(problem: Part) -> Text:
    colour = _COLOURS[problem["severity"]]
    line = styled("", "").append_text(styled("● ", colour))
    line.append_text(styled(problem["plugin"], "bold"))
    line.append_text(styled(f" {printable(problem['what'])}", colour))
    if problem["instance"]:
        line.append_text(styled(f"  {problem['instance']}", "dim"))
    if problem["last_error"] is not None:
        line.append_text(styled(f"  {_error(problem['last_error'])}", "italic"))
    return line


def rows(status: Part, opened: Collection[str]) -> Iterator[Row]:
    """
    Plugins, those that need attention first, with the instances of some of them below.

    Args:
        status: What `/status` says.
        opened: The plugins whose instances are shown.
    """
    bad = {each["plugin"] for each in status["problems"] if each["severity"] == "bad"}
    ill = {each["plugin"] for each in status["problems"]}
    for plugin in sorted(status["plugins"], key=lambda each: (each["name"] not in bad, each["name"] not in ill)):
        yield Row(plugin["name"], "", _plugin_cells(plugin))
        if plugin["name"] in opened:
            for instance in plugin["instances"]:
                yield Row(plugin["name"], instance["name"], _instance_cells(instance))


def table_of(status: Part) -> Table:
    """
    All of it, to be printed once.
    """
    table = make_table(*COLUMNS, numbers=NUMBERS)
    table.title = f"{status['status']}, {status['requests']} calls"
    for row in rows(status, {each["name"] for each in status["plugins"]}):
        table.add_row(*row.cells)
    return table


def _plugin_cells(plugin: Part) -> tuple[Text, ...]:
    instances = plugin["instances"]
    able = sum(each["state"] == "ready" and each["breaker"] != "open" for each in instances)
    colour = "" if able == len(instances) or plugin["dormant"] else "yellow" if able else "red"
    word = "draining" if plugin["draining"] else "dormant" if plugin["dormant"] else plugin["status"]
    return (
        styled(plugin["name"], "bold"),
        _word(word),
        styled(f"{able}/{len(instances)}", colour),
        styled("", ""),
        *_figures(plugin),
    )


def _instance_cells(instance: Part) -> tuple[Text, ...]:
    word = instance["status"] if instance["state"] == "ready" else instance["state"]
    name = styled(f"  {instance['name']}", "")
    return (name, _word(word), styled("", ""), _word(instance["breaker"]), *_figures(instance))


def _figures(part: Part) -> Iterator[Text]:
    """
    What there is to say about plugins and instances alike.
    """
    recent, latency = part["recent"], part["latency"]
    yield styled(str(part["in_flight"]), "")
    yield styled("" if recent is None else f"{recent['rate']:.1f}", "")
    yield _share(part["success_rate"] if recent is None else recent["success_rate"])
    yield styled(_duration(latency["p50"]), "")
    yield styled(_duration(latency["p95"]), "")
    yield styled(str(part["requests"]), "")
    yield styled("" if part["last_error"] is None else _error(part["last_error"]), "")


def _share(share: float | None) -> Text:
    if share is None:
        return styled("", "")
    return styled(f"{share:.1%}", "" if share > 0.95 else "yellow" if share > 0.75 else "red")


def _error(error: Part) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(error['time']))} {error['code']}: {printable(error['message'])}"


def _word(word: str) -> Text:
    return styled(word, _COLOURS.get(word, ""))


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
