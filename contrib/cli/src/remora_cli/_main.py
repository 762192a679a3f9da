"""
One run of the command line: from words to an exit code, whatever happens in between.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from remora_cli._early import INTERRUPTED
from remora_cli._errors import explain
from remora_cli._group import cli
from remora_cli._logs import configure_logs
from remora_cli._output import Output, replace_closed_streams

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(args: Sequence[str] | None) -> int:
    """
    The exit code of a command line.
    """
    replace_closed_streams()
    output = Output()
    configure_logs()
    try:
        code = cli.main(
            args, prog_name="remora", complete_var="_REMORA_COMPLETE", standalone_mode=False, obj=output
        )  # an int where a command asked for that exit code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # of a command, which may be a stranger's
        output.as_json |= "--json" in (sys.argv[1:] if args is None else args)  # also where parsing stopped before it
        return output.failed(explain(error), error)
    return code if isinstance(code, int) else 0
