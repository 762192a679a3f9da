"""
The allow-list of programs, and the decision whether one may be started.

What lives here: records, and pure code between text and records. What must not: files, processes, clocks.

A list names, for each plugin, the SHA-256 of every program that it may be::

    version = 1

    [plugins.wordcount]
    sha256 = ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
    transport = "exec"                          # only when it is carried so
    endpoints = ["exec:./plugins/wordcount"]    # only when it is one of these
    size = 65536                                # at most so many bytes
"""

from __future__ import annotations

import hmac
import json
import re
import tomllib
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from remora._frozen import dataclass
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "AllowEntry",
    "AllowList",
    "Decision",
    "Outcome",
    "Policy",
    "Program",
    "decide",
    "parse_allow_list",
    "render_allow_list",
]

Policy = Literal["strict", "permissive", "audit-only"]
Outcome = Literal["allowed", "refused", "would-refuse"]

_VERSION = 1
_HASH = re.compile(r"[0-9a-f]{64}")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowEntry:
    """
    What one plugin may be.

    Attributes:
        sha256: The hashes of its programs, in hexadecimal digits; one is enough, more help while it is replaced.
        transport: The only transport that may carry it; empty for any.
        endpoints: The only endpoints that it may have; empty for any.
        size: The most bytes that the program may have; None for any.
    """

    sha256: tuple[str, ...]
    transport: str = ""
    endpoints: tuple[str, ...] = ()
    size: int | None = None


