"""
The synchronous API: what the asynchronous one does, it does too; and what only threads and processes can ask of it.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import anyio
import anyio.to_thread
import pytest

import remora
from remora import (
    ConfigError,
    DeadlineExceeded,
    ManagerClosed,
    PluginConfig,
    PluginError,
    PluginNotFound,
    serving,
    sync,
)
from remora.metrics import Distribution
from remora.sync._inbox import Inbox
from remora.sync._loop import Loop
from remora.testing import MemoryTransport, ScriptedPlugin, ScriptedTransport
from remora.types import InstanceReady, ManagerStopped
from tests.core.hosts import Text

CONFIG: dict[str, Any] = {"plugins": {"p": {"endpoint": "script:p", "retry": {"max_retries": 0}}}}


class AsyncTexts(Protocol):
    """
    A service for `remora.Manager`.
    """

    async def upper(self, request: Text) -> Text:
        """
        The text in capitals.
        """
        ...


class Texts(Protocol):
    """
    The same service for `sync.Manager`.
    """

    def upper(self, request: Text) -> Text:
        """
        The text in capitals.
        """
        ...


@dataclass(frozen=True)
class Side:
    """
    One of the two APIs, and how to wait for what it does.
    """

    manager: Any
    protocol: Any
    plugin: ScriptedPlugin
    do: Callable[..., Awaitable[Any]]


async def _await(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = function(*args, **kwargs)
    return await result if inspect.isawaitable(result) else result


async def _in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), abandon_on_cancel=True)


@pytest.fixture(params=["async", "sync"])
async def side(request: pytest.FixtureRequest, anyio_backend_name: str) -> Any:
    """
    A running manager of either kind, with one plugin.
    """
    transport = ScriptedTransport()
    if request.param == "async":
        async with remora.Manager(CONFIG, extensions=[transport.extension]) as manager:
            yield Side(manager, AsyncTexts, transport.plugin("p"), _await)
        return
    backend: Any = anyio_backend_name
    waiting = sync.Manager(CONFIG, extensions=[transport.extension], backend=backend)
    await _in_thread(waiting.open)
    yield Side(waiting, Texts, transport.plugin("p"), _in_thread)
    await _in_thread(waiting.close)


@pytest.mark.anyio
class TestBoth:
    """
    The same claims about both.
    """

    async def test_a_call_has_a_reply(self, side: Side) -> None:
        """
        By client, by handle and by name.
        """
        client = await side.do(side.manager.client, "p", side.protocol)
        plugin = await side.do(side.manager.plugin, "p", Text, Text, method="echo")

        assert Text("a") == await side.do(client.upper, Text("a"))
        assert Text("b") == await side.do(plugin.execute, Text("b"), timeout=5)
        assert Text("c") == await side.do(side.manager.execute, "p", Text("c"), Text)

    async def test_an_error_is_the_very_one(self, side: Side) -> None:
        """
        With its attributes, and in no wrapping.
        """
        error = PluginError("no", details={"id": 7})
        side.plugin.failure = lambda: error
        with pytest.raises(PluginError) as caught:
            await side.do(side.manager.execute, "p", Text(), Text)

        assert error is caught.value
        assert ("p", {"id": 7}) == (caught.value.plugin, caught.value.details)

    async def test_a_timeout_is_kept(self, side: Side) -> None:
        """
        By whoever sets it.
        """
        side.plugin.is_hanging = True
        plugin = await side.do(side.manager.plugin, "p", Text, Text)
        with anyio.fail_after(5), pytest.raises(DeadlineExceeded):
            await side.do(plugin.execute, Text(), timeout=0.05)

        assert 0 == await side.do(side.manager.active_requests)

    async def test_plugins_come_and_go(self, side: Side) -> None:
        """
        While the manager runs.
        """
        await side.do(side.manager.register, PluginConfig(name="q", endpoint="script:q"))
        assert ["p", "q"] == await side.do(side.manager.list_plugins)
        assert Text("a") == await side.do(side.manager.execute, "q", Text("a"), Text)
        await side.do(side.manager.drain, "q", 5)
        await side.do(side.manager.unregister, "q")

        with pytest.raises(PluginNotFound, match="there are: p"):
            await side.do(side.manager.client, "q", side.protocol)

    async def test_health_is_that_of_the_plugins(self, side: Side) -> None:
        """
        Each, and all together.
        """
        await side.do(side.manager.execute, "p", Text(), Text)

        assert ["p"] == list(await side.do(side.manager.health))
        assert "healthy" == (await side.do(side.manager.overall_health)).status


def test_every_name_is_there_with_the_same_parameters() -> None:
    """
    A method that is added to one is added to the other.
    """
    for ours, theirs in [(sync.Manager, remora.Manager), (sync.Plugin, remora.Plugin)]:
        for name, method in inspect.getmembers(theirs, inspect.isroutine):
            if not name.startswith("_"):
                parameters = inspect.signature(getattr(ours, name)).parameters
                assert list(inspect.signature(method).parameters) == [each for each in parameters if each != "backend"]


@contextmanager
def opened(plugin: Callable[[ScriptedPlugin], None] = lambda plugin: None) -> Iterator[sync.Manager]:
    """
    A running manager.
    """
    transport = ScriptedTransport()
    plugin(transport.plugin("p"))
    with sync.Manager(CONFIG, extensions=[transport.extension]) as manager:
        yield manager


def test_a_client_keeps_docstrings_and_refuses_coroutines() -> None:
    """
    What a type checker believes of it is true.
    """
    with opened() as manager:
        upper = manager.client("p", Texts).upper

        assert "The text in capitals." == inspect.getdoc(upper)
        assert not inspect.iscoroutinefunction(upper)
        with pytest.raises(ConfigError, match=r"AsyncTexts\.upper is `async def`"):
            manager.client("p", AsyncTexts)


@pytest.mark.anyio
async def test_an_asynchronous_client_refuses_plain_functions() -> None:
    """
    The other way round.
    """
    transport = ScriptedTransport()
    async with remora.Manager(CONFIG, extensions=[transport.extension]) as manager:
        with pytest.raises(ConfigError, match=r"Texts\.upper is to be `async def`"):
            manager.client("p", Texts)


class Onward:
    """
    A service with a synchronous handler that calls another plugin.
    """

    def __init__(self, manager: sync.Manager) -> None:
        self._manager = manager

    def ask(self, request: Text) -> Text:
        """
        What the other one says.
        """
        return self._manager.execute("p", request, Text)


@pytest.mark.anyio
async def test_a_handler_that_calls_on_takes_its_deadline_along() -> None:
    """
    Also where the clocks of the two event loops have nothing in common.
    """
    transport, memory = ScriptedTransport(), MemoryTransport()
    onward = await _in_thread(sync.Manager(CONFIG, extensions=[transport.extension]).open)
    async with serving(Onward(onward), listen="memory:o", extensions=[memory.extension]):
        config = {"plugins": {"o": {"endpoint": "memory:o"}}}
        async with remora.Manager(config, extensions=[memory.extension]) as manager:
            plugin = manager.plugin("o", Text, Text, service="Onward", method="ask")
            assert Text("a") == await plugin.execute(Text("a"), timeout=7)
    await _in_thread(onward.close)
    ((arrived, call),) = transport.plugin("p").calls

    assert call.deadline is not None
    assert 0 < call.deadline - arrived <= 7


VOICE = ContextVar("VOICE", default="nobody's")


class Listener:
    """
    An extension that hears whose voice each call has, and knows the event loop by what anyio does there.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []

    @remora.hookimpl
    def remora_register_interceptors(self) -> list[remora.InterceptorSpec]:
        """
        Listen to every plugin.
        """
        return [remora.InterceptorSpec("listener", lambda plugin: self._listen)]

    async def _listen(self, call: Any, proceed: Callable[[Any], Awaitable[Any]]) -> Any:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.lowlevel.checkpoint)
        self.heard.append(VOICE.get())
        VOICE.set("changed")
        return await proceed(call)


