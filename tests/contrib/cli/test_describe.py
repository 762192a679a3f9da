"""
`remora describe`, `remora diff-schema` and `remora conformance`: what something is, and if it holds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.errors import ConfigError
from remora.schema import compare
from remora.types import MethodInfo, PluginInfo
from remora_cli._description_lines import lines_of
from tests.contrib.cli.conftest import Run
from tests.growth import grows_with_size_only

KEYWORDS = ["$ref", "$defs", "type", "enum", "anyOf", "properties", "required", "additionalProperties", "items"]
KEYWORDS += ["prefixItems", "minItems", "maxItems", "default", "description", "format", "contentEncoding", "a"]

NOTES = '''
"""Two versions of a service."""

from typing import Literal

from remora import BalancerSpec, hookimpl, idempotent, service


@service("notes.v1.Notes", version="1.0")
class Notes:
    """Keeps notes."""

    def __init__(self, database): ...

    @idempotent
    async def find(self, title: str, limit: int = 3) -> list[str]:
        """Find some."""
        return []


@service("notes.v1.Notes", version="2.0")
class Stricter:
    async def find(self, title: str, limit: int) -> list[str]: ...


@service("notes.v1.Notes", version="1.1")
class Wider:
    @idempotent
    async def find(self, title: str | None, limit: int = 3, mood: str = "") -> list[Literal["a"]]: ...


class First:
    def pick(self, candidates, key): return candidates[0]
    def started(self, candidate): ...
    def finished(self, candidate, *, latency, ok): ...
    def forget(self, name): ...


first = BalancerSpec("first", lambda clock, rng: First())


@hookimpl
def hook():
    from remora_balancers.plugin import remora_register_balancers
    return [spec for spec in remora_register_balancers() if spec.name == "random"]


class MyTransport:
    def open(self, endpoint): raise NotImplementedError
    def listen(self, endpoint, dispatch): raise NotImplementedError


class Needy(MyTransport):
    def __init__(self, options): ...
'''


def test_a_class_is_described_without_an_instance(remora: Run, place: Path) -> None:
    """
    Its constructor may need what is not here.
    """
    (place / "notes.py").write_text(NOTES)
    result = remora("describe", "notes:Notes")

    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "notes.v1.Notes 1.0",
        "  Keeps notes.",
        "",
        "  find(title: string, limit: integer = 3) -> [string]  (idempotent)",
        "      Find some.",
    ]


TYPES = '''
from dataclasses import dataclass, field
from typing import Literal

from remora import service


@dataclass(frozen=True)
class Author:
    """Who wrote it."""

    name: str
    email: str | None = None


@dataclass(frozen=True)
class Note:
    text: str
    authors: list[Author]
    mood: Literal["good", "bad"] = "good"
    labels: dict[str, int] = field(default_factory=dict)
    parent: "Note | None" = None


@dataclass(frozen=True)
class Query:
    words: list[str]
    by: Author
    since_seconds: float = 86400.0
    at_most: int = 10


class Archive:
    async def add(self, request: Note) -> Note | None:
        """Keep one."""

    async def find(self, request: Query) -> list[Note]: ...
'''


def test_records_are_laid_out_below_the_methods_that_name_them(remora: Run, place: Path) -> None:
    """
    A signature that would be too long for a line has one for each of its fields.
    """
    (place / "archive.py").write_text(TYPES)
    result = remora("describe", "archive:Archive")

    assert result.out == dedent("""\
        Archive

          add(Note) -> Note | null
              Keep one.

          find(
              words: [string],
              by: Author,
              since_seconds: number = 86400.0,
              at_most: integer = 10,
          ) -> [Note]

        types
          Author  Who wrote it.
              name: string
              email: string | null = null
          Note
              text: string
              authors: [Author]
              mood: "good" | "bad" = "good"
              labels: {string: integer} = {}
              parent: Note | null = null
        """)


def test_a_configured_plugin_is_asked(remora: Run, place: Path) -> None:
    """
    It says the same as its class.
    """
    words = ["-m", "remora_cli", "serve", "remora_cli.demo.text:TextProcessor"]
    table = f'endpoint = "exec:{sys.executable}"\nargs = {json.dumps(words)}'
    (place / "remora.toml").write_text(f"[plugins.text]\n{table}\n")
    asked = remora("describe", "remora.toml", "text", "--json")
    read = remora("describe", "remora_cli.demo.text:TextProcessor", "--json")

    assert json.loads(asked.out) == json.loads(read.out)
    assert "there are: text" in remora("describe", "remora.toml", "other").complaint


def test_no_name_in_a_description_fakes_a_line(remora: Run, place: Path) -> None:
    """
    Line breaks in it are escaped, wherever it stands.
    """
    false = "a\nremora: all is well"
    method = {"service": false, "name": false, "description": false, "response": {"type": false}}
    method["request"] = {"properties": {false: {"$ref": false}}, "$defs": {false: {"type": false}}}
    (place / "a.json").write_text(json.dumps({"name": false, "version": false, "methods": [method]}))
    said = remora("describe", "a.json").out

    assert said.count("a\\nremora: all is well") > 5
    assert [] == [line for line in said.splitlines() if line.startswith("remora")]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4),
)


@given(st.dictionaries(st.sampled_from(KEYWORDS), values))
def test_whatever_a_plugin_calls_a_schema_is_described(schema: dict[str, object]) -> None:
    """
    It is of its own making. Comparing two is an error at worst, and never another exception.
    """
    info = PluginInfo(name="a", methods=(MethodInfo(service="a", name="b", request=schema, response=schema),))
    taker = PluginInfo(
        name="a", methods=(MethodInfo(service="a", name="b", request={"type": "object"}, response={"anyOf": [{}, {}]}),)
    )

    assert "  b(" in "\n".join(lines_of(info))
    for pair in [(info, info), (info, taker), (taker, info)]:
        with suppress(ConfigError):
            compare(*pair)


def test_a_description_that_is_nested_deeply_is_described(remora: Run, place: Path) -> None:
    """
    As far as anybody would read it.
    """
    schema = '{"properties": {"a": ' * 150 + "{}" + "}}" * 150
    (place / "a.json").write_text(f'{{"name": "a", "methods": [{{"service": "a", "name": "b", "request": {schema}}}]}}')
    said = remora("describe", "a.json")

    assert (said.code, "..." in said.out) == (0, True)
    assert 0 == remora("describe", "a.json", "--json").code


@pytest.mark.parametrize(
    "made",
    [
        lambda n: PluginInfo(
            name="a", methods=tuple(MethodInfo(service=str(each), name="b") for each in range(n // 10))
        ),
        lambda n: PluginInfo(name="a", description=" " * 10 * n + "a"),
        lambda n: of_requests(
            [{"properties": {str(each): 1 for each in range(n // 10)}, "required": ["x"] * (n // 10)}]
        ),
        lambda n: of_requests([{"$defs": {str(each): {}}} for each in range(n // 10)]),
    ],
    ids=["services", "blanks", "required", "types"],
)
def test_no_description_takes_long(made: Callable[[int], PluginInfo]) -> None:
    """
    Its size is up to the plugin; each of these took minutes for a description of 4 MiB.
    """
    assert grows_with_size_only(lambda info: list(lines_of(info)), made, 80_000)


def of_requests(schemas: list[dict[str, object]], services: Iterable[str] = repeat("a")) -> PluginInfo:
    """
    A plugin with a method for each schema, which takes what it describes.
    """
    named = zip(schemas, services, strict=False)
    return PluginInfo(name="a", methods=tuple(MethodInfo(service=at, name="b", request=each) for each, at in named))


def test_what_breaks_callers_is_said_and_is_the_exit_code(remora: Run, place: Path) -> None:
    """
    A file of yesterday against the code of today.
    """
    (place / "notes.py").write_text(NOTES)
    (place / "old.json").write_text(remora("describe", "notes:Notes", "--json").out)
    broken, fine = remora("diff-schema", "old.json", "notes:Stricter"), remora("diff-schema", "old.json", "notes:Wider")

    assert (broken.code, fine.code) == (1, 0), fine.out
    assert "breaks  notes.v1.Notes/find request.limit: the field is required, and may be missing" in broken.out
    assert "ok      notes.v1.Notes/find request.mood: the field is new" in fine.out
    assert json.loads(remora("diff-schema", "old.json", "notes:Stricter", "--json").out)["is_breaking"] is True
    assert (place / "old.json").write_text("{}")
    assert remora("diff-schema", "old.json", "nothing.json").code == 3


def test_the_conformance_of_an_extension_is_reported_claim_by_claim(remora: Run, place: Path) -> None:
    """
    Of a spec, of what a hook returns, of a transport's class; all claims, also after one that does not hold.
    """
    (place / "notes.py").write_text(NOTES)
    good, bad = remora("conformance", "balancer", "notes:hook"), remora("conformance", "balancer", "notes:first")

    assert (good.code, bad.code, good.err) == (0, 1, ""), good.out + bad.out
    assert good.out.endswith("8 of 8 claims hold\n")
    assert "  FAILED  every candidate gets calls\n" in bad.out
    assert bad.out.endswith("6 of 8 claims hold\n")
    facts = json.loads(remora("conformance", "transport", "notes:MyTransport", "--json").out)
    assert facts["conforms"] is False
    assert {"NotImplementedError"} == {finding["problem"] for finding in facts["findings"]["my"][:3]}
    assert remora("conformance", "codec", "notes:first").code == 3
    needy = remora("conformance", "transport", "notes:Needy")
    assert (needy.code, needy.complaint.partition(": TypeError")[0]) == (3, "remora: notes:Needy() failed")


WHERE = """
    from dataclasses import dataclass
    from remora import Endpoint, ResolverSpec

    @dataclass(frozen=True)
    class Options:
        url: str = "http://127.0.0.1:8000"

    class Once:
        def __init__(self, options):
            self.options = options

        async def watch(self, report):
            report([Endpoint(self.options.url)])

    def hook():
        return [ResolverSpec(name="once", options=Options, build=Once)]
