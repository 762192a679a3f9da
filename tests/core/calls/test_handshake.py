"""
What a plugin is asked when it is connected, and what becomes of one that is not the right one.
"""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import (
    Call,
    Code,
    ConfigError,
    Endpoint,
    Manager,
    PluginError,
    ServiceMismatch,
    Unavailable,
    VersionMismatch,
    method,
    service,
    serving,
)
from remora._requirement import is_requirement, meets, problem_of
from remora.config import structure_config
from remora.testing import MemoryTransport
from remora.types import InstanceFailed, Reply

pytestmark = pytest.mark.anyio


@service("text.v1.Text", version="1.4.2")
class Text:
    async def upper(self, text: str) -> str:
        return text.upper()

    async def lower(self, text: str) -> str:
        return text.lower()


@service("text.v1.Text", version="2.0")
class NewText(Text):
    pass


@service("text.v1.Text")
class Nameless(Text):
    pass


@service("text.v1.Text")
class Needs(Protocol):
    async def upper(self, text: str) -> str: ...

    async def reverse(self, text: str) -> str: ...

    @method("Shout")
    async def shout(self, text: str) -> str: ...


@asynccontextmanager
async def calling(served: object, version: str = "") -> AsyncIterator[tuple[Manager, MemoryTransport]]:
    transport = MemoryTransport()
    config = {"plugins": {"text": {"endpoint": "memory:text", "version": version}}}
    with anyio.fail_after(10):
        async with (
            serving(served, listen="memory:text", extensions=[transport.extension]),
            Manager(config, extensions=[transport.extension]) as manager,
        ):
            yield manager, transport


@asynccontextmanager
async def foreign(dispatch: object, version: str) -> AsyncIterator[Manager]:
    transport = MemoryTransport()
    quiet = {"health_check": {"enabled": False}, "retry": {"max_retries": 0}}
    config = {"plugins": {"text": {"endpoint": "memory:text", "version": version, **quiet}}}
    with anyio.fail_after(10):
        async with (
            transport.listen(Endpoint("memory:text"), dispatch),
            Manager(config, extensions=[transport.extension]) as manager,
        ):
            yield manager


async def test_a_plugin_of_the_required_version_is_used():
    async with calling(Text(), ">=1.2,<2") as (manager, _):
        assert await manager.client("text", Text).upper("a") == "A"


@pytest.mark.fault(8)
@pytest.mark.parametrize(
    ("served", "found", "words"),
    [(NewText(), "2.0", "the plugin says that it is 2.0"), (Nameless(), "", "does not say its own")],
)
async def test_a_plugin_of_another_version_gets_no_call_and_both_sides_are_named(served, found, words):
    async with calling(served, ">=1.2,<2") as (manager, _):
        for _ in range(2):
            with pytest.raises(VersionMismatch, match="version >=1.2,<2 is required, but") as caught:
                await manager.client("text", Text).upper("a")

    assert words in str(caught.value)
    assert caught.value.plugin == "text"
    assert (caught.value.required, caught.value.found) == (">=1.2,<2", found)
    assert not caught.value.sent


async def test_a_plugin_that_was_refused_is_left_alone_until_it_is_restarted():
    transport = MemoryTransport()
    config = {"plugins": {"text": {"endpoint": "memory:text", "version": ">=1.2,<2"}}}
    manager = Manager(config, extensions=[transport.extension])
    with anyio.fail_after(10), manager.events() as events:
        async with serving(NewText(), listen="memory:text", extensions=[transport.extension]):
            async with manager:
                failed = await _first(events, InstanceFailed)
                transport.crash("text")
                async with serving(Text(), listen="memory:text", extensions=[transport.extension]):
                    with pytest.raises(VersionMismatch):
                        await manager.client("text", Text).upper("a")
                    manager.restart("text")
                    await anyio.wait_all_tasks_blocked()
                    assert await manager.client("text", Text).upper("a") == "A"

    assert failed.retry_in == math.inf
    assert "2.0" in failed.cause


async def test_only_a_required_version_is_asked_for():
    asked = []

    async def answer(call: Call, peer: str) -> Reply:
        asked.append(call.name)
        return Reply(payload=b'"A"')

    async with foreign(answer, "1.0") as manager:
        await manager.client("text", Text).upper("a")
        assert asked == ["text.v1.Text/upper"]


async def test_a_plugin_that_does_not_know_the_question_meets_no_requirement():
    async def answer(call: Call, peer: str) -> Reply:
        raise PluginError("what?", code=Code.UNIMPLEMENTED)

    async with foreign(answer, ">=1") as manager:
        with pytest.raises(VersionMismatch, match="does not say its own"):
            await manager.client("text", Text).upper("a")


async def test_a_plugin_that_cannot_be_asked_now_is_asked_again():
    async def answer(call: Call, peer: str) -> Reply:
        raise PluginError("who are you?", code=Code.UNAUTHENTICATED)

    async with foreign(answer, ">=1") as manager:
        with pytest.raises(Unavailable, match=r"who are you\?.*next try in"):
            await manager.client("text", Text).upper("a")