@pytest.mark.anyio
async def test_a_call_has_the_context_of_its_thread() -> None:
    """
    So that spans, for one, find their parents; what it changes stays its own. Threads of another event loop may call.
    """
    listener = Listener()
    with sync.Manager(CONFIG, extensions=[ScriptedTransport().extension, listener]) as manager:
        client = manager.client("p", Texts)
        for voice in ("first", "second"):
            VOICE.set(voice)
            client.upper(Text())
            await _in_thread(client.upper, Text())
        copy_context().run(VOICE.set, "unheard")
        Context().run(client.upper, Text())

    assert ["first", "first", "second", "second", "nobody's"] == listener.heard
    assert "second" == VOICE.get()


@pytest.mark.anyio
async def test_an_interrupt_between_an_announcement_and_its_wake_up_loses_nothing() -> None:
    """
    The next thread to look believes that the loop is awake, until somebody insists.
    """
    seen: list[str] = []
    inbox = Inbox()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(inbox.run)
        await anyio.wait_all_tasks_blocked()
        wake, inbox._wake = inbox._wake, _interrupted
        with pytest.raises(KeyboardInterrupt):
            inbox.post(partial(seen.append, "first"))
        inbox._wake = wake
        inbox.post(partial(seen.append, "second"))
        await anyio.wait_all_tasks_blocked()
        assert [] == seen
        inbox.post(partial(seen.append, "third"), urgent=True)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert ["first", "second", "third"] == seen


