"""
What commands of other distributions are made of, so that they behave like the built-in ones::

    @command("ping", help="Say hello.")
    @backend
    def ping(output: Output, backend: str) -> None:
        run(partial(say_hello, output), backend=backend)
"""

from remora.serve import require_backend
from remora_cli._host import make_manager
from remora_cli._logs import show_all
from remora_cli._options import backend, command
from remora_cli._output import Output
from remora_cli._run import run
from remora_cli._table import make_table, print_table, styled

__all__ = [
    "Output",
    "backend",
    "command",
    "make_manager",
    "make_table",
    "print_table",
    "require_backend",
    "run",
    "show_all",
    "styled",
]
