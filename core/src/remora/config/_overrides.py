"""
Values of a configuration from the environment: `REMORA__PLUGINS__PAY__ENDPOINT=https://...`.

A variable's name is the path of a key in capitals, with two underscores between the words; `-` and `.` of a name are
written as one underscore. A value is text where text is wanted, and else what it would be after `=` in TOML.

What lives here: from variables to keys and values. What must not: references to variables inside of files.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_origin

from remora._structure import bare, is_record, is_union, literal_values, record_fields
from remora.config._open import OPEN, own_keys
from remora.config._places import PREFIX, Place, is_below, join_path
from remora.config._problems import meant
from remora.config._records import ManagerConfig
from remora.secret import Secret
from remora.types import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from remora.config._places import Places

_ALIKE = re.compile(r"(?i)REMORA_+(?=(\w+))")
"""How the names of variables begin that may have been meant to set keys."""

_TEXT = (str, Secret, Endpoint)


class Unknown(Exception):
    """
    A variable's name, or the way to it, leads nowhere.
    """


def override(tables: Any, variables: Mapping[str, str], places: Places, problems: list[str]) -> Any:
    """
    The tables with what the environment sets.

    Args:
        tables: What the files say; they stay as they are.
        variables: The environment.
        places: Gets the variables, as the places of what they set.
        problems: Gets a line for every variable that sets nothing.
    """
    found = {name: text for name, text in sorted(variables.items()) if name.startswith(PREFIX)}
    if not found or not isinstance(tables, dict):
        return tables
    for name, text in found.items():
        changed = deepcopy(tables)
        try:
            path = _put(changed, name.removeprefix(PREFIX).split("__"), text)
        except Unknown as error:
            problems.append(f"{name}: {error}")
        else:
            tables = changed
            _take_place(places, path, Place(name))
    return tables


def misspelt(variables: Mapping[str, str], tables: object) -> Iterator[str]:
    """
    The variables that look as if they were to set keys, such as `REMORA_PLUGINS_PAY_ENDPOINT`, and set none.

    Kubernetes sets variables such as `REMORA_METRICS_PORT` for a service that is called `remora-metrics`.

    Args:
        variables: The environment.
        tables: What the files say; the variables to which they refer are left out.
    """
    keys = tuple(f"{each.name}_" for each in fields(ManagerConfig))
    services = tuple(name.removesuffix("SERVICE_HOST") for name in variables if name.endswith("_SERVICE_HOST"))
    for name in sorted(variables):
        match = None if name.startswith((PREFIX, *services)) else _ALIKE.match(name)
        if match and f"{match[1]}_".lower().startswith(keys) and not _refers(tables, name):
            yield name


def _refers(tables: object, name: str) -> bool:
    text = str(tables)
    return f"${{{name}}}" in text or f"${{{name}:" in text


def _take_place(places: Places, path: str, place: Place) -> None:
    for known in [known for known in places if is_below(known, path)]:
        del places[known]
    places[path] = place


def _put(tables: dict[str, Any], words: list[str], text: str) -> str:
    """
    Put a value where the words lead to; returns the path.
    """
    holder: Any = tables
    type_: Any = ManagerConfig
    path = ""
    for index, word in enumerate(words):
        key, type_ = _step(holder, type_, word, path)
        path = join_path(path, key)
        if index == len(words) - 1:
            holder[key] = _value(text, type_)
            return path
        holder = _inside(holder, key, type_, path)
    raise AssertionError("there is at least one word")


def _inside(holder: Any, key: str | int, type_: Any, path: str) -> Any:
    """
    The table or list under a key, where there may be one.
    """
    if isinstance(holder, dict) and key not in holder:
        holder[key] = {}
    inner = holder[key]
    if isinstance(inner, str) and type_ is Endpoint:
        inner = holder[key] = {"url": inner}
    if isinstance(inner, dict | list):
        return inner
    raise Unknown(f"{path} is not a table")


def _step(holder: Any, type_: Any, word: str, path: str) -> tuple[str | int, Any]:
    """
    The key that a word means in a table, and the type of what stands there.
    """
    if isinstance(holder, list):
        return _index(holder, type_, word, path)
    if type_ in OPEN and word.lower() not in own_keys(type_):
        return _match(holder, word, path) or word.lower(), object
    if is_record(type_):
        return _field(type_, word, path)
    if get_origin(type_) is Mapping:
        return _entry(holder, get_args(type_)[1], word, path)
    if type_ is object:
        return _match(holder, word, path) or word, object
    raise Unknown(f"{path} is not a table")


def _index(holder: list[Any], type_: Any, word: str, path: str) -> tuple[int, Any]:
    if not word.isdecimal() or int(word) >= len(holder):
        raise Unknown(f"{path} has no item {word!r}; it has {len(holder)}, counted from 0")
    return int(word), next(iter(get_args(type_)), object)


def _field(type_: Any, word: str, path: str) -> tuple[str, Any]:
    kinds = {field.name: _plain(field.type) for field in record_fields(type_)}
    if path.startswith("plugins."):
        kinds.pop("name", None)
    key = word.lower()
    if key not in kinds:
        where = f"in {path}" if path else "at the top"
        raise Unknown(f"there is no key {key!r} {where}{meant(key, kinds)}")
    return key, kinds[key]


def _entry(holder: dict[Any, Any], type_: Any, word: str, path: str) -> tuple[str, Any]:
    """
    A key of a table whose keys are free; plugins must be there already, so that a misspelt one makes no new one.
    """
    key = _match(holder, word, path)
    if key is None and path == "plugins":
        raise Unknown(f"no plugin is configured as {word.lower()!r}{meant(word.lower(), map(_folded, holder))}")
    return key or (word.lower() if is_record(type_) else word), _plain(type_)


def _match(holder: dict[Any, Any], word: str, path: str) -> str | None:
    keys = [key for key in holder if _folded(key) == word.lower()]
    exact = [key for key in keys if key == word]
    if len(keys) > 1 and not exact:
        raise Unknown(f"{' and '.join(join_path(path, key) for key in keys)} are both meant")
    return next(iter(exact or keys), None)


def _folded(key: object) -> str:
    return re.sub(r"[-.]", "_", str(key)).lower()


def _plain(type_: Any) -> Any:
    """
    A type without what does not matter for text: the limits, and that there may be no value.
    """
    type_ = bare(type_)
    members = [each for each in get_args(type_) if each is not type(None)] if is_union(type_) else []
    return _plain(members[0]) if len(members) == 1 else type_


def _value(text: str, type_: Any) -> object:
    if type_ in _TEXT or _is_words(literal_values(type_)):
        return text
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return document["value"] if len(document) == 1 else text


def _is_words(values: Iterable[object]) -> bool:
    words = list(values)
    return bool(words) and all(isinstance(each, str) for each in words)