@pytest.mark.anyio
async def test_what_is_posted_too_late_is_known() -> None:
    """
    Whoever was earlier is still heard, and a loop that has ended is no error.
    """
    seen: list[str] = []
    inbox = Inbox()
    assert inbox.post(partial(seen.append, "in time"))
    inbox.close()

    assert ["in time"] == seen
    assert not inbox.post(partial(seen.append, "late"))


def _interrupted(function: Callable[[], object]) -> None:
    raise KeyboardInterrupt


def test_a_call_from_the_managers_own_event_loop_is_refused() -> None:
    """
    It would wait for itself.
    """
    told: list[BaseException] = []

    class Deaf:
        @remora.hookimpl
        def remora_event(self, event: object) -> None:
            if isinstance(event, InstanceReady):
                with pytest.raises(RuntimeError, match="own event loop") as caught:
                    manager.health()
                told.append(caught.value)

    manager = sync.Manager(CONFIG, extensions=[ScriptedTransport().extension, Deaf()])
    with manager:
        manager.execute("p", Text(), Text)
        manager.restart("p")

    assert told


def test_a_call_from_the_loop_that_is_being_opened_is_refused() -> None:
    """
    For the same reason, and not because the manager is not open yet.
    """
    loop = Loop("asyncio")

    @asynccontextmanager
    async def hasty() -> AsyncIterator[None]:
        loop.call(int)
        yield

    with pytest.raises(RuntimeError, match="own event loop"):
        loop.open(hasty())


def test_many_threads_share_a_manager() -> None:
    """
    Their calls are under way at the same time.
    """
    together = threading.Barrier(8, timeout=10)
    with opened() as manager, ThreadPoolExecutor(8) as pool:

        def call(number: int) -> str:
            together.wait()
            return manager.client("p", Texts).upper(Text(str(number))).text

        assert [str(number) for number in range(8)] == list(pool.map(call, range(8)))


def test_a_closed_manager_says_so() -> None:
    """
    Closing twice is no error; before, after, and to whoever still holds a client.
    """
    transport = ScriptedTransport()
    manager = sync.Manager(CONFIG, extensions=[transport.extension])
    with pytest.raises(ManagerClosed, match="not open"):
        manager.health()
    client = manager.open().client("p", Texts)
    manager.close()
    manager.close()

    for attempt in (lambda: client.upper(Text()), manager.health, lambda: manager.client("p", Texts)):
        with pytest.raises(ManagerClosed, match="shut down"):
            attempt()
    with pytest.raises(ManagerClosed, match="only once"):
        manager.open()


