"""
A configuration as plain values that may be shown to anybody.

What lives here: records to tables without secrets. What must not: how they are written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from remora._hidden import HIDDEN, names_secret, without_credentials
from remora.config._open import OPEN, own_values
from remora.config._records import OBJECT, ManagerConfig, PluginConfig
from remora.secret import Secret

_SECRET = r"(?=[\w-]*(?:key|passw|secret|token|credential))[\w-]*+"
_ARGUMENT = re.compile(rf"(?is)^({_SECRET}=).+")
_USER = re.compile(r"^[^\s/@:]+:[^\s/]*@")
"""The user of an address that has no scheme."""
_FLAG = re.compile(rf"(?i)(?=-){_SECRET}")


def effective_values(config: ManagerConfig) -> dict[str, Any]:
    """
    Every key with the value that holds, as a file would set it; `***` stands for secrets.

    Values are hidden where their type says so, where a key of one's own sounds like it, in headers, and in URLs.
    """
    values: dict[str, Any] = _plain(config)
    return values


def _plain(value: object) -> Any:
    if isinstance(value, Secret):
        return HIDDEN if value else ""
    if isinstance(value, OPEN):
        return {**own_values(value), **_plain(value.options)}
    if is_dataclass(value):
        left_out = {"name"} if isinstance(value, PluginConfig) else set()
        keys = [each.name for each in fields(value) if each.metadata != OBJECT and each.name not in left_out]
        return {key: _plain(getattr(value, key)) for key in keys if getattr(value, key) is not None}
    if isinstance(value, Mapping):
        return {key: _entry(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_item(each, before) for each, before in zip(value, (None, *value), strict=False)]
    return without_credentials(value) if isinstance(value, str) else value


def _item(value: object, before: object) -> Any:
    """
    A value of a list, which may be that of the flag before it.
    """
    if not isinstance(value, str):
        return _plain(value)
    is_secret = isinstance(before, str) and _FLAG.fullmatch(before) and not value.startswith("-")
    return HIDDEN if is_secret else without_credentials(_ARGUMENT.sub(rf"\1{HIDDEN}", value))


def _entry(key: str, value: object) -> Any:
    """
    A value under a key that is not one of Remora's own; a record knows which of its own values are secret.
    """
    if is_dataclass(value):
        return _plain(value)
    if key.lower() == "headers":  # what they are called tells nothing
        return dict.fromkeys(value, HIDDEN) if isinstance(value, Mapping) else HIDDEN
    if names_secret(key) and value is not None and not isinstance(value, bool | Mapping):
        return [HIDDEN] * len(value) if isinstance(value, list | tuple) else HIDDEN
    return _plain(_USER.sub(f"{HIDDEN}@", value) if isinstance(value, str) else value)
