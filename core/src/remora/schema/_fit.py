"""
Whether everything that one JSON Schema allows is allowed by another, and where it is not.

Theory of operation: a schema is read as a set of values. `misfits(sent, read)` walks both side by side and names the
places where `sent` has a value that `read` has not. It errs on the safe side: of keywords that it does not know it only
sees whether they are the same. A pair of schemas that is being compared already is taken to fit, which ends recursion.

What lives here: dictionaries in, dictionaries out. What must not: methods, callers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
Reasons = dict[str, str]

_NOTES = {"$schema", "$defs", "description", "default", "title", "examples", "deprecated"}
"""Keywords that say nothing about which values there are."""

_KNOWN = {"type", "enum", "anyOf", "$ref", "properties", "required", "additionalProperties", "items", "prefixItems"}
_KNOWN |= {"minItems", "maxItems", "uniqueItems"}


def misfits(sent: Schema, read: Schema) -> Reasons:
    """
    The places where something that is sent cannot be read, each with the reason.
    """
    return _Comparison(sent, read).reasons(sent, read, "")


def removed_fields(old: Schema, new: Schema) -> Reasons:
    """
    The fields that are no longer there.
    """
    gone = dict.fromkeys(_fields(old) - _fields(new), "the field is removed")
    return {path: reason for path, reason in gone.items() if path.rpartition(".")[0] not in gone}


def added_fields(old: Schema, new: Schema) -> list[str]:
    """
    The fields that were not there before.
    """
    return sorted(_fields(new) - _fields(old))


class _Comparison:
    def __init__(self, sent: Schema, read: Schema) -> None:
        self._sent = sent
        self._read = read
        self._under_way: set[tuple[str, str]] = set()

    def reasons(self, sent: Schema, read: Schema, path: str) -> Reasons:
        """
        Why not all of `sent` fits `read`; empty when it does.
        """
        members, options = _members(sent, self._sent), _members(read, self._read)
        return {} if {} in options else self._each(members, options, path)

    def _each(self, members: list[Schema], options: list[Schema], path: str) -> Reasons:
        """
        All alternatives of what is sent are to fit.
        """
        found: Reasons = {}
        for member in members:
            for where, reason in self._one_of(member, options, path).items():
                found[where] = f"{found[where]}, {reason}" if reason not in found.get(where, reason) else reason
        return found

    def _one_of(self, sent: Schema, options: list[Schema], path: str) -> Reasons:
        """
        It is enough that one alternative of what is read takes it; else the nearest one says why not.
        """
        tried = [self._pair(sent, option, path) for option in options]
        if not all(tried):
            return {}
        alike = [each for each, option in zip(tried, options, strict=True) if _kind(option) == _kind(sent)]
        if len(tried) > 1 and ("enum" in sent or len(alike) != 1):
            return {path: f"{_named(sent)} is not among {', '.join(dict.fromkeys(map(_named, options)))}"}
        return (alike or tried)[0]

    def _pair(self, sent: Schema, read: Schema, path: str) -> Reasons:
        """
        The comparison of two schemas, unless it is under way already.
        """
        pair = repr(sent), repr(read)
        if pair in self._under_way:
            return {}
        self._under_way.add(pair)
        try:
            return self._single(sent, read, path)
        finally:
            self._under_way.discard(pair)

    def _single(self, sent: Schema, read: Schema, path: str) -> Reasons:
        if "enum" in read or "enum" in sent:
            return _enumerated(sent, read, path)
        if _kind(read) and not _is_kind(_kind(sent), _kind(read)):
            return {path: f"{_named(sent)} does not fit {_named(read)}"}
        return {**_foreign(sent, read, path), **self._object(sent, read, path), **self._array(sent, read, path)}

    def _object(self, sent: Schema, read: Schema, path: str) -> Reasons:
        if _kind(sent) != "object" or _kind(read) != "object":
            return {}
        found: Reasons = {}
        theirs, ours = sent.get("properties", {}), read.get("properties", {})
        for name in read.get("required", ()):
            if name not in sent.get("required", ()):
                found[f"{path}.{name}"] = "the field is required, and may be missing"
        for name, schema in theirs.items():
            other = ours.get(name, read.get("additionalProperties", {}))
            found |= self.reasons(schema, _as_schema(other), f"{path}.{name}")
        return found | self._additional(sent, read, path)

    def _additional(self, sent: Schema, read: Schema, path: str) -> Reasons:
        """
        Keys that no field has: those of a mapping.
        """
        rest = _as_schema(sent.get("additionalProperties", {}))
        is_record = "properties" in sent and "additionalProperties" not in sent
        if "not" in rest or (is_record and read.get("additionalProperties") is not False):
            return {}
        found = self.reasons(rest, _as_schema(read.get("additionalProperties", {})), f"{path}.*")
        for name, schema in read.get("properties", {}).items():
            if name not in sent.get("properties", {}):
                found |= self.reasons(rest, schema, f"{path}.{name}")
        return found

    def _array(self, sent: Schema, read: Schema, path: str) -> Reasons:
        if _kind(sent) != "array" or _kind(read) != "array":
            return {}
        found: Reasons = {}
        if read.get("minItems", 0) > sent.get("minItems", 0) or read.get("maxItems", _MANY) < sent.get(
            "maxItems", _MANY
        ):
            found[path] = f"{_length(sent)} items do not fit {_length(read)}"
        if read.get("uniqueItems") and not sent.get("uniqueItems"):
            found[path] = "items may be there twice, which a set has not"
        for number in range(max(len(sent.get("prefixItems", ())), len(read.get("prefixItems", ())))):
            found |= self.reasons(_item(sent, number), _item(read, number), f"{path}[{number}]")
        if sent.get("maxItems", _MANY) > len(sent.get("prefixItems", ())):
            found |= self.reasons(_as_schema(sent.get("items", {})), _as_schema(read.get("items", {})), f"{path}[]")
        return found


_MANY = float("inf")


def _facts(schema: Schema) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in _NOTES}


def _members(schema: Schema, root: Schema, above: tuple[object, ...] = ()) -> list[Schema]:
    """
    The alternatives that a schema is made of, without references and without what says nothing about values.
    """
    reference = schema.get("$ref")
    if reference in above:
        return []
    facts = _facts(_resolved(schema, root))
    if "anyOf" in facts:
        inner = (*above, reference) if reference else above
        return [member for each in facts["anyOf"] for member in _members(each, root, inner)]
    if "enum" in facts:
        return [{"enum": [value]} for value in facts["enum"]]
    if isinstance(facts.get("type"), list):
        return [{**facts, "type": each} for each in facts["type"]]
    return [facts]


def _resolved(schema: Schema, root: Schema) -> Schema:
    """
    The schema that a reference leads to; keywords beside the reference are kept.
    """
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    found = root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}


def _as_schema(schema: Any) -> Schema:
    return {"not": {}} if schema is False else {} if schema is True else schema


def _kind(schema: Schema) -> str:
    kind = schema.get("type", "")
    return kind if isinstance(kind, str) else ""


def _is_kind(sent: str, read: str) -> bool:
    return sent == read or (sent, read) == ("integer", "number")


_KINDS: dict[str, Any] = {"string": str, "boolean": bool, "null": type(None), "array": list, "object": dict}


def _enumerated(sent: Schema, read: Schema, path: str) -> Reasons:
    """
    Fixed values on one side or both.
    """
    if "enum" not in sent:
        return {path: f"any {_named(sent)} is not only {_named(read)}"}
    (value,) = sent["enum"]
    if "enum" in read:
        is_there = any(value == each and type(value) is type(each) for each in read["enum"])
        return {} if is_there else {path: f"{_named(sent)} is not among {_named(read)}"}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    kinds = (int, float) if _kind(read) == "number" else (int,) if _kind(read) == "integer" else None
    fits = is_number and isinstance(value, kinds) if kinds else isinstance(value, _KINDS.get(_kind(read), object))
    plain = not _facts(read).keys() - {"type", "format"}
    return {} if fits and plain else {path: f"{_named(sent)} does not fit {_named(read)}"}


def _foreign(sent: Schema, read: Schema, path: str) -> Reasons:
    """
    Keywords that are not understood here are to be the same, or gone.
    """
    changed = [key for key, value in _facts(read).items() if key not in _KNOWN and sent.get(key) != value]
    changed += [key for key in ("contentEncoding",) if key in sent and key not in read and _kind(read)]
    return {path: f"{_named(sent)} does not fit {_named(read)}: {', '.join(sorted(set(changed)))}"} if changed else {}


def _item(schema: Schema, number: int) -> Schema:
    first = schema.get("prefixItems", ())
    return first[number] if number < len(first) else _as_schema(schema.get("items", {}))


def _length(schema: Schema) -> str:
    least, most = schema.get("minItems", 0), schema.get("maxItems", _MANY)
    return str(least) if least == most else f"{least} or more" if most == _MANY else f"{least} to {most}"


def _named(schema: Schema) -> str:
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    name = schema.get("format") or schema.get("contentEncoding") or schema.get("type") or "anything"
    return "nothing" if "not" in schema else str(name)


def _fields(root: Schema) -> set[str]:
    """
    The paths of all fields, each record once.
    """
    return set(_walk(root, root, "", ()))


def _walk(schema: Schema, root: Schema, path: str, above: tuple[str, ...]) -> Iterator[str]:
    reference = str(schema.get("$ref", ""))
    if reference and reference in above:
        return
    schema = _resolved(schema, root)
    above = (*above, reference) if reference else above
    for member in schema.get("anyOf", ()):
        yield from _walk(member, root, path, above)
    if isinstance(schema.get("items"), Mapping):
        yield from _walk(schema["items"], root, f"{path}[]", above)
    for number, item in enumerate(schema.get("prefixItems", ())):
        yield from _walk(item, root, f"{path}[{number}]", above)
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from _walk(schema["additionalProperties"], root, f"{path}.*", above)
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _walk(field, root, f"{path}.{name}", above)
