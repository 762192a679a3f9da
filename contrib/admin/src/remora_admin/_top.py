"""
The status of a running host in a terminal, drawn anew every second.

What lives here: widgets and keys. What must not: what is said about the host (see `_table`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
from rich.text import Text
from textual.app import App
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Footer, Input, Static

from remora.errors import Unavailable
from remora.wire import printable
from remora_admin._table import COLUMNS, NUMBERS, headline, problem_lines, rows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from textual.app import ComposeResult
    from textual.binding import BindingType


_NAME = 60


class Table(DataTable[Text]):
    """
    A table whose rows can be opened.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "Instances")]


class Top(App[None]):
    """
    What needs attention, and below it a line for each plugin, which Enter opens to its instances.

    Args:
        ask: Gives what `/status` says; while it raises Unavailable, what is known stays on the screen.
        interval: Seconds between two looks.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #headline { padding: 0 1; }
    #notice { padding: 0 1; display: none; background: $warning; color: $text; }
    #problems { height: auto; max-height: 40%; padding: 0 1; border: round $error; border-title-color: $text; }
    #problems.fine { border: round $success; }
    #filter { display: none; }
    DataTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("a", "open_all", "All instances"),
        Binding("slash", "filter", "Filter"),
        Binding("escape", "leave_filter", "Back", show=False),
    ]

    def __init__(self, ask: Callable[[], Awaitable[Mapping[str, Any]]], interval: float = 1.0) -> None:
        super().__init__()
        self._ask = ask
        self._interval = interval
        self._status: Mapping[str, Any] | None = None
        self._opened: set[str] = set()
        self._headline, self._notice_line = Static(id="headline"), Static(id="notice")
        self._problems, self._problem_lines = VerticalScroll(id="problems", can_focus=False), Static(id="problem-lines")
        self._filter = Input(id="filter", placeholder="show plugins and instances that contain")
        self._table = Table(cursor_type="row", zebra_stripes=True)

    def compose(self) -> ComposeResult:
        """
        Put the parts of the screen in their order.
        """
        yield self._headline
        yield self._notice_line
        with self._problems:
            yield self._problem_lines
        yield self._filter
        yield self._table
        yield Footer()

    def on_mount(self) -> None:
        """
        Begin to look.
        """
        for name in COLUMNS:
            self._table.add_column(Text(name, justify=_side(name)), key=name)
        self._table.focus()
        self.run_worker(self._keep_looking())

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """
        Enter, or a click: show or hide the instances of a plugin.
        """
        self._opened ^= {str(event.row_key.value).partition("\0")[0]}
        self._draw()

    def on_input_changed(self, _: Input.Changed) -> None:
        """
        The filter is another one.
        """
        self._draw()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """
        The filter is as it shall be.
        """
        self._table.focus()

    def action_open_all(self) -> None:
        """
        Show the instances of all plugins, or of none.
        """
        known = {each["name"] for each in self._status["plugins"]} if self._status is not None else set()
        self._opened = set() if self._opened >= known else known
        self._draw()

    def action_filter(self) -> None:
        """
        Let a filter be typed.
        """
        self._filter.display = True
        self._filter.focus()

    def action_leave_filter(self) -> None:
        """
        Show everything again.
        """
        self._filter.value = ""
        self._filter.display = False
        self._table.focus()

    async def _keep_looking(self) -> None:
        while True:
            try:
                self._status = await self._ask()
                self._notice("")
            except Unavailable as error:
                self._notice(error.message)
            self._draw()
            await anyio.sleep(self._interval)

    def _notice(self, text: str) -> None:
        since = ""
        if text and self._status is not None:
            since = f". What follows is of {time.strftime('%H:%M:%S', time.localtime(self._status['time']))}"
        self._notice_line.display = bool(text)
        self._notice_line.update(Text(printable(f"{text}{since}")))

    def _draw(self) -> None:
        if self._status is None:
            return
        self._headline.update(headline(self._status))
        self._draw_problems(problem_lines(self._status))
        self._draw_table(self._status)

    def _draw_problems(self, lines: list[Text]) -> None:
        self._problems.set_class(not lines, "fine")
        self._problems.border_title = f"needs attention: {len(lines)}" if lines else "all is well"
        self._problem_lines.update(Text("\n").join(lines))

    def _draw_table(self, status: Mapping[str, Any]) -> None:
        """
        Fill the table anew; the cursor stays with what it was on, and the rest where it was scrolled to.
        """
        table, word = self._table, self._filter.value.lower()
        cursor, line, top = self._under_cursor(), table.cursor_row, table.scroll_offset
        table.clear()
        for row in rows(status, self._opened):
            if word in f"{row.plugin} {row.instance}".lower():
                cells = [_aligned(cell, name) for cell, name in zip(row.cells, COLUMNS, strict=True)]
                table.add_row(*cells, key=f"{row.plugin}\0{row.instance}")
        place = table.get_row_index(cursor) if cursor in table.rows else line
        table.move_cursor(row=place, scroll=False)
        table.scroll_to(top.x, top.y, animate=False)

    def _under_cursor(self) -> Any:
        table = self._table
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key if table.row_count else None


def _side(column: str) -> Any:
    return "right" if column in NUMBERS else "left"


def _aligned(cell: Text, column: str) -> Text:
    if column == COLUMNS[0] and len(cell) > _NAME:  # names often differ at their ends
        cell = Text.assemble(cell[: _NAME // 3], "…", cell[1 - _NAME + _NAME // 3 :])
    cell.justify = _side(column)
    return cell
