"""
From the `auth` table of a served plugin to the callers that it knows.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

from remora.config import TLS, AccessConfig
from remora.errors import ConfigError
from remora_auth._callers import Callers, digest, read_callers
from remora_auth._token import read_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora.secret import Secret
    from remora_auth._callers import Known

_COMMON = frozenset({"method", "allow", "open_health", "open_describe"})
_PLAIN = AccessConfig()


def callers_of(access: AccessConfig, *also: str, **holders: str) -> Callers:
    """
    The callers that a table names.

    Args:
        access: The table.
        also: Other keys that the method uses.
        holders: Keys that hold one credential or name its file, each with the name of the caller it belongs to.

    Raises:
        ConfigError: The table has a key that the method does not use, names nobody, or a file cannot be used.
    """
    check_unused(access, "callers", "callers_file", *also, *holders)
    given: dict[str, Secret] = dict(access.callers)
    files: dict[str, Callable[[str], Known]] = {access.callers_file: read_callers} if access.callers_file else {}
    for key, name in holders.items():
        value: Secret | str = getattr(access, key)
        if isinstance(value, str):
            files |= {value: partial(_one, name=name)} if value else {}
        elif value:
            given[name] = value
    if "" in given:
        raise ConfigError("username: missing")
    return Callers(given, files)


def check_unused(access: AccessConfig, *used: str) -> None:
    """
    Refuse a table with keys that mean nothing to its method.

    Raises:
        ConfigError: There is one.
    """
    for each in fields(AccessConfig):
        is_known = each.name in _COMMON or each.name in used or each.metadata == TLS
        if not is_known and getattr(access, each.name) != getattr(_PLAIN, each.name):
            raise ConfigError(f"{each.name}: the auth method {access.method!r} does not use it")


def _one(text: str, *, name: str) -> Known:
    return [(name, digest(read_token(text).secret.reveal()))]
