"""
The arguments of a method, and the request that carries them.

What lives here: the type of the request, and how arguments get into one and out of it, on the way of each call. What
must not: whose method it is, and how a request is written.

A request is the only argument itself, or a record with a field per parameter. The record's constructor has the
parameters of the method, so it also is what binds arguments to them: `inspect.Signature.bind`, which takes longer than
a whole call through the pipeline, only explains what does not fit.
"""

from __future__ import annotations

import inspect
from dataclasses import field, make_dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Given = tuple[tuple[object, ...], dict[str, object]]
"""Positional arguments, and those by name."""


class Arguments(Protocol):
    """
    The arguments of one method.

    Attributes:
        request: The type of the request.
        is_optional: Whether the request is the only argument, and may be left out.
    """

    request: Any
    is_optional: bool

    def pack(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
        """
        The request that carries arguments. A default of `...` is left out, since the plugin's own counts; where it is
        that of the only parameter, the request is `...` itself.

        Raises:
            TypeError: The arguments do not match the parameters.
        """
        ...

    def unpack(self, request: Any, /) -> Given:
        """
        The arguments that a request carries; none when it is `...`.
        """
        ...


def arguments_of(where: str, parameters: Sequence[inspect.Parameter], hints: Mapping[str, Any]) -> Arguments:
    """
    The arguments of a method.

    Args:
        where: The names of its class and of itself, with a dot in between.
        parameters: Its parameters, without `self`.
        hints: Their types by name; the type of one that is missing is `object`.
    """
    if not parameters:
        return _NoArguments(where)
    if len(parameters) == 1:
        return _OneArgument(where, parameters[0], hints.get(parameters[0].name, object))
    return _SeveralArguments(where, parameters, hints)


class _NoArguments:
    request: Any = object
    is_optional = False

    def __init__(self, where: str) -> None:
        self._where = where

    def pack(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
        if args or kwargs:
            _bind(self._where, (), args, kwargs)
        return {}

    def unpack(self, _: object) -> Given:
        return (), {}


class _OneArgument:
    def __init__(self, where: str, parameter: inspect.Parameter, type_: Any) -> None:
        self.request = type_
        self.is_optional = parameter.default is not parameter.empty
        self._where = where
        self._parameter = parameter
        self._is_by_name = parameter.kind is parameter.KEYWORD_ONLY

    def pack(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
        if len(args) == 1 and not (kwargs or self._is_by_name):  # nearly always
            return args[0]
        bound = _bind(self._where, [self._parameter], args, kwargs)
        return bound.get(self._parameter.name, self._parameter.default)

    def unpack(self, request: object) -> Given:
        if request is ...:
            return (), {}
        return ((), {self._parameter.name: request}) if self._is_by_name else ((request,), {})


class _SeveralArguments:
    is_optional = False

    def __init__(self, where: str, parameters: Sequence[inspect.Parameter], hints: Mapping[str, Any]) -> None:
        self.request = _record(where, parameters, hints)
        self._where = where
        self._parameters = parameters
        self._by_name = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
        self._positional = [each.name for each in parameters if each.name not in self._by_name]
        self._nameless = {each.name for each in parameters if each.kind is each.POSITIONAL_ONLY}
        self._may_be_left_out = [each.name for each in parameters if each.default is ...]

    def pack(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
        try:
            request = self.request(*args, **kwargs)
        except TypeError:
            self._refuse(args, kwargs)
            raise
        if kwargs and not self._nameless.isdisjoint(kwargs):
            self._refuse(args, kwargs)
        if self._may_be_left_out:
            left_out = tuple(name for name in self._may_be_left_out if getattr(request, name) is ...)
            return _without(request, left_out) if left_out else request
        return request

    def _refuse(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        _bind(self._where, self._parameters, args, kwargs)

    def unpack(self, request: object) -> Given:
        positional = tuple([getattr(request, name) for name in self._positional])
        return positional, {name: getattr(request, name) for name in self._by_name}


def _bind(
    where: str, parameters: Sequence[inspect.Parameter], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> dict[str, Any]:
    """
    The arguments by name.

    Raises:
        TypeError: They do not match the parameters; the message shows these.
    """
    signature = inspect.Signature(parameters)
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"{where.rpartition('.')[2]}{signature}: {error}") from None


def _record(where: str, parameters: Sequence[inspect.Parameter], hints: Mapping[str, Any]) -> Any:
    """
    A record type with one field per parameter, and a constructor that takes the same arguments as the method.
    """
    fields = [(each.name, hints.get(each.name, object), _field(each)) for each in parameters]
    return make_dataclass(f"{where.replace('.', '_')}_request", fields)


def _field(parameter: inspect.Parameter) -> Any:
    is_by_name, default = parameter.kind is parameter.KEYWORD_ONLY, parameter.default
    if default is parameter.empty:
        return field(kw_only=is_by_name)
    if default.__class__.__hash__ is None:  # dataclasses refuse it, since one that is changed is changed for all
        return field(kw_only=is_by_name, default_factory=partial(_same, default))
    return field(kw_only=is_by_name, default=default)


def _same(value: object) -> object:
    return value


def _without(request: Any, names: tuple[str, ...]) -> object:
    """
    A request without some of its fields.
    """
    rest = {name: value for name, value in vars(request).items() if name not in names}
    whole: Any = type(request)
    return _part(whole, tuple(rest))(**rest)


@lru_cache(maxsize=256)
def _part(type_: Any, names: tuple[str, ...]) -> Any:
    """
    A record type with a few of the fields of another.
    """
    return make_dataclass(type_.__name__, [(name, type_.__annotations__[name]) for name in names])
