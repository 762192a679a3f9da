"""
The shortest way for simple records, where msgspec is installed: from the text of JSON to a record and back at once.

msgspec reads what it takes as strictly as the converter does, and gives up at the rest. When it writes it asks nothing,
so every value is looked at first: only what has exactly the class that its field names goes this way, and of floats
only those that Python writes without an exponent, since msgspec writes that otherwise. All else goes the long way.
The values that have been looked at are handed over in a Struct, which msgspec writes sooner than a dataclass.

Of keys that a record does not have, only one thing is not looked at that the converter would refuse: how large a number
is.

What lives here: which types go this way, and their functions. What must not: rules about values, messages.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from types import MemberDescriptorType, NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

from remora._structure._fields import is_union, record_fields
from remora._structure._quick import Refused, quick_reader

if TYPE_CHECKING:
    from remora._structure._written import Function

_LISTS = {list: "list", tuple: "tuple"}
_FLOAT = "type({0}) is float and (1e-4 <= {0} and {0} < 1e16 or {0} == 0.0 or -1e16 < {0} and {0} <= -1e-4)"
_CONDITIONS: dict[object, str] = {
    str: "type({0}) is str",
    int: "type({0}) is int",
    bool: "{0} is True or {0} is False",
    float: f"{_FLOAT} or type({{0}}) is int",
    None: "{0} is None",
    NoneType: "{0} is None",
}


def make_direct_reader(type_: Any) -> Function:
    """
    The function from a text of JSON, or from its bytes in ASCII, to a value of a type; it raises what it likes for what
    it does not take.

    Raises:
        Exception: The type is not simple, or msgspec is not installed.
    """
    if quick_reader(type_) is None:
        raise Refused
    _check(type_)
    from msgspec.json import Decoder

    return Decoder(type_).decode


def make_direct_writer(cls: Any) -> Function:
    """
    The function from a record or a text, of exactly that class, to the bytes of JSON, likewise.

    Raises:
        Exception: The class is no simple record, or msgspec is not installed.
    """
    from msgspec import defstruct
    from msgspec.json import Encoder

    if cls is str:
        return Encoder().encode
    if quick_reader(cls) is None:
        raise Refused
    sources, scope = _fields_source(cls)
    names = [field.name for field in record_fields(cls)]
    if any(name.startswith("__") for name in names):  # a Struct has such names of its own
        raise Refused
    scope |= {"write": Encoder().encode, "hold": defstruct(cls.__name__, names, gc=False)}
    values = ", ".join(f"v{number}" for number in range(len(names)))
    return _compiled(cls, [*_lines(sources), f"return write(hold({values}))"], scope)


class _Check(NamedTuple):
    """
    How a value is looked at before it is written.

    Attributes:
        condition: Source that is true for what may be written; `{0}` stands for the value.
        function: What looks at it, where a condition does not suffice; it raises Refused.
        container: The name of the class that holds many of them; empty for a single one.
    """

    condition: str = ""
    function: Function | None = None
    container: str = ""

    def source(self, name: str, value: str, function: str) -> _Source:
        """
        The source that looks at what `value` gives, and keeps it by its name.

        Args:
            name: The variable.
            value: An expression, evaluated once.
            function: The name that the function has there.
        """
        given = f"({name} := {value})"
        if self.container:
            look = f"{function}(each)" if self.function else f"if not ({self.condition.format('each')}): raise refused"
            return _Source(f"type{given} is {self.container}", [f"for each in {name}:", f" {look}"])
        if self.function:
            return _Source("", [f"{function}{given}"])
        return _Source(f"({self.condition.replace('{0}', given, 1).format(name)})", [])

    def alone(self) -> Function:
        """
        The same as a function.
        """
        if self.function and not self.container:
            return self.function
        scope = {"look": self.function} if self.function else {}
        return _compiled("a value", _lines([self.source("v", "value", "look")]), scope)


class _Source(NamedTuple):
    """
    Source that looks at one value.

    Attributes:
        condition: What must be true; empty for nothing.
        steps: What is to be done then.
    """

    condition: str
    steps: list[str]


def _lines(sources: Sequence[_Source]) -> list[str]:
    """
    All conditions at once, which is the quickest, then the steps.
    """
    condition = " and ".join(source.condition for source in sources if source.condition) or "True"
    return [f"if not ({condition}): raise refused", *(step for source in sources for step in source.steps)]


def _check(type_: Any) -> _Check:
    """
    How a value of a type is looked at.

    Raises:
        Refused: msgspec would make something else of it.
    """
    if (condition := _CONDITIONS.get(type_)) is not None:
        return _Check(condition)
    if type_ in (object, Any):
        return _Check(function=_look_at_anything)
    if is_union(type_):
        return _optional(*(_check(each) for each in get_args(type_) if each is not NoneType))
    cls, arguments = get_origin(type_) or type_, get_args(type_)
    if cls in _LISTS:
        return _many(_check(arguments[0] if arguments else object), _LISTS[cls])
    if cls in (dict, Mapping) and arguments[:1] in ((), (str,)):
        return _Check(function=partial(_look_at_entries, _check(arguments[1] if arguments else object).alone()))
    sources, scope = _fields_source(type_)
    of_class = _Source("type(value) is cls", [])
    return _Check(function=_compiled(type_, _lines([of_class, *sources]), {**scope, "cls": type_}))


def _optional(check: _Check) -> _Check:
    if check.condition and not check.container:
        return _Check(f"{{0}} is None or ({check.condition})")
    return _Check(function=partial(_look_unless_none, check.alone()))


def _many(check: _Check, container: str) -> _Check:
    if check.container or check.function:
        return _Check(function=check.alone(), container=container)
    return _Check(check.condition, container=container)


def _look_unless_none(look: Function, value: Any) -> None:
    if value is not None:
        look(value)


def _look_at_entries(look: Function, value: Any) -> None:
    if value.__class__ is not dict:
        raise Refused
    for key, each in value.items():
        if key.__class__ is not str:
            raise Refused
        look(each)


def _look_at_anything(value: Any) -> None:
    cls = value.__class__
    if cls is list:
        for each in value:
            _look_at_anything(each)
    elif cls is dict:
        _look_at_entries(_look_at_anything, value)
    elif cls is float:
        _look_at_float(value)
    elif not (cls is str or cls is int or cls is bool or value is None):
        raise Refused


def _fields_source(cls: Any) -> tuple[list[_Source], dict[str, Any]]:
    """
    The source that looks at the fields of a record, and what it needs.
    """
    if not _is_plain(cls):
        raise Refused
    sources, scope = list[_Source](), dict[str, Any]()
    for number, field in enumerate(record_fields(cls)):
        check = _check(field.type)
        sources.append(check.source(f"v{number}", f"value.{field.name}", f"f{number}"))
        scope[f"f{number}"] = check.function
    return sources, scope


def _is_plain(cls: type) -> bool:
    """
    Whether it is a dataclass of which msgspec makes what its constructor would.
    """
    if not dataclasses.is_dataclass(cls) or type(cls) is not type or cls.__new__ is not object.__new__:
        return False
    fields = dataclasses.fields(cls)
    parameters = list(inspect.signature(cls.__init__).parameters)[1:]
    return (
        _is_generated(cls.__init__)
        and (cls.__setattr__ is object.__setattr__ or _is_generated(cls.__setattr__))
        and cls.__getattribute__ is object.__getattribute__
        and sorted(parameters) == sorted(field.name for field in fields)
        and all(field.init and _is_stored(inspect.getattr_static(cls, field.name, None)) for field in fields)
    )


def _is_generated(function: Any) -> bool:
    """
    Whether a method has been written by `dataclass`, not by a person.
    """
    return bool(function.__code__.co_filename == "<string>")


def _is_stored(attribute: object) -> bool:
    """
    Whether an attribute of a class leaves it to the record to keep the value: a slot, or a default.
    """
    return isinstance(attribute, MemberDescriptorType) or not hasattr(attribute, "__get__")


def _compiled(of: object, lines: list[str], scope: dict[str, Any]) -> Function:
    scope = {**scope, "refused": Refused}
    exec(compile("\n ".join(["def direct(value):", *lines]), f"<{of}>", "exec"), scope)
    function: Function = scope["direct"]
    return function


_look_at_float = _Check(_FLOAT).alone()