"""


def test_a_resolver_is_checked_like_any_other_extension(remora: Run, place: Path) -> None:
    """
    What has no sensible defaults does not get far.
    """
    (place / "where.py").write_text(dedent(WHERE))
    good = remora("conformance", "resolver", "where:hook")
    bare = remora("conformance", "resolver", "remora_resolvers.plugin:remora_register_resolvers")

    assert (0, True) == (good.code, good.out.endswith("5 of 5 claims hold\n"))
    assert (1, True) == (bare.code, "the resolver 'file' needs a path" in bare.out)


def test_conformance_is_told_the_options_and_which_one(remora: Run, place: Path) -> None:
    """
    As a configuration would say them, and refused as there.
    """
    (place / "where.py").write_text(dedent(WHERE))
    (place / "where.json").write_text('["http://127.0.0.1:8001"]')
    both = ("resolver", "remora_resolvers.plugin:remora_register_resolvers")
    good = remora("conformance", *both, "--only", "file", "--option", "path=where.json", "--option", "priority=2")

    assert (good.code, good.out.splitlines()[-1]) == (0, "5 of 5 claims hold"), good.out + good.err
    for words, complaint in {
        ("--only", "fil"): "has no 'fil'; there are: file, dns",
        ("--only", "file", "--option", "pat=x"): 'options.pat: unknown key; did you mean "path"?',
        ("--only", "file", "--option", "priority=high"): 'options.priority: expected a whole number, got "high"',
        ("--only", "file", "--option", "path"): "'path' is not of the form KEY=VALUE",
    }.items():
        assert complaint in remora("conformance", *both, *words).complaint
    balancer = remora("conformance", "balancer", "remora_balancers.plugin:remora_register_balancers", "--option", "a=1")
    assert balancer.complaint == "remora: balancer 'round-robin' has no options"
