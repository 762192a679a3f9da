"""
The allow-list and the decision: pure code, over everything that a list can hold.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.config import structure_config
from remora.errors import ConfigError
from remora.security import (
    AllowEntry,
    AllowList,
    Policy,
    Program,
    decide,
    parse_allow_list,
    render_allow_list,
)

GOOD, BAD = "a" * 64, "b" * 64

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
entries = st.builds(
    AllowEntry,
    sha256=st.lists(hashes, min_size=1, max_size=3).map(tuple),
    transport=texts,
    endpoints=st.lists(texts, max_size=3).map(tuple),
    size=st.none() | st.integers(0, 2**60),
)
lists = st.builds(AllowList, st.dictionaries(texts, entries, max_size=4))
policies = st.sampled_from(["strict", "permissive", "audit-only"])
programs = st.builds(
    Program,
    plugin=texts,
    transport=texts,
    endpoint=texts,
    sha256=hashes,
    size=st.integers(0),
    weaknesses=st.lists(texts, max_size=2).map(tuple),
)


def program(**facts: object) -> Program:
    """
    A program that nothing speaks against.
    """
    usual = {"plugin": "p", "transport": "exec", "endpoint": "exec:./p", "sha256": GOOD, "size": 10}
    return Program(**{**usual, **facts})  # type: ignore[arg-type]


def listed(**facts: object) -> AllowList:
    """
    A list that allows it.
    """
    return AllowList({"p": AllowEntry(**{"sha256": (GOOD,), **facts})})  # type: ignore[arg-type]


@given(lists, st.booleans())
def test_a_list_that_was_written_reads_back(allowed: AllowList, is_json: bool) -> None:
    """
    In both formats, whatever the names and the texts.
    """
    assert allowed == parse_allow_list(render_allow_list(allowed, is_json=is_json), is_json=is_json)


@given(st.text(), st.booleans())
def test_any_text_is_a_list_or_a_configuration_error(text: str, is_json: bool) -> None:
    """
    Nothing else comes out.
    """
    try:
        parse_allow_list(text, is_json=is_json)
    except ConfigError as error:
        assert error.problems


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts | hashes,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)
tables = st.fixed_dictionaries(
    {"version": st.just(1), "plugins": st.dictionaries(texts, st.dictionaries(
        st.sampled_from(["sha256", "transport", "endpoints", "size", "other"]), json_values), max_size=3)}
)  # fmt: skip


@given(json_values | tables)
def test_any_json_is_a_list_or_a_configuration_error(value: object) -> None:
    """
    Values of wrong types are named, and never raise anything else.
    """
    try:
        found = parse_allow_list(json.dumps(value), is_json=True)
    except ConfigError as error:
        assert error.problems
    else:
        assert all(len(digits) == 64 for entry in found.plugins.values() for digits in entry.sha256)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "version: expected 1"),
        ("version = 2", "version: expected 1, got 2"),
        ("version = 1\nextra = 1", "extra: unknown key"),
        ("version = 1\n[plugins.p]", r"plugins.p.sha256: expected at least one hash"),
        ("version = 1\n[plugins.p]\nsha256 = 'x'", "plugins.p.sha256: expected hashes of 64"),
        (f"version = 1\n[plugins.p]\nsha256 = '{GOOD}'\nsize = -1", "plugins.p.size: expected a whole number"),
        (f"version = 1\n[plugins.p]\nsha256 = '{GOOD}'\nname = 'q'", "plugins.p.name: unknown key"),
    ],
)
def test_a_wrong_list_names_the_place(text: str, problem: str) -> None:
    """
    By the path of the key.
    """
    with pytest.raises(ConfigError, match=problem):
        parse_allow_list(text)


def test_a_key_that_is_there_twice_is_refused_in_json() -> None:
    """
    Python would keep the last one without a word.
    """
    with pytest.raises(ConfigError, match="twice"):
        parse_allow_list('{"version": 1, "plugins": {"p": {}, "p": {}}}', is_json=True)


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    """
    It is an error like any other.
    """
    with pytest.raises(ConfigError, match="nested"):
        parse_allow_list("[" * 100_000, is_json=True)


@pytest.mark.parametrize(
    ("allowed", "strict", "permissive"),
    [
        (listed(), "allowed", "allowed"),
        (listed(sha256=(BAD, GOOD)), "allowed", "allowed"),
        (listed(sha256=(BAD,)), "refused", "refused"),
        (listed(size=9), "refused", "refused"),
        (listed(size=10), "allowed", "allowed"),
        (listed(transport="unix"), "refused", "refused"),
        (listed(transport="exec", endpoints=("exec:./p",)), "allowed", "allowed"),
        (listed(endpoints=("exec:./q",)), "refused", "refused"),
        (AllowList(), "refused", "allowed"),
        (None, "refused", "allowed"),
    ],
)
def test_policies_differ_in_what_is_not_listed(allowed: AllowList | None, strict: str, permissive: str) -> None:
    """
    What is listed wrongly is refused by both.
    """
    assert (strict, permissive) == tuple(
        decide(policy, allowed, program()).outcome for policy in ("strict", "permissive")
    )


@pytest.mark.fault(75)
@pytest.mark.parametrize("policy", ["strict", "permissive"])
def test_a_weakness_refuses_also_what_is_pinned(policy: Policy) -> None:
    """
    Who can write to the program now can do so again.
    """
    decision = decide(policy, listed(), program(weaknesses=("p can be written by everybody",)))

    assert decision.outcome == "refused"
    assert decision.is_pinned


@given(policies, st.none() | lists, programs, st.sampled_from(["", "no list"]))
def test_what_is_not_allowed_says_why(policy: Policy, allowed: AllowList | None, one: Program, problem: str) -> None:
    """
    A reason for everything that is not allowed, none for what is; audit-only refuses nothing and sees what strict does.
    """
    decision = decide(policy, allowed, one, problem=problem)
    strict = decide("strict", allowed, one, problem=problem)

    assert (decision.outcome == "allowed") == (not decision.reasons)
    assert decision.outcome != "refused" or policy != "audit-only"
    assert policy != "audit-only" or decision.reasons == strict.reasons
    assert strict.outcome == "refused" or decision.outcome == "allowed"


def test_security_is_read_from_a_table() -> None:
    """
    With defaults that are safe and break nothing.
    """
    config = structure_config({"security": {"policy": "strict", "limits": {"open_files": 64}}})
    plain = structure_config({}).security

    assert (config.security.policy, config.security.limits.open_files, config.security.limits.core) == ("strict", 64, 0)
    assert (plain.policy, plain.no_new_privileges, plain.sandbox) == ("permissive", True, "none")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"policy": "off"}, "security.policy"),
        ({"polcy": "strict"}, "security.polcy: unknown key"),
        ({"limits": {"memory": 0}}, "security.limits.memory"),
        ({"sandbox": "docker"}, "security.sandbox"),
    ],
)
def test_a_wrong_table_names_the_place(table: dict[str, object], problem: str) -> None:
    """
    By the path of the key.
    """
    with pytest.raises(ConfigError, match=problem):
        structure_config({"security": table})
