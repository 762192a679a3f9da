"""
Endpoints that a file lists: real files that are edited, replaced, broken and taken away.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import ConfigError, Endpoint, Manager, serving
from remora.testing import MemoryTransport, check_resolver
from remora.types import EndpointsChanged, ResolverFailed
from remora_resolvers._listing import parse_listing
from remora_resolvers.plugin import FileOptions, build_file, remora_register_resolvers
from tests.core.hosts import Named, Text, next_of

pytestmark = pytest.mark.anyio


@pytest.mark.long
async def test_a_host_follows_the_file_and_keeps_the_last_good_list(tmp_path: Path, anyio_backend: object) -> None:
    """
    Edited in place, replaced, broken, emptied, gone, a pipe, and there again.
    """
    file, transport = tmp_path / "endpoints.json", MemoryTransport()
    file.write_text('["memory:a"]')
    plugin = {"resolver": {"method": "file", "path": str(file)}, "method": "who", "retry": {"max_retries": 0}}
    extensions = [transport.extension]
    with anyio.fail_after(20):
        async with (
            serving(Named("a"), listen="memory:a", extensions=extensions),
            serving(Named("b"), listen="memory:b", extensions=extensions),
            Manager({"plugins": {"p": plugin}}, extensions=extensions) as manager,
        ):
            with manager.events() as events:
                handle = manager.plugin("p", Text, Text)
                await next_of(events, EndpointsChanged)
                seen = [(await handle.execute(Text())).text]
                file.write_text('[{"url": "memory:b", "weight": 5}]')
                await next_of(events, EndpointsChanged)
                seen.append((await handle.execute(Text())).text)
                causes = list[str]()
                for break_it in (
                    lambda: file.write_text('[{"url": "memory:a", "wieght": 5}]'),
                    lambda: file.write_text("[]"),
                    file.unlink,
                    lambda: os.mkfifo(file),
                ):
                    break_it()
                    causes.append((await next_of(events, ResolverFailed)).cause)
                    seen.append((await handle.execute(Text())).text)
                (tmp_path / "new").write_text('["memory:a"]')
                os.replace(tmp_path / "new", file)
                await next_of(events, EndpointsChanged)
                seen.append((await handle.execute(Text())).text)

    assert ["a", "b", "b", "b", "b", "b", "a"] == seen
    assert f"{file}: [0].wieght: unknown key; there are: url, weight, priority, labels" == causes[0]
    assert "nowhere" in causes[1]
    assert f"{file}: No such file or directory" == causes[2]
    assert f"{file}: it is not a regular file" == causes[3]


async def test_the_resolver_keeps_the_contract(tmp_path: Path, anyio_backend: object) -> None:
    """
    Also that it notices changes.
    """
    file = tmp_path / "endpoints.json"
    file.write_text('["http://a", {"url": "http://b", "priority": 2}]')
    spec = next(each for each in remora_register_resolvers() if each.name == "file")

    async def change() -> None:
        file.write_text('["http://c"]')

    assert 6 == len(await check_resolver(spec, FileOptions(path=str(file)), change=change))


def test_a_path_is_needed() -> None:
    """
    There is no file that could be meant.
    """
    with pytest.raises(ConfigError, match="the resolver 'file' needs a path"):
        build_file(FileOptions())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "expected a list of endpoints, got an object"),
        ("[1]", r"\[0\]: expected a URL or an object, got a number"),
        ('["http://a", "b"]', r"\[1\].url: expected a URL with a scheme, got 'b'"),
        ('[{"weight": 1}]', r"\[0\].url: missing"),
        ('[{"url": "http://a", "weight": -1}]', r"\[0\].weight: expected a whole number of at least 0, got -1"),
        ('[{"url": "http://a", "priority": true}]', r"\[0\].priority: expected a whole number"),
        ('[{"url": "http://a", "labels": {"a": 1}}]', r"\[0\].labels: expected an object of texts"),
        ("[" * 100_000, "nested too deeply"),
        ("nonsense", "Expecting value"),
    ],
    ids=lambda each: each[:20],
)
def test_what_is_no_list_of_endpoints_is_refused_with_its_place(text: str, problem: str) -> None:
    """
    Never with another kind of error.
    """
    with pytest.raises(ValueError, match=problem):
        parse_listing(text)


NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
ENDPOINTS = st.builds(
    Endpoint,
    url=NAMES.map(lambda name: f"http://{name}"),
    weight=st.integers(0, 1000),
    priority=st.integers(-9, 9),
    labels=st.dictionaries(NAMES, NAMES, max_size=2),
)


@given(st.lists(ENDPOINTS))
def test_every_list_of_endpoints_can_be_written_and_read(endpoints: list[Endpoint]) -> None:
    """
    With all that is in them.
    """
    tables = [
        {"url": each.url, "weight": each.weight, "priority": each.priority, "labels": each.labels} for each in endpoints
    ]

    assert endpoints == parse_listing(json.dumps(tables))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NAMES,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["url", "weight", "priority", "labels", "x"]), inner)
    ),
    max_leaves=8,
)


@given(VALUES.map(json.dumps) | st.text())
def test_any_text_is_a_list_of_endpoints_or_a_value_error(text: str) -> None:
    """
    Nothing in between.
    """
    try:
        found = parse_listing(text, priority=4)
    except ValueError:
        return

    assert all(isinstance(each.weight, int) and each.weight >= 0 and each.scheme for each in found)