def test_a_manager_that_cannot_be_opened_leaves_no_thread() -> None:
    """
    Its error comes out of `open` as it is.
    """

    class Broken:
        @remora.hookimpl
        def remora_register_interceptors(self) -> list[remora.InterceptorSpec]:
            def build(plugin: str) -> Any:
                raise OSError("no licence")

            return [remora.InterceptorSpec("broken", build)]

    manager = sync.Manager(CONFIG, extensions=[ScriptedTransport().extension, Broken()])
    with pytest.raises(remora.ExtensionError, match="no licence"):
        manager.open()
    for thread in threading.enumerate():
        if thread.name == "remora":
            thread.join(5)

    assert "remora" not in [thread.name for thread in threading.enumerate()]


def test_events_are_an_iterator_that_ends_with_the_manager() -> None:
    """
    What was published before is seen first.
    """
    with opened() as manager:
        manager.execute("p", Text(), Text)
        with manager.events() as events:
            manager.restart("p")
            assert any(isinstance(event, InstanceReady) for event in events)
            manager.close()
            rest = list(events)

    assert ManagerStopped is type(rest[-1])


def test_leaving_the_events_ends_the_iteration() -> None:
    """
    Also in another thread.
    """
    with opened() as manager, ThreadPoolExecutor(1) as pool:
        manager.execute("p", Text(), Text)
        with manager.events() as events:
            counted = pool.submit(list, events)

        assert [] == counted.result(10)


def test_an_error_of_the_body_leaves_as_it_is() -> None:
    """
    And waits for no call.
    """
    with pytest.raises(LookupError, match="of the body"), opened():
        raise LookupError("of the body")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is not there")
def test_a_forked_process_is_told_to_open_its_own() -> None:
    """
    It neither hangs nor touches what is the parent's, and a manager of its own works there.
    """
    program = """
import os, sys, warnings
from remora import ManagerClosed, sync
from remora.testing import ScriptedTransport
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
config = {"plugins": {"p": {"endpoint": "script:p"}}}
make = lambda: sync.Manager(config, extensions=[ScriptedTransport().extension])
later, manager = make(), make().open()
if os.fork() == 0:
    try:
        manager.health()
    except ManagerClosed as error:
        print(error, later.open().execute("p", {"a": 1}, dict), flush=True)
    sys.exit(0)
_, status = os.wait()
print(status, manager.execute("p", {"b": 2}, dict))
"""
    lines = _run(program).stdout.splitlines()

    assert ["open one here {'a': 1}", "0 {'b': 2}"] == [lines[0][-22:], lines[1]]


def test_an_interrupt_abandons_the_call_and_ends_the_program() -> None:
    """
    The plugin sees the call cancelled; the manager closes in good order.
    """
    program = """
import os, signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell has ignored in what it runs in the background
from remora import sync
from remora.testing import ScriptedTransport
transport = ScriptedTransport()
plugin = transport.plugin("p")
plugin.is_hanging = True
with sync.Manager({"plugins": {"p": {"endpoint": "script:p"}}}, extensions=[transport.extension]) as manager:
    def interrupt():
        while not plugin.active:
            pass
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    try:
        manager.execute("p", {}, dict)
    except KeyboardInterrupt:
        manager.drain("p", 5)
        print("interrupted", plugin.active)
"""
    assert "interrupted 0\n" == _run(program).stdout


def test_a_program_that_forgets_to_close_ends_its_plugins() -> None:
    """
    As scripts and notebooks do.
    """
    program = """
from remora import hookimpl, sync
from remora.testing import ScriptedTransport
class Observer:
    @hookimpl
    def remora_event(self, event):
        print(type(event).__name__)
manager = sync.Manager({"plugins": {}}, extensions=[Observer()]).open()
"""
    assert ["ManagerStarted", "ManagerStopped"] == _run(program).stdout.split()


