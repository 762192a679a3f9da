"""
`remora new`: the first files of a plugin, a host or an extension, with tests that pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remora_cli._options import command as remora_command
from remora_cli._scaffold import names, write

if TYPE_CHECKING:
    from remora_cli._output import Output

_HELP = """
Create a project for a plugin, a host or an extension.

Writes a small project into the folder NAME: its pyproject.toml, sources,
tests that pass, and a README that says what to do next. A folder that exists
must be empty.

\b
  remora new plugin my-notes --transport unix
  remora new host my-app
  remora new extension my-lottery --kind balancer
"""

_ENDPOINTS = {
    "http": "http://127.0.0.1:8000",
    "grpc": "grpc://127.0.0.1:8000",
    "unix": "unix:run/plugin.sock",
    "exec": "exec:python",
}


@dataclass(frozen=True)
class _Kind:
    """
    What an extension of one kind adds, and how that is used once it is installed.
    """

    hook: str
    article: str
    usage: str
    needs: str = "remora"


_KINDS = {
    "auth": _Kind(
        "remora_register_auth_methods",
        "a way to prove who calls",
        'Use it with `auth = { method = "$", token = "..." }` in a plugin\'s table.',
    ),
    "balancer": _Kind(
        "remora_register_balancers",
        "a way to choose among the instances of a plugin",
        'Use it with `balancer = "$"` in a plugin\'s table.',
    ),
    "codec": _Kind(
        "remora_register_codecs",
        "a format for requests and replies",
        'Use it with `codec = "$"` in a plugin\'s table; it is to be installed on both sides.',
    ),
    "command": _Kind(
        "remora_register_commands",
        "a command of the command line",
        "Use it as `remora $`.",
        needs="remora[cli]",
    ),
    "event": _Kind(
        "remora_event",
        "an observer of what happens to plugins",
        "It is told of every start, loss and change of health.",
    ),
    "exporter": _Kind(
        "remora_register_metric_exporters",
        "a way to take metrics out of the process",
        "Use it with a table `[exporters.$]` in a host's configuration.",
    ),
    "interceptor": _Kind(
        "remora_register_interceptors",
        "something that wraps calls",
        "It wraps every call of every plugin.",
    ),
    "resolver": _Kind(
        "remora_register_resolvers",
        "a way to find out where a plugin is",
        'Use it with `resolver = { method = "$" }` in a plugin\'s table, in place of `endpoint`.',
    ),
    "transport": _Kind(
        "remora_register_transports",
        "a way to carry calls",
        "Use it with an endpoint such as `$://127.0.0.1:7000`.",
    ),
}


@remora_command("new", help=_HELP)
@click.argument("what", type=click.Choice(["plugin", "host", "extension"]))
@click.argument("name")
@click.option(
    "--transport",
    type=click.Choice(list(_ENDPOINTS)),
    metavar="NAME",
    default="http",
    show_default=True,
    help=f"How a plugin is called: {', '.join(_ENDPOINTS)}.",
)
@click.option(
    "--kind",
    type=click.Choice(list(_KINDS)),
    metavar="KIND",
    default="interceptor",
    show_default=True,
    help=f"What an extension adds: {', '.join(_KINDS)}.",
)
@click.option("--into", type=click.Path(path_type=Path), metavar="FOLDER", help="The folder to write, if not NAME.")
def command(output: Output, what: str, name: str, transport: str, kind: str, into: Path | None) -> None:
    """
    Write it.
    """
    values = names(name)
    templates = [what]
    if what == "plugin":
        values |= {"transport": transport, "endpoint": _ENDPOINTS[transport]}
        templates += ["plugin-exec"] if transport == "exec" else []
    if what == "extension":
        chosen = _KINDS[kind]
        values |= {"hook": chosen.hook, "article": chosen.article, "needs": chosen.needs}
        values |= {"usage": chosen.usage.replace("$", name)}
        templates += [f"extension-{kind}"]
    folder = into or Path(name)
    written = write(folder, templates, values)
    if output.as_json:
        output.document({"folder": str(folder), "files": [str(path.relative_to(folder)) for path in written]})
        return
    for path in written:
        output.line(f"wrote {path}")
    output.line(f"next: cd {folder} && pip install --editable '.[test]' && pytest")
