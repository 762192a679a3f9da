"""
Unions: which member a value belongs to.

Records are told apart by the values of their Literal fields, then by their required fields, then by how well the
names fit. All else is tried from the most particular member to the most general. The order in which the members are
written means nothing, because Python takes `A | B` and `B | A` for the same type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, get_args, get_origin
from uuid import UUID

from cattrs import ClassValidationError, IterableValidationError
from cattrs.errors import AttributeValidationNote

from remora._frozen import dataclass
from remora._structure._collections import late_hook
from remora._structure._fields import bare, is_record, is_union, literal_values, record_fields
from remora._structure._mismatch import Mismatch, alternatives
from remora._structure._scalars import Hook, choices

if TYPE_CHECKING:
    from cattrs import Converter

_ORDER: tuple[object, ...] = (type(None), bool, int, float, UUID, date, datetime, time, str)
"""After literals and enumerations; what is not in it comes last. A datetime always has a time, a date never."""


def add_unions(converter: Converter) -> None:
    """
    Teach a converter the unions.
    """
    converter.register_structure_hook_factory(is_union, partial(_union_hook, converter))


@dataclass(frozen=True, slots=True)
class _Member:
    type: Any
    hook: Hook

    def __call__(self, value: object) -> object:
        return self.hook(value, self.type)


@dataclass(frozen=True, slots=True)
class _Record(_Member):
    name: str
    names: frozenset[str]
    required: frozenset[str]
    tags: Mapping[str, tuple[object, ...]]

    def denies(self, value: Mapping[str, object]) -> bool:
        """
        Whether a tag in the value belongs to another record.
        """
        return any(name in value and value[name] not in known for name, known in self.tags.items())

    def claims(self, value: Mapping[str, object]) -> bool:
        """
        Whether the value has all tags of this record.
        """
        return bool(self.tags) and all(name in value for name in self.tags) and not self.denies(value)

    def distance(self, value: Mapping[str, object]) -> tuple[int, int, str]:
        """
        How badly the names fit: required ones that are missing, then all that only one side has.
        """
        return len(self.required - value.keys()), len(self.names ^ value.keys()), self.name


def _union_hook(converter: Converter, type_: Any) -> Hook:
    members = [member for member in get_args(type_) if member is not type(None)]
    if len(members) == 1:
        return _optional_hook(converter, members[0])
    records = [_record(converter, member) for member in get_args(type_) if is_record(bare(member))]
    others = [_Member(member, late_hook(converter, member)) for member in _by_order(get_args(type_))]
    expected = alternatives(_name(member) for member in get_args(type_))

    def structure_union(value: Any, _: object) -> object:
        of_record = bool(records) and isinstance(value, Mapping)
        fitting = _fitting(records, value) if of_record else []
        try:
            return _first_that_takes(value, [*fitting, *others], expected)
        except Mismatch:
            if of_record:
                _refuse_tag(records, value, type_)
            raise

    return structure_union


def _optional_hook(converter: Converter, member: Any) -> Hook:
    hook = late_hook(converter, member)
    return lambda value, _: None if value is None else hook(value, member)


def _by_order(members: Sequence[Any]) -> list[Any]:
    return sorted((member for member in members if not is_record(bare(member))), key=_position)


def _position(member: object) -> tuple[int, str]:
    type_ = bare(member)
    if literal_values(type_) or (isinstance(type_, type) and issubclass(type_, Enum)):
        return -1, ""
    if type_ in (object, Any):
        return len(_ORDER) + 1, ""
    return (_ORDER.index(type_) if type_ in _ORDER else len(_ORDER)), str(type_)


def _record(converter: Converter, member: Any) -> _Record:
    fields = record_fields(bare(member))
    tags = {field.name: literal_values(bare(field.type)) for field in fields if literal_values(bare(field.type))}
    return _Record(
        member,
        late_hook(converter, member),
        name=_name(member),
        names=frozenset(field.name for field in fields),
        required=frozenset(field.name for field in fields if field.required),
        tags={name: tuple(converter.unstructure(value) for value in values) for name, values in tags.items()},
    )


def _name(type_: Any) -> str:
    if type_ is type(None):
        return "null"
    if values := literal_values(type_):
        return choices(values)
    return str(getattr(get_origin(type_) or type_, "__name__", type_))


def _fitting(records: Sequence[_Record], value: Mapping[str, object]) -> list[_Record]:
    possible = sorted((each for each in records if not each.denies(value)), key=lambda each: each.distance(value))
    complete = [each for each in possible if not each.required - value.keys()]
    # One that lacks a field is asked for the sake of its error, which says which field.
    return complete or [each for each in possible if each.claims(value)] or (possible if len(possible) == 1 else [])


def _refuse_tag(records: Sequence[_Record], value: Mapping[str, object], type_: Any) -> None:
    """
    Say which tags there are, when all records have a field for them and the value has none of theirs.
    """
    for name in set[str].intersection(*(set(each.tags) for each in records)):
        known = tuple(tag for each in records for tag in each.tags[name])
        if name not in value or value[name] not in known:
            exc = Mismatch(choices(known), value[name]) if name in value else KeyError(name)
            exc.add_note(AttributeValidationNote(f"in {type_}", name, type_))
            raise ClassValidationError(f"in {type_}", [exc], type_)  # pyright: ignore[reportCallIssue]


def _first_that_takes(value: object, members: Sequence[Callable[[object], object]], expected: str) -> object:
    inside: list[Exception] = []
    for member in members:
        try:
            return member(value)
        except (ClassValidationError, IterableValidationError) as exc:
            inside.append(exc)
        except RecursionError:
            raise
        except Exception:  # from the constructor of somebody's record, too
            continue
    # The member whose shape fits best knows most about what is wrong.
    raise inside[0] if inside else Mismatch(expected, value)
