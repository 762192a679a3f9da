"""
What commands of other distributions are made of, so that they behave like the built-in ones::

    @command("ping", help="Say hello.")
    @backend
    def ping(output: Output, backend: str) -> None:
        run(partial(say_hello, output), backend=backend)
"""

from remora.serve import require_backend
from remora_cli._host import make_manager
from remora_cli._log_lines import LOG_FIELDS
from remora_cli._logs import show_all
from remora_cli._options import backend, command, log_format
from remora_cli._output import Output
from remora_cli._run import run
from remora_cli._table import make_table, print_table, styled

__all__ = [
    "LOG_FIELDS",
    "Output",
    "backend",
    "command",
    "log_format",
    "make_manager",
    "make_table",
    "print_table",
    "require_backend",
    "run",
    "show_all",
    "styled",
]
