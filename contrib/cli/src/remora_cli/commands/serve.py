"""
`remora serve`: objects of a module as a plugin, until a signal or the host ends it.
"""

from __future__ import annotations

import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

import anyio
import click

from remora import config
from remora.errors import ConfigError
from remora.serve import (
    ServeOptions,
    leave_threads_behind,
    require_backend,
    serve_until_stopped,
    stopping_signals,
)
from remora_cli._logs import leave_logs_to_the_host, show_from
from remora_cli._options import backend as backend_option
from remora_cli._options import command as remora_command
from remora_cli._options import log_format as log_format_option
from remora_cli._targets import load_target, parse_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora.serve import Served
    from remora_cli._output import Output

_HELP = """
Serve Python objects as a plugin.

OBJECT is a class, an instance, or a function that makes one; a class or a
function is called without arguments. Modules are looked up in the working
directory first. All ADDRESSes are served at the same time; port 0 takes a
free port.

\b
  remora serve text:TextProcessor --listen http://127.0.0.1:8000
  remora serve text:TextProcessor --listen unix:///run/text.sock
  remora serve text:TextProcessor --listen http://127.0.0.1:8000 \\
      --auth bearer:token_file=/run/token

SIGTERM and SIGINT end it after the calls under way, a second one at once.
"""


def _limit(name: str, default: int, words: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """
    An option for a whole number, at least 1.
    """
    return click.option(name, metavar="N", type=click.IntRange(min=1), default=default, show_default=True, help=words)


@remora_command("serve", help=_HELP)
@click.argument("targets", metavar="MODULE:OBJECT...", nargs=-1, required=True, callback=parse_targets)
@click.option(
    "--listen",
    metavar="ADDRESS",
    multiple=True,
    envvar="REMORA_LISTEN",
    show_envvar=True,
    help="Where to serve, such as http://127.0.0.1:8000, unix:run/x.sock or stdio:; repeatable.",
)
@backend_option
@_limit(
    "--max-concurrent-calls",
    ServeOptions().max_concurrent_calls,
    "The most calls that are answered at the same time.",
)
@_limit(
    "--max-threads",
    ServeOptions().max_threads,
    "The most methods without `async` that run at the same time, each in a thread.",
)
@click.option(
    "--drain-timeout",
    metavar="S",
    type=click.FloatRange(min=0),
    default=ServeOptions().drain_timeout,
    show_default=True,
    help="Seconds that calls under way get to end when it is asked to stop.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="From which level on lines are logged to standard error; refused calls are at info.",
)
@log_format_option
@click.option(
    "--auth",
    metavar="FILE|SPEC",
    help="Who may call: a file with a table [auth], or METHOD:KEY=VALUE,... such as bearer:token_file=/run/token.",
)
@click.option(
    "--interceptors",
    metavar="FILE",
    type=click.Path(),
    help="A file with tables [interceptors.NAME]: which are switched off, and the options of others.",
)
def command(
    output: Output,
    targets: Sequence[tuple[str, str]],
    listen: Sequence[str],
    backend: str,
    max_concurrent_calls: int,
    max_threads: int,
    drain_timeout: float,
    log_level: str,
    log_format: str,
    auth: str | None,
    interceptors: str | None,
) -> None:
    """
    Serve until stopped.
    """
    if not listen:
        raise ConfigError("nowhere to listen: pass --listen ADDRESS, or let a host set REMORA_LISTEN")
    require_backend(backend)
    show_from(log_level, log_format)
    if _is_wire(listen):
        leave_logs_to_the_host()
    access = None if auth is None else config.read_access(auth)  # loaded only here: most plugins ask nobody who calls
    services = [load_target(*target) for target in targets]
    loaded = None if interceptors is None else config.trace_config(interceptors)
    options = ServeOptions(
        max_concurrent_calls=max_concurrent_calls,
        max_threads=max_threads,
        drain_timeout=drain_timeout,
        auth=access,
        interceptors={} if loaded is None else loaded.config.interceptors,
    )
    announce = partial(_announce, output, _is_wire(listen))
    main = partial(serve_until_stopped, *services, listen=listen, options=options, announce=announce)
    try:
        anyio.run(main, backend=backend)
    except ConfigError as error:
        if loaded is not None and error.problems[0].startswith("interceptors."):
            loaded.locate(error)
        raise
    _ignore_signals()
    leave_threads_behind(0)


def _ignore_signals() -> None:
    """
    Let no signal make a failure of what has ended well, while the interpreter ends.
    """
    for each in stopping_signals():
        signal.signal(each, signal.SIG_IGN)


def _is_wire(listen: Sequence[str]) -> bool:
    return any(address.partition(":")[0].lower() == "stdio" for address in listen)


def _announce(output: Output, stdout_is_wire: bool, served: Served) -> None:
    names = [info.name for info in served.dispatcher.services]
    for endpoint in served.endpoints:
        if stdout_is_wire:  # and standard error is the host's log, unless a person is trying it out
            if sys.stderr.isatty():
                output.note(f"remora: serving {', '.join(names)} at {endpoint.url}")
            continue
        with output.announcing():
            if output.as_json:
                output.document({"serving": names, "url": endpoint.url})
            else:
                output.line(f"serving {', '.join(names)} at {endpoint.url}")
