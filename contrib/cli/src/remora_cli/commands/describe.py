"""
`remora describe`: what can be called in a plugin, with the schemas of its records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remora_cli._descriptions import described, described_plugin
from remora_cli._options import backend as backend_option
from remora_cli._options import command as remora_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remora.types import MethodInfo, PluginInfo
    from remora_cli._output import Output

_HELP = """
List the methods of a plugin, with their types.

TARGET is MODULE:OBJECT (nothing is started), or a host's configuration,
followed by the name of a PLUGIN in it (which is started and asked), or a file
with what this command printed with --json.

\b
  remora describe notes:Notes
  remora describe remora.toml notes --json > notes.json
"""


@remora_command("describe", help=_HELP)
@click.argument("target")
@click.argument("plugin", required=False)
@backend_option
def command(output: Output, target: str, plugin: str | None, backend: str) -> None:
    """
    Describe it.
    """
    info = described(target) if plugin is None else described_plugin(target, plugin, backend=backend)
    if output.as_json:
        output.document(info, indent=2)
        return
    for line in _lines(info):
        output.line(line)


def _lines(info: PluginInfo) -> Iterator[str]:
    yield " ".join([info.name, info.version]).strip()
    if info.description:
        yield f"  {info.description}"
    for service in dict.fromkeys(method.service for method in info.methods):
        yield from ["", service]
        for method in info.methods:
            if method.service == service:
                yield from _method(method)


def _method(method: MethodInfo) -> Iterator[str]:
    mark = "  (idempotent)" if method.idempotent else ""
    yield f"  {method.name}({_shape(method.request)}) -> {_shape(method.response) or 'null'}{mark}"
    if method.description:
        yield f"      {method.description}"


def _shape(schema: Mapping[str, Any]) -> str:
    """
    A type in a few words; a record as its fields, an optional one with a question mark.
    """
    return _named(schema, schema, is_open=True)


def _named(schema: Mapping[str, Any], root: Mapping[str, Any], *, is_open: bool = False) -> str:
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    found = root.get("$defs", {}).get(name, schema) if name else schema
    if "properties" in found and (is_open or not name):
        required = found.get("required", ())
        fields = found["properties"].items()
        shown = [f"{key}{'' if key in required else '?'}: {_named(each, root)}" for key, each in fields]
        return ", ".join(shown) if is_open and schema is root else f"{{{', '.join(shown)}}}"
    return name or _plain(schema, root)


def _plain(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " | ".join(_named(each, root) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(repr(each) for each in schema["enum"])
    if schema.get("type") == "array":
        items = [_named(each, root) for each in schema.get("prefixItems", ())] or [
            _named(schema.get("items", {}), root)
        ]
        return f"[{', '.join(items)}]"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"{{string: {_named(schema['additionalProperties'], root)}}}"
    return str(schema.get("format") or schema.get("contentEncoding") or schema.get("type") or "any")
