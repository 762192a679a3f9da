"""
Tables for the eye: in colour only on a terminal and never with NO_COLOR.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from remora_cli._output import escaped, print_result

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.style import StyleType

__all__ = ["make_table", "print_table"]

_PIPED_WIDTH = 120


def make_table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """
    An empty table.

    Args:
        *columns: The headings.
        numbers: Those of them under which numbers stand.
    """
    table = _Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


class _Table(Table):
    """
    Cells are texts of others: no markup, and nothing that a terminal would obey.
    """

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """
        Add a row of texts, some of which may have a style.
        """
        plain = [Text(escaped(cell)) if isinstance(cell, str) else cell for cell in cells]
        super().add_row(*plain, style=style, end_section=end_section)


def print_table(*parts: Table | Text) -> None:
    """
    Print a table on standard output, with lines of `styled` text before or after it.
    """
    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    lines = (line.rstrip() for line in captured.get().splitlines())
    print_result("\n".join(line for line in lines if line))


def styled(text: str, style: str) -> Text:
    """
    A cell in a colour.
    """
    return Text(escaped(text), style=style)