def test_a_program_that_keeps_only_a_handle_ends_its_plugins() -> None:
    """
    The manager behind it is nobody's any more, but still open.
    """
    program = """
from remora import hookimpl, sync
class Observer:
    @hookimpl
    def remora_event(self, event):
        print(type(event).__name__)
sync.Manager({"plugins": {}}, extensions=[Observer()]).open().list_plugins()
"""
    assert ["ManagerStarted", "ManagerStopped"] == _run(program).stdout.split()


def test_an_interrupt_while_the_event_loop_starts_ends_it(anyio_backend_name: str) -> None:
    """
    The first one of a process loads what the event loop is made of, which takes a while.
    """
    program = """
import importlib.abc, signal, sys, threading
from remora import sync
signal.signal(signal.SIGINT, signal.default_int_handler)
interrupted = threading.Event()
class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "anyio._backends._BACKEND":
            sys.meta_path.remove(self)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            interrupted.wait(10)
sys.meta_path.insert(0, Interrupting())
try:
    sync.Manager({"plugins": {}}, backend="BACKEND").open()
except KeyboardInterrupt:
    threads = [each for each in threading.enumerate() if each.name == "remora"]
    interrupted.set()
    for each in threads:
        each.join(10)
    print([each.is_alive() for each in threads])
"""
    assert "[False]" == _run(program.replace("BACKEND", anyio_backend_name)).stdout.strip()


def _run(program: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done


def test_what_many_threads_do_is_counted_exactly() -> None:
    """
    Calls through one manager, and the application's own numbers beside them.
    """
    transport = ScriptedTransport()
    transport.plugin("p").failure = None
    with sync.Manager(CONFIG, extensions=[transport.extension]) as manager:
        plugin = manager.plugin("p", Text, Text)
        counter = manager.metrics.counter("mine_total", "The application's own.", ["thread"])
        spread = manager.metrics.histogram("mine_seconds", "The application's own.", [1.0])
        snapshots = []

        def work(thread: int) -> None:
            for number in range(50):
                plugin.execute(Text(str(number)))
                counter.inc(thread % 2)
                spread.observe(number % 2 * 2)
                snapshots.append(
                    manager.metrics.snapshot().value("remora_requests_total", "p", "(default method)", "OK")
                )

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(work, thread) for thread in range(8)]:
                done.result(30)
        batch = manager.metrics.snapshot()
        said = manager.observability()

    assert [200, 200] == [batch.value("mine_total", thread) for thread in "01"]
    distribution = batch.value("mine_seconds")
    assert isinstance(distribution, Distribution)
    assert ((200, 200), 400) == (distribution.counts, distribution.sum)
    assert 400 == said.total_requests == batch.value("remora_requests_total", "p", "(default method)", "OK")
    assert 0 == batch.value("remora_requests_in_flight", "p")
    assert max(each for each in snapshots if isinstance(each, int)) <= 400


def test_managers_that_are_opened_after_a_fork_share_no_luck() -> None:
    """
    As in the workers of a server that has loaded the application before it forked them.
    """
    program = """
import os
from remora import hookimpl, sync, BalancerSpec
from remora.testing import ScriptedTransport

class Told:
    @hookimpl
    def remora_register_balancers(self):
        return [BalancerSpec(name="told", build=tell)]

def tell(clock, rng):
    print(rng.random(), flush=True)
    return First()

class First:
    def __getattr__(self, name):
        return lambda *args, **kwargs: None

config = {"plugins": {"p": {"endpoint": "script:p", "balancer": "told"}}}
manager = sync.Manager(config, extensions=[ScriptedTransport().extension, Told()])
for _ in range(2):
    if os.fork() == 0:
        manager.open().close()
        os._exit(0)
    os.wait()
"""
    first, second = _run(program).stdout.splitlines()

    assert first != second
