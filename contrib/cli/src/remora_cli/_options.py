"""
Options that every built-in command has, and types of arguments that more than one takes.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from remora_cli._logs import show_plugins
from remora_cli._output import Output

if TYPE_CHECKING:
    from collections.abc import Callable


def command(name: str, **settings: Any) -> Callable[[Callable[..., None]], click.Command]:
    """
    A decorator: a command with `--json` and `--debug`, whose function gets the `Output` first.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def invoke(*args: Any, **kwargs: Any) -> None:
            function(click.get_current_context().ensure_object(Output), *args, **kwargs)

        make: Callable[[Callable[..., None]], click.Command] = click.command(name, **settings)
        made = make(invoke)
        made.params += COMMON
        return made

    return decorate


def _set(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def set_(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            setattr(context.ensure_object(Output), name, True)
            if name == "is_debug":
                show_plugins()

    return set_


def _flag(name: str, attribute: str, help_: str) -> click.Option:
    callback = _set(attribute)
    return click.Option([name], is_flag=True, is_eager=True, expose_value=False, callback=callback, help=help_)


COMMON = [
    _flag("--json", "as_json", "Print JSON instead of text."),
    _flag("--debug", "is_debug", "Show tracebacks, and what plugins log."),
]
"""The options of every built-in command."""


def backend(function: Callable[..., None]) -> Callable[..., None]:
    """
    Give a command the option `--backend`, which names the event loop: "asyncio" or "trio", as its argument `backend`.
    """
    return _BACKEND(function)


def log_format(function: Callable[..., None]) -> Callable[..., None]:
    """
    Give a command that lasts the option `--log-format`: "text" or "json", as its argument `log_format`.
    """
    return _LOG_FORMAT(function)


_LOG_FORMAT = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How log lines are written to standard error: for people, or an object of JSON each.",
)

_BACKEND = click.option(
    "--backend",
    type=click.Choice(["asyncio", "trio"]),
    envvar="REMORA_BACKEND",
    show_envvar=True,
    default="asyncio",
    show_default=True,
    help="The event loop to run on.",
)
