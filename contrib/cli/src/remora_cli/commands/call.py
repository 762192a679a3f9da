"""
`remora call`: one call of a configured plugin, with JSON in and JSON out.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from remora_cli._host import manager_for_one_call
from remora_cli._options import backend as backend_option
from remora_cli._options import command as remora_command
from remora_cli._run import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remora_cli._output import Output

_HELP = """
Call a method of a plugin and print its reply.

CONFIG is the host's configuration, PLUGIN a name in it. JSON is the request,
or - to read it from standard input. Only that plugin is started, and if it
cannot answer, the plugin that its fallback names; what it requires is not.
If the method's only parameter is not a record, JSON is its value: "fish", not
{"title": "fish"}. With --debug, what the plugin logs is shown.

\b
  remora call remora.toml text upper '{"text": "hello"}'
  remora call remora.toml text upper - < request.json
"""


def _header(context: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    wrong = next((name for name, equals, _ in pairs if not (name and equals)), None)
    if wrong is not None:
        raise click.BadParameter(f"{wrong!r} is not of the form NAME=VALUE", context, param)
    return {name: value for name, _, value in pairs}


def _timeout(context: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value < float("inf"):
        raise click.BadParameter(f"{value:g} is not a positive number of seconds", context, param)
    return value


@remora_command("call", help=_HELP)
@click.argument("config", type=click.Path())
@click.argument("plugin")
@click.argument("words", metavar="[METHOD] JSON", nargs=-1, required=True)
@click.option("--service", metavar="NAME", help="The service, if not the configured one.")
@click.option("--timeout", metavar="S", type=float, callback=_timeout, help="Seconds that the call may take.")
@click.option(
    "--header",
    "headers",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_header,
    help="A header to send; repeatable.",
)
@backend_option
def command(
    output: Output,
    config: str,
    plugin: str,
    words: Sequence[str],
    service: str | None,
    timeout: float | None,
    headers: Mapping[str, str],
    backend: str,
) -> None:
    """
    Call and print.
    """
    if len(words) > 2:
        message = "too many arguments: expected CONFIG PLUGIN [METHOD] JSON, with the JSON in quotes"
        raise click.UsageError(message, click.get_current_context())
    method, request = words[0] if len(words) == 2 else None, _parse(words[-1])
    manager = manager_for_one_call(config, plugin)

    async def call() -> object:
        async with manager:
            handle = manager.plugin(plugin, object, object, service=service, method=method)
            return await handle.execute(request, timeout=timeout, headers=headers)

    reply = run(call, backend=backend)
    output.document(reply, indent=None if output.as_json else 2)


def _parse(text: str) -> object:
    source = "standard input" if text == "-" else "the request"
    try:
        read = sys.stdin.read() if text == "-" else text
        return json.loads(read, parse_constant=partial(_refuse, source))
    except ValueError as error:
        example = "" if text == "-" else "; it comes last, such as '{}'"
        message = f"{source} is not JSON: {error}{example}"
        raise click.UsageError(message, click.get_current_context()) from error
    except RecursionError as error:
        raise click.UsageError(f"{source} is nested too deeply", click.get_current_context()) from error


def _refuse(source: str, constant: str) -> object:
    raise ValueError(f"{constant} in {source}")
