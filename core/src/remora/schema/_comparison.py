"""
What changed between two descriptions of a service, and which of it breaks callers.

What lives here: the comparison of methods. What must not: the comparison of types (see `_fit`), files, calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.errors import ConfigError
from remora.schema._fit import added_fields, misfits, removed_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remora.schema._fit import Schema
    from remora.types import MethodInfo, PluginInfo


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """
    One difference between two descriptions.

    Attributes:
        where: The method, and the field of its request or reply: `notes.v1.Notes/add request.title`.
        what: What changed there, and why that matters.
        is_breaking: Whether a caller that was made for the old one can fail with the new one.
    """

    where: str
    what: str
    is_breaking: bool


def compare(old: PluginInfo, new: PluginInfo) -> list[Change]:
    """
    The differences between two descriptions, sorted by where they are; those that break first.

    A request of an old caller is to fit the new service, and a reply of the new service is to fit an old caller: so a
    request may take more and a reply may give less, never the other way round. Names and versions do not count, except
    those of services and methods.
    """
    before = {f"{each.service}/{each.name}": each for each in old.methods}
    after = {f"{each.service}/{each.name}": each for each in new.methods}
    changes = [Change(name, "the method is removed", True) for name in before.keys() - after.keys()]
    changes += [Change(name, "the method is new", False) for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        changes += _compared(name, before[name], after[name])
    return sorted(changes, key=lambda change: (not change.is_breaking, change.where, change.what))


def _compared(name: str, old: MethodInfo, new: MethodInfo) -> list[Change]:
    try:
        return list(_of_method(name, old, new))
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:  # anybody wrote them
        why = "what it calls schemas are none, or are nested too deeply"
        raise ConfigError(f"{name} cannot be compared: {why}") from error


def _of_method(name: str, old: MethodInfo, new: MethodInfo) -> Iterator[Change]:
    if old.idempotent and not new.idempotent:
        yield Change(name, "it is no longer idempotent, and callers may still repeat it", True)
    if new.idempotent and not old.idempotent:
        yield Change(name, "it is idempotent now", False)
    yield from _of_part(f"{name} request", old.request, new.request, misfits(old.request, new.request))
    yield from _of_part(f"{name} reply", old.response, new.response, misfits(new.response, old.response))


def _of_part(where: str, old: Schema, new: Schema, reasons: dict[str, str]) -> Iterator[Change]:
    breaking = {**reasons, **removed_fields(old, new)}
    for path, reason in breaking.items():
        yield Change(f"{where}{path}", reason, True)
    for path in added_fields(old, new):
        if path not in breaking:
            yield Change(f"{where}{path}", "the field is new", False)
