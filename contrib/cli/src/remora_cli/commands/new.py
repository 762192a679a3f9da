"""
`remora new`: the first files of a plugin, a host or an extension, with tests that pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remora_cli._options import command as remora_command
from remora_cli._scaffold import names, write

if TYPE_CHECKING:
    from remora_cli._output import Output

_HELP = """
Begin a plugin, a host or an extension.

Writes a small project into the folder NAME: its pyproject.toml, sources,
tests that pass at once, and a README that says what to do next. Nothing that
is there already is touched.

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
_EXTENSIONS = {
    "auth": ("auth_methods", 'Use it with `auth = { method = "$", token = "..." }` in a plugin\'s table.'),
    "balancer": ("balancers", 'Use it with `balancer = "$"` in a plugin\'s table.'),
    "interceptor": ("interceptors", "It wraps every call of every plugin."),
    "transport": ("transports", "Use it with an endpoint such as `$://127.0.0.1:7000`."),
}


@remora_command("new", help=_HELP, short_help="Begin a plugin, a host or an extension.")
@click.argument("what", type=click.Choice(["plugin", "host", "extension"]))
@click.argument("name")
@click.option(
    "--transport", type=click.Choice(list(_ENDPOINTS)), default="http", show_default=True, help="Of a plugin."
)
@click.option(
    "--kind", type=click.Choice(list(_EXTENSIONS)), default="interceptor", show_default=True, help="Of an extension."
)
@click.option("--into", type=click.Path(path_type=Path), help="The folder; by default NAME.")
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
        hook, usage = _EXTENSIONS[kind]
        values |= {"kind": kind, "hook": f"remora_register_{hook}", "usage": usage.replace("$", name)}
        templates += [f"extension-{kind}"]
    folder = into or Path(name)
    written = write(folder, templates, values)
    if output.as_json:
        output.document({"folder": str(folder), "files": [str(path.relative_to(folder)) for path in written]})
        return
    for path in written:
        output.line(f"wrote {path}")
    output.line(f"next: cd {folder} && python -m pytest")
