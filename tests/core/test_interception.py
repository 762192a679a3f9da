"""
Interceptors of attempts, and of the answers of a served plugin.
"""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from remora import Code, InterceptorSpec, Manager, PluginError, current_call, hookimpl, idempotent, serving
from remora.testing import MemoryTransport

pytestmark = pytest.mark.anyio
VIRTUAL_TIME = True


class Wavering:
    """
    Fails until it is asked for the third time, and then tells which attempt has reached it.
    """

    def __init__(self):
        self._asked = 0

    @idempotent
    async def ask(self, words: str) -> str:
        self._asked += 1
        if self._asked < 3:
            raise PluginError("not yet", code=Code.UNAVAILABLE)
        return current_call().headers["x-attempt"]


class Interceptors:
    """
    An extension with what it is given.
    """

    def __init__(self, *, attempt=None, serve=None):
        self._attempt, self._serve = attempt, serve

    @hookimpl
    def remora_register_interceptors(self):
        attempt, serve = (
            None if each is None else (lambda *_, made=each: made) for each in (self._attempt, self._serve)
        )
        return [InterceptorSpec("odd", lambda plugin: None, attempt=attempt, serve=serve)]


async def ask(*, attempt=None, serve=None):
    transport = MemoryTransport()
    extensions = [transport.extension, Interceptors(attempt=attempt, serve=serve)]
    table = {"endpoint": "memory:one", "retry": {"max_retries": 3}}
    with anyio.fail_after(100):
        async with serving(Wavering(), listen="memory:one", extensions=extensions):
            async with Manager({"plugins": {"odd": table}}, extensions=extensions) as manager:
                return await manager.client("odd", Wavering).ask("?")


async def test_an_interceptor_sees_every_attempt_with_its_number_and_its_instance():
    """
    What it adds to one attempt is not there in the next.
    """
    seen = []

    async def note(call, proceed, *, attempt):
        seen.append((attempt.number, attempt.plugin, attempt.instance, attempt.endpoint.url, dict(call.headers)))
        return await proceed(replace(call, headers={**call.headers, "x-attempt": str(attempt.number)}))

    assert await ask(attempt=note) == "3"
    assert seen == [(number, "odd", "memory:one", "memory:one", {}) for number in (1, 2, 3)]


async def test_an_interceptor_sees_what_a_reload_changes_about_an_instance():
    """
    Though the instance stays, and the way to it was prepared before.
    """
    seen = []

    async def note(call, proceed, *, attempt):
        seen.append(attempt.endpoint.labels["zone"])
        return await proceed(replace(call, headers={"x-attempt": "?"}))

    transport = MemoryTransport()
    extensions = [transport.extension, Interceptors(attempt=note)]
    tables = [{"plugins": {"odd": {"endpoints": [{"url": "memory:one", "labels": {"zone": zone}}]}}} for zone in "ab"]
    with anyio.fail_after(100):
        async with serving(Wavering(), listen="memory:one", extensions=extensions):
            async with Manager(tables[0], extensions=extensions) as manager:
                await manager.client("odd", Wavering).ask("?")
                report = await manager.reload(tables[1])
                await manager.client("odd", Wavering).ask("?")

    assert report.plugins["odd"].action == "noted"
    assert seen == ["a", "a", "a", "b"]


async def test_an_interceptor_sees_what_a_served_plugin_answers():
    """
    Also its errors, as they are sent.
    """
    seen = []

    async def note(call, proceed):
        try:
            reply = await proceed(replace(call, headers={"x-attempt": "changed"}))
        except PluginError as error:
            seen.append(error.code)
            raise
        seen.append(reply.payload)
        return reply

    assert await ask(serve=note) == "changed"
    assert seen == [Code.UNAVAILABLE, Code.UNAVAILABLE, b'"changed"']


async def test_an_interceptor_that_breaks_on_the_served_side_tells_the_caller_nothing(caplog):
    """
    The log names it; the wire carries INTERNAL.
    """

    async def broken(call, proceed):
        raise KeyError("secret")

    with pytest.raises(PluginError) as caught:
        await ask(serve=broken)

    assert (caught.value.code, caught.value.message) == (Code.INTERNAL, "Wavering/ask failed")
    assert "the interceptor 'odd' of Interceptors" in caplog.text