@pytest.mark.fault(8)
async def test_descriptions_without_a_common_version_name_both():
    async def answer(call: Call, peer: str) -> Reply:
        return Reply(payload=b'{"name":"text","version":"1.4","protocol_versions":[7,8]}')

    async with foreign(answer, ">=1") as manager:
        with pytest.raises(VersionMismatch, match=r"host speaks version 1 of remora.v1.Plugin, the plugin 7 or 8"):
            await manager.client("text", Text).upper("a")


@pytest.mark.fault(8)
async def test_a_plugin_refuses_a_host_whose_versions_it_does_not_speak(caplog):
    caplog.set_level(logging.INFO, "remora")
    async with calling(Text()) as (_, transport), transport.open(Endpoint("memory:text")) as channel:
        call = Call(service="remora.v1.Plugin", method="Describe", payload=b'{"protocol_versions":[9]}')
        with pytest.raises(PluginError, match="speaks version 1 of remora.v1.Plugin, the host 9") as caught:
            await channel.call(call)

    assert caught.value.code is Code.FAILED_PRECONDITION
    assert "refused a host: this plugin speaks version 1 of remora.v1.Plugin, the host 9" in caplog.messages


async def test_a_typed_client_can_be_verified_before_its_first_call():
    async with calling(Text()) as (manager, _):
        assert (await manager.verify("text", Text)).version == "1.4.2"
        with pytest.raises(ServiceMismatch) as caught:
            await manager.verify("text", Needs)

    assert "Needs needs text.v1.Text/reverse, text.v1.Text/Shout, which it does not serve" in str(caught.value)
    assert "it serves text.v1.Text/lower, text.v1.Text/upper" in str(caught.value)
    assert len(caught.value.problems) == 2
    assert caught.value.plugin == "text"


async def test_what_does_not_describe_itself_cannot_be_verified():
    async def answer(call: Call, peer: str) -> Reply:
        return Reply(payload=b'"hello"')

    async with foreign(answer, "") as manager:
        with pytest.raises(ServiceMismatch, match="does not say what it serves"):
            await manager.verify("text", Text)


async def test_a_plugin_that_says_it_serves_too_much_is_not_quoted_in_full():
    methods = ",".join(f'{{"service":"s","name":"m{number}"}}' for number in range(10_000))

    async def answer(call: Call, peer: str) -> Reply:
        return Reply(payload=f'{{"name":"a","version":"1","methods":[{methods}]}}'.encode())

    async with foreign(answer, "") as manager:
        with pytest.raises(ServiceMismatch, match="which it does not serve; it serves s/m0, s/m1, ") as caught:
            await manager.verify("text", Text)

    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("version", [">=one", "^1.2", "~1.2", "1.2.*", "*", "1.x", "x", "1.2,<2", "1.2 - 2", "1 || 2"])
def test_a_requirement_that_makes_no_sense_is_a_problem_of_the_configuration(version: str):
    with pytest.raises(
        ConfigError, match=r'plugins.x.version: expected a version, or a requirement such as ">=1.2,<2"'
    ):
        structure_config({"plugins": {"x": {"endpoint": "exec:x", "version": version}}})


@pytest.mark.parametrize("version", ["", "1", "v1.2.3", "1.2.3-rc.1+linux.x86-64", "2026-05-01", "3f2a9c1", "1.xenial"])
def test_a_plain_version_may_be_written_in_any_way(version: str):
    assert (
        version == structure_config({"plugins": {"x": {"endpoint": "exec:x", "version": version}}}).plugins["x"].version
    )


@pytest.mark.parametrize(
    ("version", "requirement", "is_met"),
    [
        ("1.4", ">=1.2,<2", True),
        ("v1.4.0", ">=1.2,<2", True),
        ("1.4.0-rc1", ">=1.2,<2", True),
        ("2.0", ">=1.2,<2", False),
        ("1.4", "~=1.4.0", True),
        ("1.10", "!=1.1,>1.9", True),
        ("latest", ">=0", False),
        ("9" * 5000, ">=0", False),
    ],
)
def test_versions_are_compared_by_their_rules(version, requirement, is_met):
    assert meets(version, requirement) is is_met


@given(st.text(max_size=30))
def test_any_text_is_a_version_a_requirement_or_a_problem(text):
    problem = problem_of(text)
    if is_requirement(text) and not problem:
        meets("1.0", text)


@given(st.text(max_size=30))
def test_any_text_may_be_what_a_plugin_says_of_its_version(text):
    meets(text, ">=1.2,<2")


def test_versions_are_compared_only_where_one_is_required():
    code = "import remora, sys; remora.Manager({'plugins': {}}); sys.exit('packaging' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def _first(events, kind):
    async for event in events:
        if isinstance(event, kind):
            return event
    raise AssertionError(f"no {kind.__name__}")
