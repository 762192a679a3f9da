"""
From the `auth` table of a served plugin to the callers that it knows.
"""

from __future__ import annotations

import logging
from dataclasses import fields
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from remora.config import TLS, AccessConfig
from remora.errors import ConfigError
from remora_auth._callers import Callers, digest, read_callers
from remora_auth._token import read_token

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from remora.secret import Secret
    from remora_auth._callers import Known

_log = logging.getLogger(__name__.replace("_", ".", 1))

_MOST_NAMES = 20
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
        ConfigError: The table has a key that the method does not use, names nobody, allows something to somebody who
            has no credential, or a file cannot be used.
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
    callers = Callers(given, files)
    _check_allowed(access, callers.names())
    return callers


def _check_allowed(access: AccessConfig, names: Collection[str]) -> None:
    """
    Refuse a table that allows something to a name that nobody can have, or warn when a file may bring that name yet.
    """
    problems = [_nobody(name, names) for name in access.allow if name not in names]
    if problems and not access.callers_file:
        raise ConfigError("; ".join(problems))
    for problem in problems:
        _log.warning("auth: %s; it counts once %s has that name", problem, access.callers_file)


def _nobody(name: str, names: Collection[str]) -> str:
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(map(repr, sorted(names)[:_MOST_NAMES]))}"
    return f"allow: no caller has the name {name!r} ({hint})"


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
