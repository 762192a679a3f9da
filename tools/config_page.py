"""
Write the tables of docs/configuration.md from the configuration's records and the transports' options.

    python tools/config_page.py             write them
    python tools/config_page.py --check     fail if they are not up to date
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import importlib_metadata

from pages import attributes, main, summary, table
from remora.config import (
    OBJECT,
    TOP,
    ConnectionConfig,
    Defaults,
    DiscoveryConfig,
    Effect,
    FallbackConfig,
    LimitsConfig,
    ManagerConfig,
    MetricsConfig,
    PluginConfig,
    ResolverConfig,
    SecurityConfig,
    effect_of,
)
from remora.secret import Secret
from remora.types import Endpoint
from remora.values import Limits

HEAD = ["key", "type", "default", "meaning", "a change takes effect"]
BLOCKS = {"connection", "retry", "circuit_breaker", "health_check", "rate_limit"}
EXPORTERS = ["prometheus", "otel"]
TRANSPORTS = ["http", "grpc", "unix", "exec"]
_WORDS: dict[object, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    object: "any value",
    Secret: "text, kept secret",
    Endpoint: "URL or [table](#endpoints)",
    FallbackConfig: "[table](#fallback)",
    ConnectionConfig: "[table](#connection)",
    ResolverConfig: "[table](#resolvers)",
}


def keys(record: type[Any], effect: Callable[[str], str], *, leave_out: frozenset[str] = frozenset()) -> str:
    """
    A table of the keys of a record, each with the effect of changing it.
    """
    hints = get_type_hints(record, include_extras=True)
    meanings = attributes(record)
    rows = [
        [
            f"`{each.name}`",
            kind(hints[each.name], each.name),
            default(each),
            meanings.get(each.name, ""),
            effect(each.name),
        ]
        for each in fields(record)
        if each.name not in leave_out and each.metadata != OBJECT
    ]
    return table(HEAD, rows)


def within(path: str) -> Callable[[str], str]:
    """
    The effects of changing the keys at a path in a plugin's table, by key.
    """

    def effect(name: str) -> str:
        if not path and name in BLOCKS:
            return "key by key"
        if name == "endpoints" and not path:
            return "endpoint by endpoint"
        return str(effect_of(f"{path}.{name}" if path else name))

    return effect


def at_top(name: str) -> str:
    """
    The effect of changing a key at the top of the file.
    """
    return str(TOP[name])


def always(effect: Effect) -> Callable[[str], str]:
    """
    The same effect for every key.
    """
    return lambda _: str(effect)


def blocks() -> str:
    """
    A section for each block of a plugin's table, followed by those for the tables in it.
    """
    return "\n\n".join(_block(name, name, record) for name, record in get_type_hints(Defaults).items())


def _block(path: str, name: str, record: type[Any]) -> str:
    hints = get_type_hints(record)
    inner = [(each.name, hints[each.name]) for each in fields(record) if is_dataclass(hints[each.name])]
    section = f"### {name}\n\n{summary(record)}\n\n{keys(record, within(path))}"
    return "\n\n".join(
        [section, *(_block(f"{path}.{key}", key, table) for key, table in inner if isinstance(table, type))]
    )


def transports() -> str:
    """
    A section for each transport that is part of Remora.
    """
    known = frozenset(each.name for each in fields(PluginConfig)) | {"security"}
    sections = []
    for name in TRANSPORTS:
        spec = _spec(name)
        used = [
            f"`{each.name}`" for each in fields(spec.options) if each.name in known - {"name", "connection", "security"}
        ]
        schemes = ", ".join(f"`{scheme}:`" for scheme in spec.schemes)
        also = f" Of the plugin's own keys it uses {', '.join(used)}." if used else ""
        sections.append(
            f"### {name}\n\nSchemes: {schemes}.{also}\n\n{keys(spec.options, always(Effect.RENEWED), leave_out=known)}"
        )
    return "\n\n".join(sections)


def resolvers() -> str:
    """
    A section for each resolver that is part of Remora, except the one without keys of its own.
    """
    known = frozenset(each.name for each in fields(PluginConfig))
    (found,) = importlib_metadata.entry_points(group="remora", name="resolvers")
    return "\n\n".join(
        f"### {spec.name}\n\n{keys(spec.options, always(Effect.TUNED), leave_out=known)}"
        for spec in found.load().remora_register_resolvers()
    )


def exporters() -> str:
    """
    A section for each exporter that is part of Remora.
    """
    specs = [_spec(name, "metric_exporters") for name in EXPORTERS]
    return "\n\n".join(f"### {spec.name}\n\n{keys(spec.options, always(Effect.TUNED))}" for spec in specs)


def kind(type_: Any, name: str) -> str:
    """
    A type in words.
    """
    limits = next((each for each in getattr(type_, "__metadata__", ()) if isinstance(each, Limits)), None)
    if limits is not None:
        return _number(get_args(type_)[0], limits)
    origin, parts = get_origin(type_), get_args(type_)
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in parts)
    if origin in (Union, types.UnionType):
        return kind(next(part for part in parts if part is not type(None)), name)
    if origin is tuple:
        return f"list of: {kind(parts[0], name)}"
    if origin is Mapping:
        return f"table of: {kind(parts[1], name)}"
    return f"[table](#{name})" if is_dataclass(type_) and type_ not in _WORDS else _WORDS[type_]


def _number(type_: type, limits: Limits) -> str:
    if limits.is_duration:
        return "[duration](#durations)"
    bounds = str(limits).partition(" of ")[2]
    return f"{_WORDS[type_]}, {bounds}"


def default(field: Field[Any]) -> str:
    """
    The default of a key, as text.
    """
    if field.default is MISSING and field.default_factory is MISSING:
        return "must be given"
    value = field.default if field.default is not MISSING else None
    if value in (None, "", (), Secret()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f'`"{each}"`' for each in value)
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _spec(name: str, what: str = "transports") -> Any:
    (found,) = importlib_metadata.entry_points(group="remora", name=name)
    (spec,) = getattr(found.load(), f"remora_register_{what}")()
    return spec


if __name__ == "__main__":
    main(
        "docs/configuration.md",
        {
            "top": keys(ManagerConfig, at_top, leave_out=frozenset({"plugins", "defaults"})),
            "plugin": keys(PluginConfig, within(""), leave_out=frozenset({"name"})),
            "endpoints": keys(Endpoint, within("endpoints")),
            "fallback": keys(FallbackConfig, within("fallback")),
            "blocks": blocks(),
            "metrics": keys(MetricsConfig, always(Effect.TUNED)),
            "exporters": exporters(),
            "resolvers": resolvers(),
            "discovery": keys(DiscoveryConfig, always(Effect.TUNED)),
            "security": keys(SecurityConfig, always(Effect.RENEWED)),
            "limits": keys(LimitsConfig, always(Effect.RENEWED)),
            "transports": transports(),
        },
    )
