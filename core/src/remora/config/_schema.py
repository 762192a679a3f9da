"""
JSON Schema (2020-12) of configuration files, made from the records, for editors that complete and check them.

A schema says less than `remora check`: what a fragment leaves out may stand in another file. What it refuses is wrong.

What lives here: types to schemas. What must not: values, files.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from remora._structure import bare, is_union, literal_values
from remora.config._converter import WEIGHT
from remora.config._open import OPEN
from remora.config._records import (
    OBJECT,
    ExporterConfig,
    FallbackConfig,
    InterceptorConfig,
    ManagerConfig,
    PluginConfig,
)
from remora.secret import Secret
from remora.types import Endpoint
from remora.values import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora.specs import ExporterSpec, InterceptorSpec, ResolverSpec, TransportSpec

    Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = r"\$\{"
_DURATION = rf"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$|{_VARIABLE}"
_ADDRESS = rf"^$|^[A-Za-z][A-Za-z0-9+.-]*:|{_VARIABLE}"
_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
_SCALARS: dict[object, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Secret: {"type": "string"},
    object: {},
}
_NARROWER: dict[tuple[type, str], Schema] = {
    (PluginConfig, "endpoint"): {"pattern": _ADDRESS},
    (Endpoint, "url"): {"pattern": _ADDRESS},
    (Endpoint, "weight"): {"minimum": WEIGHT.minimum, "maximum": WEIGHT.maximum},
}
_LEFT_OUT = {(PluginConfig, "name")}
_ATTRIBUTE = re.compile(r"(?m)^    (\w+): ((?:.|\n        )+)")


def config_schema(
    transports: Iterable[TransportSpec[Any]] = (),
    exporters: Iterable[ExporterSpec[Any]] = (),
    resolvers: Iterable[ResolverSpec[Any]] = (),
    interceptors: Iterable[InterceptorSpec] = (),
) -> Schema:
    """
    The schema of a configuration file, in whichever format.

    Args:
        transports: Transports whose options are to be checked as well.
        exporters: Exporters whose tables are to be checked as well.
        resolvers: Resolvers whose tables are to be checked as well.
        interceptors: Interceptors whose tables are to be checked as well.
    """
    writer = _Writer()
    root = writer.record(ManagerConfig)
    root["properties"] = {"$schema": {"type": "string"}, **root["properties"]}
    plugins = root["properties"]["plugins"]
    plugins["propertyNames"] = {"pattern": _NAME}
    root["properties"]["exporters"] = {
        **root["properties"]["exporters"],
        "properties": {spec.name: writer.exporter(spec) for spec in exporters if is_dataclass(spec.options)},
        "additionalProperties": writer.any_open(ExporterConfig),
    }
    tables = {spec.name: writer.interceptor(spec) for spec in interceptors if _is_told(spec)}
    for record in (root, writer.definitions["PluginConfig"]):
        record["properties"]["interceptors"]["properties"] = tables
    if told := [writer.resolver(spec) for spec in resolvers if is_dataclass(spec.options)]:
        writer.definitions["ResolverConfig"]["allOf"] = told
    choices = [writer.choice(spec) for spec in transports if is_dataclass(spec.options)]
    if choices:
        writer.definitions["PluginConfig"]["allOf"] = choices
    return {"$schema": _DIALECT, "title": "Remora", **root, "$defs": writer.definitions}


class _Writer:
    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def record(self, record: type[Any], *, leave_out: frozenset[str] = frozenset()) -> Schema:
        """
        The schema of a record's table.
        """
        hints = get_type_hints(record, include_extras=True)
        meanings = _meanings(record)
        known = [each for each in fields(record) if _is_key(record, each) and each.name not in leave_out]
        required = [each.name for each in known if each.default is MISSING and each.default_factory is MISSING]
        return {
            "type": "object",
            "description": _summary(record),
            "properties": {
                each.name: {
                    **self.type(hints[each.name]),
                    **_NARROWER.get((record, each.name), {}),
                    **_default(each),
                    **({"description": meanings[each.name]} if each.name in meanings else {}),
                }
                for each in known
            },
            **({"required": required} if required else {}),
            **({"minProperties": 1, "maxProperties": 1} if record is FallbackConfig else {}),
            "additionalProperties": False,
        }

    def type(self, hint: Any) -> Schema:
        """
        The schema of a value.
        """
        limits = next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Limits)), None)
        if limits is not None:
            return _number(get_args(hint)[0], limits)
        hint = bare(hint)
        if values := literal_values(hint):
            return {"anyOf": [{"enum": list(values)}, {"type": "string", "pattern": _VARIABLE}]}
        if is_union(hint):
            return {"anyOf": [self.type(each) for each in get_args(hint)]}
        if hint is NoneType:
            return {"type": "null"}
        if hint is Endpoint:
            return {"anyOf": [{"type": "string", "pattern": _ADDRESS}, self._reference(hint)]}
        return dict(_SCALARS[hint]) if hint in _SCALARS else self._compound(hint)

    def _compound(self, hint: Any) -> Schema:
        if is_dataclass(hint):
            return self._reference(hint)
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is tuple:
            return {"type": "array", "items": self.type(arguments[0])}
        if origin is Mapping:
            return {"type": "object", "additionalProperties": self.type(arguments[1])}
        return {}

    def _reference(self, record: Any) -> Schema:
        name = record.__name__
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self.any_open(record) if record in OPEN else self.record(record)
        return {"$ref": f"#/$defs/{name}"}

    def exporter(self, spec: ExporterSpec[Any]) -> Schema:
        """
        The table of an exporter whose options are known.
        """
        own, common = self.record(spec.options), self.any_open(ExporterConfig)
        return {**own, "properties": {**common["properties"], **own["properties"]}}

    def any_open(self, record: Any) -> Schema:
        """
        An open table of which no more is known than its own keys.
        """
        return {**self.record(record, leave_out=frozenset({"options"})), "additionalProperties": True}

    def interceptor(self, spec: InterceptorSpec) -> Schema:
        """
        The table of an interceptor whose options are known.
        """
        common = {**self.any_open(InterceptorConfig), "additionalProperties": False}
        own = common if spec.options is None else self.record(spec.options)
        return {**own, "properties": {**common["properties"], **own["properties"]}}

    def resolver(self, spec: ResolverSpec[Any]) -> Schema:
        """
        The condition under which a `resolver` table is that of one whose keys are known.
        """
        own = self.record(spec.options, leave_out=frozenset(each.name for each in fields(PluginConfig)))
        chosen = {"properties": {"method": {"const": spec.name}}, "required": ["method"]}
        return {"if": chosen, "then": {**own, "properties": {"method": {"const": spec.name}, **own["properties"]}}}

    def choice(self, spec: TransportSpec[Any]) -> Schema:
        """
        The condition under which the options of a plugin are those of a transport.
        """
        known = frozenset(each.name for each in fields(PluginConfig)) | {"security"}
        name = f"options of {spec.name}"
        self.definitions[name] = self.record(spec.options, leave_out=known)
        scheme = "|".join(map(re.escape, spec.schemes))
        chosen = {"properties": {"transport": {"const": spec.name}}, "required": ["transport"]}
        by_scheme = {
            "properties": {"endpoint": {"pattern": f"^({scheme}):"}},
            "required": ["endpoint"],
            "not": {"required": ["transport"]},
        }
        reference = {"$ref": f"#/$defs/{name}"}
        return {"if": {"anyOf": [chosen, by_scheme]}, "then": {"properties": {"options": reference}}}


def _is_told(spec: InterceptorSpec) -> bool:
    return spec.options is None or is_dataclass(spec.options)


def _is_key(record: type[Any], field: Field[Any]) -> bool:
    return field.init and field.metadata != OBJECT and (record, field.name) not in _LEFT_OUT


def _number(type_: Any, limits: Limits) -> Schema:
    least = {"exclusiveMinimum" if limits.is_exclusive else "minimum": limits.minimum}
    most = {} if limits.maximum is None else {"maximum": limits.maximum}
    number = {**_SCALARS[type_], **least, **most}
    return {"anyOf": [number, {"type": "string", "pattern": _DURATION}]} if limits.is_duration else number


def _default(field: Field[Any]) -> Schema:
    value = field.default
    if value is True or value is False or (isinstance(value, str | int | float) and value != ""):
        return {"default": value}
    return {}


def _summary(record: type[Any]) -> str:
    return " ".join((inspect.getdoc(record) or "").split("\n\n")[0].split())


def _meanings(record: type[Any]) -> dict[str, str]:
    """
    What a docstring says about each key.
    """
    _, _, listed = (inspect.getdoc(record) or "").partition("Attributes:\n")
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(listed)}
