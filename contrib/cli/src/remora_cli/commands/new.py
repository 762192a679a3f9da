"""
`remora new`: the first files of a plugin, a host or an extension, with tests that pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remora_cli._extension_kinds import KINDS
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
    type=click.Choice(list(KINDS)),
    metavar="KIND",
    default="interceptor",
    show_default=True,
    help=f"What an extension adds: {', '.join(KINDS)}.",
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
        chosen = KINDS[kind]
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