@dataclass(frozen=True, slots=True)
class AllowList:
    """
    What the plugins may be, by their configured names.
    """

    plugins: Mapping[str, AllowEntry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """
    What is known about a program that is to be started.

    Attributes:
        plugin: The configured name of the plugin.
        transport: What would carry its calls.
        endpoint: The endpoint that leads to it.
        sha256: The hash of its file.
        size: The bytes of its file.
        weaknesses: Who else could change it, one sentence each.
    """

    plugin: str
    transport: str
    endpoint: str
    sha256: str
    size: int
    weaknesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """
    Whether a program may be started.

    Attributes:
        outcome: "allowed", "refused", or "would-refuse" where the policy only looks.
        reasons: What speaks against it, one sentence each.
        is_pinned: Its hash is in the list.
    """

    outcome: Outcome
    reasons: tuple[str, ...] = ()
    is_pinned: bool = False


def decide(policy: Policy, allowed: AllowList | None, program: Program, *, problem: str = "") -> Decision:
    """
    Whether a program may be started.

    Args:
        policy: The configured policy.
        allowed: The list; None where there is none.
        program: The program.
        problem: Why there is no list although there should be; empty when nothing is wrong.
    """
    entry = allowed.plugins.get(program.plugin) if allowed else None
    reasons = list(program.weaknesses)
    if problem:
        reasons.append(problem)
    elif entry is not None:
        reasons += _against(entry, program)
    elif policy != "permissive":
        reasons.append("there is no allow-list" if allowed is None else "the allow-list does not name the plugin")
    is_pinned = entry is not None and _is_listed(entry, program.sha256)
    if not reasons:
        return Decision("allowed", (), is_pinned)
    return Decision("would-refuse" if policy == "audit-only" else "refused", tuple(reasons), is_pinned)


def _against(entry: AllowEntry, program: Program) -> list[str]:
    reasons = []
    if not _is_listed(entry, program.sha256):
        reasons.append(f"its SHA-256 is {program.sha256}, which the allow-list does not have for it")
    if entry.size is not None and program.size > entry.size:
        reasons.append(f"it has {program.size} bytes, and the allow-list says {entry.size} at most")
    if entry.transport not in ("", program.transport):
        reasons.append(f"the allow-list has it with the transport {entry.transport!r}, not {program.transport!r}")
    if entry.endpoints and program.endpoint not in entry.endpoints:
        reasons.append(f"the allow-list does not have the endpoint {program.endpoint!r} for it")
    return reasons


def _is_listed(entry: AllowEntry, sha256: str) -> bool:
    return any(hmac.compare_digest(each, sha256) for each in entry.sha256)


def parse_allow_list(text: str, *, is_json: bool = False) -> AllowList:
    """
    The list in a text.

    Args:
        text: TOML, or JSON of the same keys.
        is_json: Which of them.

    Raises:
        ConfigError: It is none; every problem is named.
    """
    try:
        data = json.loads(text, object_pairs_hook=_without_repetition) if is_json else tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError("nested too deeply") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    problems: list[str] = []
    found = _list_in(data, problems)
    if problems:
        raise ConfigError("; ".join(problems), problems=problems)
    return found


def _without_repetition(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice")
    return table


def _list_in(data: object, problems: list[str]) -> AllowList:
    if not isinstance(data, dict):
        problems.append("the list is not a table")
        return AllowList()
    problems += [f"{key}: unknown key" for key in data.keys() - {"version", "plugins"}]
    if data.get("version") != _VERSION or isinstance(data.get("version"), bool):
        problems.append(f"version: expected {_VERSION}, got {data.get('version')!r}")
    plugins = data.get("plugins", {})
    if not isinstance(plugins, dict):
        problems.append("plugins: expected a table of plugins by name")
        return AllowList()
    return AllowList({name: _entry(f"plugins.{name}", table, problems) for name, table in plugins.items()})


def _entry(where: str, table: object, problems: list[str]) -> AllowEntry:
    if not isinstance(table, dict):
        problems.append(f"{where}: expected a table")
        return AllowEntry(sha256=())
    problems += [f"{where}.{key}: unknown key" for key in table.keys() - _KEYS.keys()]
    values = {key: read(table[key]) for key, read in _KEYS.items() if key in table}
    problems += [f"{where}.{key}: expected {_EXPECTED[key]}" for key, value in values.items() if value is None]
    if not values.get("sha256", ()):
        problems.append(f"{where}.sha256: expected at least one hash")
        values["sha256"] = ()
    return AllowEntry(**values)


def _hashes(value: object) -> tuple[str, ...] | None:
    found = _texts([value] if isinstance(value, str) else value)
    lower = tuple(each.lower() for each in found or ())
    return lower if found is not None and all(_HASH.fullmatch(each) for each in lower) else None


def _texts(value: object) -> tuple[str, ...] | None:
    return tuple(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


_KEYS: dict[str, Callable[[object], Any]] = {
    "sha256": _hashes,
    "transport": _text,
    "endpoints": _texts,
    "size": _size,
}
_EXPECTED = {
    "sha256": "hashes of 64 hexadecimal digits each",
    "transport": "a text",
    "endpoints": "an array of texts",
    "size": "a whole number of at least 0",
}


def render_allow_list(allowed: AllowList, *, is_json: bool = False) -> str:
    """
    The text of a list; `parse_allow_list` reads it back.
    """
    tables = {name: _table(entry) for name, entry in sorted(allowed.plugins.items())}
    if is_json:
        return json.dumps({"version": _VERSION, "plugins": tables}, indent=2) + "\n"
    parts = [f"version = {_VERSION}\n"]
    for name, table in tables.items():
        lines = [f"{key} = {_toml(value)}" for key, value in table.items()]
        parts.append("\n".join([f"[plugins.{name if _BARE.fullmatch(name) else _toml(name)}]", *lines, ""]))
    return "\n".join(parts)


def _table(entry: AllowEntry) -> dict[str, object]:
    table: dict[str, object] = {"sha256": list(entry.sha256)}
    optional = {"transport": entry.transport, "endpoints": list(entry.endpoints), "size": entry.size}
    return table | {key: value for key, value in optional.items() if value not in ("", [], None)}


def _toml(value: object) -> str:
    # Texts, whole numbers and arrays of texts are written alike in both, but for a character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
