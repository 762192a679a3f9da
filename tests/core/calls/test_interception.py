"""
Interceptors of attempts, and of the answers of a served plugin.
"""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from remora import (
    Code,
    ExtensionError,
    InterceptorSpec,
    Manager,
    PluginError,
    current_call,
    hookimpl,
    idempotent,
    serving,
)
from remora.testing import MemoryTransport

pytestmark = pytest.mark.anyio
VIRTUAL_TIME = True

CULPRIT = "the interceptor 'odd' of Interceptors (passed to the manager)"


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

    def __init__(self, *, call=None, attempt=None, serve=None):
        self._call, self._attempt, self._serve = call, attempt, serve

    @hookimpl
    def remora_register_interceptors(self):
        attempt, serve = (
            None if each is None else (lambda *_, made=each: made) for each in (self._attempt, self._serve)
        )
        return [InterceptorSpec("odd", lambda plugin: self._call, attempt=attempt, serve=serve)]


async def ask(**wanted):
    transport = MemoryTransport()
    extensions = [transport.extension, Interceptors(**wanted)]
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


async def adding(kind, headers):
    """
    Ask with an interceptor of calls or of attempts that adds headers.
    """

    async def add(call, proceed, **_):
        return await proceed(replace(call, headers={**call.headers, **headers}))

    return await ask(**{kind: add})


@pytest.mark.parametrize("kind", ["call", "attempt"])
@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"x-tenant": "a\r\nx-admin: yes"}, "the header 'x-tenant' cannot be sent: its value is to be text"),
        ({"x tenant": "a"}, "the header 'x tenant' cannot be sent: a name is made of letters"),
        ({"content-length": "0"}, "the header 'content-length' cannot be sent: a wire sets it by itself"),
        ({"x-request-id": "1"}, "the header 'x-request-id' cannot be sent: it is the identifier of the call"),
        ({"x-attempt": 1}, "the header 'x-attempt' cannot be sent: its value is to be text"),
    ],
)
async def test_a_header_that_an_interceptor_adds_and_that_cannot_be_sent_ends_the_call(caplog, kind, headers, why):
    """
    With an error that names the interceptor, and without the value, in the log, too.
    """
    with pytest.raises(ExtensionError) as caught:
        await adding(kind, headers)

    assert caught.value.message.startswith(f"{CULPRIT}: {why}")
    assert not caught.value.sent
    assert f"{CULPRIT} failed: {why}" in caplog.text
    assert "admin" not in caplog.text + caught.value.message


@pytest.mark.parametrize("kind", ["call", "attempt"])
async def test_the_name_of_a_header_that_an_interceptor_adds_is_sent_in_lower_case(kind):
    """
    As a caller's is.
    """
    assert await adding(kind, {"X-Attempt": " one "}) == "one"


async def test_what_an_interceptor_tells_a_served_plugin_in_headers_need_not_fit_a_wire():
    """
    It goes no further.
    """

    async def add(call, proceed):
        return await proceed(replace(call, headers={"x-attempt": "naïve"}))

    assert await ask(serve=add) == "naïve"
