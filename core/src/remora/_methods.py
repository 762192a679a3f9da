"""
The methods of a class as they appear on the wire, both for services and for the Protocol classes of clients.

What lives here: names, record types, and marks. What must not: arguments (see `_arguments`), calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import field as dataclass_field
from typing import Any, Protocol, TypeVar, get_args, get_origin, get_type_hints

from remora._arguments import Arguments, arguments_of
from remora._frozen import dataclass
from remora._generics import substituted, type_arguments_of
from remora._headers import is_word
from remora.errors import ConfigError

__all__ = ["Method", "ServiceInfo", "idempotent", "method", "methods_of", "service", "service_info", "unknown_method"]

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., object])

_SERVICE = "__remora_service__"
_METHOD = "__remora_method__"
_IDEMPOTENT = "__remora_idempotent__"
_MOST_NAMES = 10


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """
    The description of a service, as given to `@service`.

    Attributes:
        name: The full name on the wire.
        version: The version of the plugin.
        description: What it is for; by default the first paragraph of the docstring.
        author: Who wrote it.
        capabilities: What it can do, as words that a host can look for.
        metadata: Anything else about it, by name.
    """

    name: str
    version: str = ""
    description: str = ""
    author: str = ""
    capabilities: tuple[str, ...] = ()
    metadata: Mapping[str, str] = dataclass_field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """
    A method of a class, as it appears on the wire.

    Attributes:
        name: Its name on the wire.
        attribute: Its name on the class.
        arguments: How the arguments of a call become a request, and a request these.
        response: The record type of its reply.
        idempotent: Whether a call of it may be repeated safely.
        description: The first paragraph of its docstring.
        is_async: Whether calling it returns an awaitable.
    """

    name: str
    attribute: str
    arguments: Arguments
    response: Any
    idempotent: bool
    description: str
    is_async: bool = False

    @property
    def request(self) -> Any:
        """
        The record type of its request.
        """
        return self.arguments.request


def unknown_method(service: str, method: str, known: Collection[tuple[str, str]]) -> str:
    """
    The message for a call of an unknown method: which there are, or which one may be meant.

    Args:
        service: The service that was called; empty when none was named.
        method: The method that was called; empty when none was named.
        known: All pairs of service and method that exist.
    """
    from difflib import get_close_matches  # only messages need it

    names = [name for owner, name in known if owner == service and name]
    if not names:
        what = f"there is no service {service!r}" if service else "no service is named"
        return f"{what}; there are: {', '.join(sorted({owner for owner, _ in known if owner}))}"
    meant = get_close_matches(method, names, n=1, cutoff=0.7)
    hint = f'did you mean "{meant[0]}"?' if meant else f"there are: {_some(names)}"
    what = f"there is no method {f'{service}/{method}'.strip('/')}" if method else "no method is named"
    return f"{what}; {hint}"


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def service(
    name: str | None = None,
    *,
    version: str = "",
    description: str = "",
    author: str = "",
    capabilities: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> Callable[[C], C]:
    """
    Describe a class as a service. A class without this is served under its own name.

    Args:
        name: The full name on the wire, such as `text.v1.TextProcessor`.
        version: The version of the plugin.
        description: What it is for; by default the first paragraph of the docstring.
        author: Who wrote it.
        capabilities: What it can do, as words that a host can look for.
        metadata: Anything else about it, by name.

    Raises:
        ConfigError: The name is no text, as when the class itself stands there.
    """
    given: object = name
    if not (given is None or isinstance(given, str)):
        raise ConfigError(f'@service takes a name, as in `@service("text.v1.Words")`, or `@service()`; not {given!r}')

    def mark(cls: C) -> C:
        info = ServiceInfo(
            name=name or cls.__name__,
            version=version,
            description=description or _first_paragraph(cls),
            author=author,
            capabilities=(capabilities,) if isinstance(capabilities, str) else tuple(capabilities),
            metadata=dict(metadata or {}),
        )
        setattr(cls, _SERVICE, info)
        return cls

    return mark


def method(name: str) -> Callable[[F], F]:
    """
    Give a method another name on the wire, such as `Upper` for a service that is defined elsewhere.
    """

    def mark(function: F) -> F:
        setattr(function, _METHOD, name)
        return function

    return mark


def idempotent(function: F) -> F:
    """
    Mark a method as idempotent: a call of it may be retried safely.
    """
    setattr(function, _IDEMPOTENT, True)
    return function


def service_info(cls: type) -> ServiceInfo:
    """
    The description of a class as a service, also when it has no `@service`.
    """
    info = cls.__dict__.get(_SERVICE)
    return info if isinstance(info, ServiceInfo) else ServiceInfo(cls.__name__, description=_first_paragraph(cls))


def methods_of(type_: Any) -> dict[str, Method]:
    """
    The public methods of a class, by their names on the wire.

    Args:
        type_: The class; a generic one with its arguments, as `Store[Text]`.

    Raises:
        ConfigError: A method cannot be called over a wire; the message says which, and why.
    """
    cls: type = get_origin(type_) or type_
    _refuse_selfless(cls)
    arguments = type_arguments_of(type_)
    methods: dict[str, Method] = {}
    for attribute, (owner, function) in _functions(cls).items():
        found = _method(cls, attribute, function, arguments.get(owner, {}))
        refuse_unsendable(f"{cls.__qualname__}.{attribute}", found.name)
        other = methods.setdefault(found.name, found)
        if other is not found:
            raise ConfigError(f"{cls.__qualname__}: {other.attribute} and {attribute} are both named {found.name!r}")
    return methods


def refuse_unsendable(where: str, name: str) -> None:
    """
    Raise ConfigError for a name of a service or a method by which nobody could call it.
    """
    if not is_word(name):
        raise ConfigError(f"{where}: its name {name!r} has a character that no wire can carry")


def _refuse_selfless(cls: type) -> None:
    """
    Refuse a static or a class method where it stands for one that can be called; elsewhere it is a helper or a factory.
    """
    for base in cls.__mro__:
        for name, found in vars(base).items():
            if isinstance(found, staticmethod | classmethod) and not name.startswith("_"):
                marks = [hasattr(each, mark) for each in (found, found.__func__) for mark in (_METHOD, _IDEMPOTENT)]
                if any(marks) or getattr(base, "_is_protocol", False):
                    where = f"{base.__qualname__}.{name}"
                    raise ConfigError(f"{where}: a static or class method cannot be called; use `self`")


def _functions(cls: type) -> dict[str, tuple[type, Callable[..., object]]]:
    """
    The public functions of a class by name, each with the class that defines it.
    """
    bases = [base for base in reversed(cls.__mro__) if base not in (object, Protocol)]
    return {
        name: (base, function)
        for base in bases
        if base.__module__ != "typing"
        for name, function in vars(base).items()
        if inspect.isfunction(function) and not name.startswith("_")
    }


def _method(cls: type, attribute: str, function: Callable[..., object], arguments: Mapping[Any, Any]) -> Method:
    where = f"{cls.__qualname__}.{attribute}"
    hints = _hints(where, function, arguments)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    if any(parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in parameters):
        raise ConfigError(f"{where}: *args and **kwargs cannot be sent over a wire")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"{where}: a generator cannot be sent over a wire; return a list")
    response = hints.get("return", object)
    is_awaitable = get_origin(response) in (Awaitable, Coroutine)
    return Method(
        name=getattr(function, _METHOD, attribute),
        attribute=attribute,
        arguments=arguments_of(where, parameters, hints),
        response=get_args(response)[-1] if is_awaitable else response,
        idempotent=getattr(function, _IDEMPOTENT, False),
        description=_first_paragraph(function),
        is_async=is_awaitable or inspect.iscoroutinefunction(function),
    )


def _hints(where: str, function: Callable[..., object], arguments: Mapping[Any, Any]) -> dict[str, Any]:
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigError(f"{where}: its annotations cannot be read: {error}") from error
    return {name: substituted(hint, arguments) for name, hint in hints.items()} if arguments else hints


def _first_paragraph(thing: object) -> str:
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    return " ".join(text.partition("\n\n")[0].split())
