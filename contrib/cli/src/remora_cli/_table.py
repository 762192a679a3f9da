"""
Tables for the eye: in colour only on a terminal and never with NO_COLOR.
"""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["make_table", "print_table"]

_PIPED_WIDTH = 120


def make_table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """
    An empty table.

    Args:
        *columns: The headings.
        numbers: Those of them under which numbers stand.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def print_table(table: Table) -> None:
    """
    Print a table on standard output.
    """
    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    with console.capture() as captured:
        console.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    print("\n".join(line for line in lines if line), flush=True)


def styled(text: str, style: str) -> Text:
    """
    A cell in a colour; the text itself is never taken for markup.
    """
    return Text(text, style=style)
