"""
`remora demo`: a host and its plugins, for real, in one command.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from remora_cli._errors import FAILED
from remora_cli._options import backend as backend_option
from remora_cli._options import command as remora_command
from remora_cli._progress import shown_progress
from remora_cli._run import run
from remora_cli._table import print_table
from remora_cli.demo._report import facts_of, lines_of, table_of
from remora_cli.demo._show import run_show

if TYPE_CHECKING:
    from remora_cli._output import Output

_HELP = """
Watch plugins work over every transport, and recover from a crash.

Starts one plugin four times, each in a process of its own: over HTTP, over
gRPC, over a Unix socket and as a child process. Calls each, checks every
answer, kills one process during a call and waits until it is back. Nothing is
left behind.
"""


@remora_command("demo", help=_HELP)
@click.option(
    "--calls",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    help="How many calls to make over each transport.",
)
@backend_option
def command(output: Output, calls: int, backend: str) -> None:
    """
    Run and report.
    """
    with shown_progress() as progress:
        show = run(partial(run_show, backend=backend, calls=calls, progress=progress), backend=backend)
    if output.as_json:
        output.document(facts_of(show))
    else:
        print_table(table_of(show))
        for line in lines_of(show):
            output.line(line)
    if not show.is_good:
        click.get_current_context().exit(FAILED)
