"""
The methods of a class as the wire sees them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Protocol

import pytest
from anyio import CapacityLimiter

from remora import ConfigError, idempotent, method, service
from remora._methods import methods_of, service_info, unknown_method
from remora._serving._handlers import handlers_of
from tests.core.hosts import Text


@service("text.v1.Text", version="2", author="A", capabilities=("upper",), metadata={"k": "v"})
class Service:
    """
    Works with
    texts.

    In many ways.
    """

    @idempotent
    @method("Upper")
    async def upper(self, request: Text) -> Text:
        """
        Upper case.
        """
        raise NotImplementedError

    def many(self, first: int, second: str = "x", *, third: float = 1.5) -> str:
        """
        Many parameters.
        """
        raise NotImplementedError

    async def none(self) -> None:
        """
        No parameter.
        """

    async def _private(self) -> None: ...

    @staticmethod
    def helper() -> None:
        """
        No method.
        """

    @property
    def size(self) -> int:
        """
        No method either.
        """
        return 1


class Sub(Service):
    """
    Another one.
    """

    async def more(self, request: Text) -> Text:
        """
        One more.
        """
        return request


def test_a_service_says_who_it_is() -> None:
    """
    Its description is the first paragraph of its docstring.
    """
    info = service_info(Service)

    assert ("text.v1.Text", "2", "Works with texts.", "A") == (info.name, info.version, info.description, info.author)
    assert (("upper",), {"k": "v"}) == (info.capabilities, info.metadata)


@pytest.mark.parametrize("given", ["upper", ["upper"], ("upper",)])
def test_one_capability_is_a_word(given: str | list[str] | tuple[str, ...]) -> None:
    """
    And not its letters.
    """

    class Able:
        pass

    assert ("upper",) == service_info(service(capabilities=given)(Able)).capabilities


def test_without_a_mark_the_name_of_the_class_is_the_service() -> None:
    """
    The mark of a base class is not inherited.
    """
    assert "Sub" == service_info(Sub).name


def test_public_methods_are_found_by_their_names_on_the_wire() -> None:
    """
    Inherited ones too.
    """
    assert {"Upper", "many", "none"} == methods_of(Service).keys()
    assert {"Upper", "many", "none", "more"} == methods_of(Sub).keys()
    upper = methods_of(Service)["Upper"]
    assert ("upper", True, "Upper case.", Text, Text) == (
        upper.attribute,
        upper.idempotent,
        upper.description,
        upper.request,
        upper.response,
    )
    assert not methods_of(Service)["none"].idempotent


def test_two_methods_with_one_name_are_an_error() -> None:
    """
    Neither hides the other.
    """

    class Twice:
        @method("X")
        async def one(self) -> None: ...

        @method("X")
        async def two(self) -> None: ...

    with pytest.raises(ConfigError, match="Twice: one and two are both named 'X'"):
        methods_of(Twice)


@pytest.mark.parametrize("name", ["two words", "text.v1.Words/count", "größe"])
def test_a_name_that_nobody_could_call_is_an_error(name: str) -> None:
    """
    Of a method, and of the service; or else the author would hear of it from those who call.
    """

    class Misnamed:
        @method(name)
        async def one(self) -> None: ...

    @service(name)
    class Service:
        async def one(self) -> None: ...

    problem = f"its name {name!r} has a character that no wire can carry"
    with pytest.raises(ConfigError, match=re.escape(f"Misnamed.one: {problem}")):
        methods_of(Misnamed)
    with pytest.raises(ConfigError, match=re.escape(f"Service: {problem}")):
        handlers_of(Service(), CapacityLimiter(1))


def test_star_arguments_cannot_be_sent() -> None:
    """
    The message names the method.
    """

    class Stars:
        async def all(self, *args: int) -> None: ...

    class Streams:
        async def each(self) -> AsyncIterator[int]:
            yield 1

    with pytest.raises(ConfigError, match=r"Stars\.all: \*args and \*\*kwargs cannot be sent over a wire"):
        methods_of(Stars)
    with pytest.raises(ConfigError, match=r"Streams\.each: a generator cannot be sent over a wire; return a list"):
        methods_of(Streams)


def test_methods_without_self_are_refused_where_they_stand_for_calls() -> None:
    """
    That is in a Protocol, or with a mark; elsewhere they are helpers and factories, which nobody can call.
    """

    class Static:
        @idempotent
        @staticmethod
        async def one() -> None: ...

    class Class:
        @classmethod
        @method("Two")
        async def two(cls) -> None: ...

    class Stub(Protocol):
        @staticmethod
        async def three() -> None: ...

    for cls, name in ((Static, "one"), (Class, "two"), (Stub, "three")):
        message = f"{cls.__qualname__}.{name}: a static or class method cannot be called; use `self`"
        with pytest.raises(ConfigError, match=re.escape(message)):
            methods_of(cls)


def test_annotations_that_cannot_be_read_are_named() -> None:
    """
    Such as names that are not there at run time.
    """

    class Missing:
        async def ask(self, request: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigError, match=r"Missing\.ask: its annotations cannot be read: name 'Nowhere'"):
        methods_of(Missing)


def test_a_protocol_has_methods_like_any_class() -> None:
    """
    And nothing of Protocol itself.
    """

    class Client(Protocol):
        async def upper(self, request: Text) -> Text:
            """
            Upper case.
            """
            ...

    assert ["upper"] == list(methods_of(Client))


def test_a_long_list_of_methods_says_how_many_are_left_out() -> None:
    """Else it looks complete."""
    known = [("S", f"m{number}") for number in range(16)]

    assert unknown_method("S", "other", known).endswith("m8, m9 and 6 more")
    assert unknown_method("S", "other", known[:10]).endswith("m8, m9")
