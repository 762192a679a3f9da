"""
The shortest way for simple records, where msgspec is installed: from the text of JSON to a record and back at once.

msgspec reads what it takes as strictly as the converter does, and gives up at the rest. When it writes it asks nothing,
so every value is looked at first: only what has exactly the class that its field names goes this way, and of floats
only those that Python writes without an exponent, since msgspec writes that otherwise. All else goes the long way.

Of keys that a record does not have, only one thing is not looked at that the converter would refuse: how large a number
is.

What lives here: which types go this way, and their functions. What must not: rules about values, messages.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from types import MemberDescriptorType, NoneType
from typing import Any, NamedTuple, get_args, get_origin

from remora._structure._fields import is_union, record_fields
from remora._structure._quick import Function, Refused, quick_reader

_HOT = 8
"""msgspec is loaded for a type that is used so often: a plugin that answers a few calls starts without it."""

_MOST = 1024
_LISTS = {list: "list", tuple: "tuple"}
_FLOAT = "type({0}) is float and (1e-4 <= {0} < 1e16 or {0} == 0.0 or -1e16 < {0} <= -1e-4)"
_CONDITIONS: dict[object, str] = {
    str: "type({0}) is str",
    int: "type({0}) is int",
    bool: "type({0}) is bool",
    float: f"{_FLOAT} or type({{0}}) is int",
    None: "{0} is None",
    NoneType: "{0} is None",
}


class DirectFunctions(dict[Any, Function | None]):
    """
    The function of each type, made when the type has been used for a while; None until then, and for all others.

    Args:
        make: Makes the function of a type, or raises anything.
        needs: The package without which there are none.
    """

    def __init__(self, make: Callable[[Any], Function], *, needs: str = "msgspec") -> None:
        super().__init__()
        self._make = make
        self._uses = Counter[object]()
        self._is_installed = find_spec(needs) is not None

    def __missing__(self, type_: Any) -> Function | None:
        self._uses[type_] += 1
        if self._is_installed and self._uses[type_] < _HOT:
            return None
        if len(self) >= _MOST:  # somebody makes classes all the time
            self.clear()
            self._uses.clear()
        self[type_] = made = self._made(type_) if self._is_installed else None
        return made

    def _made(self, type_: Any) -> Function | None:
        try:
            return self._make(type_)
        except Exception:  # annotations may be anything; the converter will say what is wrong with them
            return None


def make_direct_reader(type_: Any) -> Function:
    """
    The function from a text of JSON to a value of a type; it raises what it likes for what it does not take.

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
    The function from a record to the bytes of JSON, likewise.

    Raises:
        Exception: The class is no simple record, or msgspec is not installed.
    """
    if quick_reader(cls) is None:
        raise Refused
    lines, scope = _record_source(cls)
    from msgspec.json import Encoder

    return _compiled(cls, [*lines, "return write(value)"], {**scope, "write": Encoder().encode})


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

    def source(self, function: str) -> list[str]:
        """
        The source that looks at the value `v`, with the name that the function has there.
        """
        item = "each" if self.container else "v"
        look = f"{function}({item})" if self.function else f"if not ({self.condition.format(item)}): raise refused"
        if not self.container:
            return [look]
        return [f"if type(v) is not {self.container}: raise refused", "for each in v:", f" {look}"]

    def alone(self) -> Function:
        """
        The same as a function.
        """
        if self.function and not self.container:
            return self.function
        scope = {"look": self.function} if self.function else {}
        return _compiled("a value", ["v = value", *self.source("look")], scope)


def _check(type_: Any) -> _Check:
    """
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
    return _Check(function=_compiled(type_, *_record_source(type_)))


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


def _record_source(cls: Any) -> tuple[list[str], dict[str, Any]]:
    """
    The source that looks at a record, and what it needs.
    """
    if not _is_plain(cls):
        raise Refused
    lines, scope = ["if type(value) is not cls: raise refused"], {"cls": cls}
    for number, field in enumerate(record_fields(cls)):
        check = _check(field.type)
        lines += [f"v = value.{field.name}", *check.source(f"f{number}")]
        scope[f"f{number}"] = check.function
    return lines, scope


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
