"""
Arguments become a request, and a request becomes arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora._arguments import Arguments, arguments_of

KINDS = [Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY]
NAMES = ["a", "b", "c", "d"]
DEFAULTS = st.sampled_from([0, "x", [], None])


def of(function: Callable[..., object]) -> Arguments:
    """
    The arguments of a function.
    """
    return arguments_of(f"Texts.{function.__name__}", list(Signature.from_callable(function).parameters.values()), {})


@st.composite
def parameter_lists(draw: st.DrawFn) -> list[Parameter]:
    """
    Up to four parameters, as the head of a function may have them.
    """
    kinds = sorted(draw(st.lists(st.sampled_from(KINDS), max_size=len(NAMES))))
    found: list[Parameter] = []
    must_have_default = False
    for name, kind in zip(NAMES, kinds, strict=False):
        is_by_name = kind is Parameter.KEYWORD_ONLY
        has_default = draw(st.booleans()) or (must_have_default and not is_by_name)
        must_have_default = has_default and not is_by_name
        found.append(Parameter(name, kind, default=draw(DEFAULTS) if has_default else Parameter.empty))
    return found


@given(
    parameters=parameter_lists(),
    args=st.lists(st.integers(), max_size=5).map(tuple),
    kwargs=st.dictionaries(st.sampled_from([*NAMES, "e"]), st.integers(), max_size=5),
)
def test_a_call_is_bound_as_python_binds_it(
    parameters: list[Parameter], args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    """
    The same arguments arrive, and the same are refused, in the same words.
    """
    arguments = arguments_of("Texts.join", parameters, {})

    assert _bound(Signature(parameters), args, kwargs) == _carried(arguments, args, kwargs)


def test_a_lone_argument_is_the_request_itself() -> None:
    """
    By position or by name, with or without a default.
    """

    def upper(text: object = None) -> None: ...

    text = object()

    assert [text, text, None] == [
        of(upper).pack((text,), {}),
        of(upper).pack((), {"text": text}),
        of(upper).pack((), {}),
    ]


def test_what_does_not_fit_is_explained_with_the_parameters() -> None:
    """
    Under the name of the method, not under that of a record nobody has written.
    """

    def join(first: str, *, second: str = "") -> None: ...

    with pytest.raises(TypeError, match=r"^join\(first: 'str', \*, second: 'str' = ''\): missing a required argument"):
        of(join).pack((), {})


def test_what_is_left_out_is_in_no_request() -> None:
    """
    Neither as a field of a record, nor as a request.
    """

    def join(first: str, second: str = ..., third: int = ...) -> None: ...  # type: ignore[assignment]

    def upper(text: str = ...) -> None: ...  # type: ignore[assignment]

    assert [{"first": "a"}, {"first": "a", "third": 1}, {"first": "a", "second": "b", "third": 1}] == [
        vars(of(join).pack(("a",), {})),
        vars(of(join).pack(("a",), {"third": 1})),
        vars(of(join).pack(("a", "b", 1), {})),
    ]
    assert of(upper).pack((), {}) is ...
    assert ((), {}) == of(upper).unpack(...)


def _bound(signature: Signature, args: tuple[int, ...], kwargs: Mapping[str, int]) -> object:
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        return f"join{signature}: {error}"
    bound.apply_defaults()
    return bound.args, bound.kwargs


def _carried(arguments: Arguments, args: tuple[int, ...], kwargs: Mapping[str, int]) -> Any:
    try:
        return arguments.unpack(arguments.pack(args, kwargs))
    except TypeError as error:
        return str(error)
