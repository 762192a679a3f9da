"""
What somebody does wrong who uses Remora for the first time, and what they are told: the cause, the place, what to do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.to_thread
import pytest

import remora.sync
from remora import (
    ConfigError,
    HealthMonitor,
    InvalidRequest,
    Manager,
    ManagerClosed,
    MetricsRegistry,
    PluginConfig,
    PluginError,
    ReloadOptions,
    ServeOptions,
    service,
    serving,
)
from remora.config import load_config
from remora.serve import Served, serve_until_stopped
from remora.testing import MemoryTransport

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Text:
    """
    A text.
    """

    text: str


@dataclass(frozen=True)
class Count:
    """
    A number of words.
    """

    words: int


@service("text.v1.Words")
class Words:
    """
    Counts, and makes a few mistakes of its own.
    """

    async def count(self, request: Text) -> Count:
        """
        The number of words.
        """
        return Count(len(request.text.split()))

    def forgets_await(self, request: Text) -> Count:
        """
        A handler that calls another one as if that were no coroutine function.
        """
        return self.count(request)  # type: ignore[return-value]

    async def fails(self) -> Count:
        """
        A handler with a mistake in it.
        """
        raise ZeroDivisionError("a secret")


class Plain(Protocol):
    """
    Plain methods, where coroutines come.
    """

    def count(self, request: Text) -> Count:
        """
        The number of words.
        """
        ...


class Coroutines(Protocol):
    """
    Coroutines, where plain methods come.
    """

    async def count(self, request: Text) -> Count:
        """
        The number of words.
        """
        ...


@asynccontextmanager
async def entered() -> AsyncIterator[Manager]:
    """
    A manager of one served plugin.
    """
    memory = MemoryTransport()
    async with serving(Words(), listen="memory:words", extensions=[memory.extension]):
        config = {"plugins": {"words": {"endpoint": "memory:words", "service": "text.v1.Words"}}}
        async with Manager(config, extensions=[memory.extension]) as manager:
            yield manager


async def in_a_thread(manager: Manager) -> object:
    """
    A call from the event loop of another thread.
    """
    words = manager.plugin("words", Text, Count, method="count")
    return await anyio.to_thread.run_sync(anyio.run, words.execute, Text("a"))


def told(error: BaseException) -> str:
    """
    The type of an error and what it says.
    """
    return f"{type(error).__name__}: {error}"


Act = Callable[[Manager], Awaitable[object]]
CALLS: dict[str, tuple[Act, str]] = {
    "a method misspelt": (
        lambda manager: manager.execute("words", Text("a"), Count, method="cuont"),
        "PluginError: plugin 'words' at memory:words: there is no method text.v1.Words/cuont; did you mean \"count\"?",
    ),
    "another method": (
        lambda manager: manager.execute("words", Text("a"), Count, method="size"),
        "PluginError: plugin 'words' at memory:words: there is no method text.v1.Words/size; there are: count,"
        " forgets_await, fails",
    ),
    "no method": (
        lambda manager: manager.execute("words", Text("a"), Count),
        "PluginError: plugin 'words' at memory:words: no method is named; there are: count, forgets_await, fails",
    ),
    "another service": (
        lambda manager: manager.execute("words", Text("a"), Count, service="text.v1.Word", method="count"),
        "PluginError: plugin 'words' at memory:words: there is no service 'text.v1.Word'; there are: text.v1.Words",
    ),
    "another plugin": (
        lambda manager: manager.execute("wrods", Text("a"), Count, method="count"),
        "PluginNotFound: no plugin named 'wrods' is configured; there are: words",
    ),
    "a request of another type": (
        lambda manager: manager.execute("words", "a", Count, method="count"),
        "PluginError: plugin 'words' at memory:words: the request of text.v1.Words/count is wrong: $: expected object,"
        ' got "a"',
    ),
    "a field of another type": (
        lambda manager: manager.execute("words", {"text": 1}, Count, method="count"),
        "PluginError: plugin 'words' at memory:words: the request of text.v1.Words/count is wrong: $.text: expected"
        " str, got 1",
    ),
    "a field left out": (
        lambda manager: manager.execute("words", {}, Count, method="count"),
        "PluginError: plugin 'words' at memory:words: the request of text.v1.Words/count is wrong: $.text: missing",
    ),
    "a reply of another type": (
        lambda manager: manager.execute("words", Text("a"), Text, method="count"),
        "InvalidReply: plugin 'words': the reply of text.v1.Words/count is wrong: $.text: missing",
    ),
    "records instead of their types": (
        lambda manager: manager.plugin("words", Text("a"), Count(1)).execute(Text("a")),  # type: ignore[arg-type]
        "TypeError: a method is called by the types of its records: write Text, not Text(...)",
    ),
    "a record instead of the reply's type": (
        lambda manager: manager.execute("words", Text("a"), Count(1), method="count"),  # type: ignore[arg-type]
        "TypeError: a method is called by the types of its records: write Count, not Count(...)",
    ),
    "a list with a type in it": (
        lambda manager: manager.plugin("words", Text, [Count]).execute(Text("a")),  # type: ignore[misc]
        f"TypeError: a method is called by the types of its records, and [{Count!r}] is none",
    ),
    "the name of a type": (
        lambda manager: manager.execute("words", Text("a"), "Count", method="count"),  # type: ignore[misc]
        "TypeError: a method is called by the types of its records, and 'Count' is none",
    ),
    "a timeout as text": (
        lambda manager: manager.plugin("words", Text, Count).execute(Text("a"), timeout="5s"),  # type: ignore[arg-type]
        "InvalidRequest: plugin 'words': a timeout is a positive number of seconds, not '5s'",
    ),
    "a drain's timeout as text": (
        lambda manager: manager.drain("words", timeout="5"),  # type: ignore[arg-type]
        "InvalidRequest: plugin 'words': a timeout is a number of seconds, not '5'",
    ),
    "a drain's timeout that is not a number": (
        lambda manager: manager.drain("words", timeout=float("nan")),
        "InvalidRequest: plugin 'words': a timeout is a number of seconds, not nan",
    ),
    "options of a reload as a dict": (
        lambda manager: manager.reload(manager.config, {"drain_timeout": 5}),  # type: ignore[arg-type]
        "TypeError: the options of a reload are ReloadOptions, not a dict",
    ),
    "options of a registration as seconds": (
        lambda manager: manager.register(PluginConfig(name="more", endpoint="memory:words"), 5.0),  # type: ignore[arg-type]
        "TypeError: the options of a reload are ReloadOptions, not a float",
    ),
    "a header that is no text": (
        lambda manager: manager.plugin("words", Text, Count).execute(Text("a"), headers={"x": 1}),  # type: ignore[dict-item]
        "InvalidRequest: plugin 'words': the header 'x' cannot be sent: its value is to be text of printable ASCII",
    ),
    "headers as a list": (
        lambda manager: manager.plugin("words", Text, Count).execute(Text("a"), headers=[("x", "1")]),  # type: ignore[arg-type]
        "InvalidRequest: plugin 'words': headers are a mapping of names to values, as a dict is, not a list",
    ),
    "a request id that is a number": (
        lambda manager: manager.plugin("words", Text, Count).execute(Text("a"), request_id=7),  # type: ignore[arg-type]
        "InvalidRequest: plugin 'words': the request id is to be text, not 7",
    ),
    "a hash key that is a number": (
        lambda manager: manager.plugin("words", Text, Count).execute(Text("a"), hash_key=7),  # type: ignore[arg-type]
        "InvalidRequest: plugin 'words': the hash key is to be text, not 7",
    ),
    "a method that is a number": (
        lambda manager: manager.execute("words", Text("a"), Count, method=7),  # type: ignore[arg-type]
        "InvalidRequest: the method name is to be text, not 7",
    ),
    "options as a dict": (
        lambda manager: manager.execute("words", Text("a"), Count, options={"timeout": 5}),  # type: ignore[arg-type]
        "TypeError: the options of a call are a CallOptions, not a dict",
    ),
    "a plugin's table as a dict": (
        lambda manager: manager.register({"name": "more", "endpoint": "memory:more"}),  # type: ignore[arg-type]
        "TypeError: a plugin is registered as PluginConfig(name=..., endpoint=...), not a dict",
    ),
    "an argument too many": (
        lambda manager: manager.client("words", Words).count(Text("a"), 1),  # type: ignore[call-arg]
        "TypeError: count(request: 'Text'): too many positional arguments",
    ),
    "no argument": (
        lambda manager: manager.client("words", Words).count(),  # type: ignore[call-arg]
        "TypeError: count(request: 'Text'): missing a required argument: 'request'",
    ),
    "a Protocol of plain methods": (
        lambda manager: manager.client("words", Plain).count(Text("a")),  # type: ignore[arg-type, return-value]
        "ConfigError: Plain.count is to be `async def` in a client of `remora.Manager`; `remora.sync.Manager` has plain"
        " ones",
    ),
    "a client of an object": (
        lambda manager: manager.client("words", 7),  # type: ignore[arg-type]
        "ConfigError: a client needs a class, such as a Protocol, and 7 is none",
    ),
    "a handler without await": (
        lambda manager: manager.execute("words", Text("a"), Count, method="forgets_await"),
        "PluginError: plugin 'words' at memory:words: text.v1.Words/forgets_await failed with TypeError",
    ),
    "a handler that fails": (
        lambda manager: manager.client("words", Words).fails(),
        "PluginError: plugin 'words' at memory:words: text.v1.Words/fails failed with ZeroDivisionError",
    ),
    "a call from another thread": (
        in_a_thread,
        "RuntimeError: the manager belongs to the event loop of another thread: call it there with"
        " `anyio.from_thread.run`, or use `remora.sync.Manager`, which is for threads",
    ),
}


async def test_a_forgotten_await_stands_in_the_log_of_the_plugin(caplog: pytest.LogCaptureFixture) -> None:
    """
    The caller cannot know it.
    """
    async with entered() as manager:
        with pytest.raises(PluginError):
            await manager.execute("words", Text("a"), Count, method="forgets_await")

    assert "TypeError: a handler without `async` has returned a coroutine: an `await` is missing" in caplog.text


@pytest.mark.parametrize("mistake", CALLS)
async def test_a_wrong_call_says_what_is_wrong(mistake: str) -> None:
    """
    At once, and not as a traceback from somewhere inside.
    """
    act, expected = CALLS[mistake]
    with anyio.fail_after(5):
        async with entered() as manager:
            with pytest.raises(Exception) as caught:  # noqa: PT011
                await act(manager)

    assert expected == told(caught.value)


async def test_a_drain_that_is_refused_changes_nothing() -> None:
    """
    Calls are still taken; what has no time limit at all is infinite.
    """
    with anyio.fail_after(5):
        async with entered() as manager:
            with pytest.raises(InvalidRequest):
                await manager.drain("words", "5s")  # type: ignore[arg-type]
            assert await manager.execute("words", Text("a"), Count, method="count") == Count(1)
            await manager.drain("words", float("inf"))


@pytest.mark.parametrize("seconds", [10**400, -(10**400)], ids=["more", "less"])
async def test_seconds_that_are_more_than_any_float_are_infinite(seconds: int) -> None:
    """
    In a drain as in a call.
    """
    with anyio.fail_after(5):
        async with entered() as manager:
            handle = manager.plugin("words", Text, Count, method="count")
            assert await handle.execute(Text("a"), timeout=abs(seconds)) == Count(1)
            await manager.drain("words", seconds)


def test_a_synchronous_manager_says_the_same_of_seconds() -> None:
    with remora.sync.Manager({"plugins": {"words": {"endpoint": "http://127.0.0.1:1"}}}) as manager:
        with pytest.raises(InvalidRequest, match="a timeout is a number of seconds, not '5'"):
            manager.drain("words", timeout="5")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest, match="a timeout is a positive number of seconds, not '5'"):
            manager.plugin("words", Text, Count, method="count").execute(Text("a"), timeout="5")  # type: ignore[arg-type]


async def healthy() -> bool:
    """
    A checker.
    """
    return True


SECONDS: dict[str, Callable[[Any], object]] = {
    "drain_timeout": lambda seconds: ReloadOptions(drain_timeout=seconds),
    "health_check_timeout": lambda seconds: ReloadOptions(health_check_timeout=seconds),
    "drain_timeout of a plugin": lambda seconds: ServeOptions(drain_timeout=seconds),
    "checker 'x': interval": lambda seconds: HealthMonitor().add("x", healthy, interval=seconds),
    "checker 'x': timeout": lambda seconds: HealthMonitor().add("x", healthy, timeout=seconds),
}


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("seconds", ["5s", None, [5]])
def test_seconds_that_are_none_are_refused_where_they_are_given(name: str, seconds: object) -> None:
    """
    By name, and not when they are used, which may be long after.
    """
    with pytest.raises((ValueError, ConfigError)) as caught:
        SECONDS[name](seconds)

    assert f"{name.removesuffix(' of a plugin')}: expected a number of seconds, got {seconds!r}" == str(caught.value)


def test_seconds_of_the_export_are_numbers() -> None:
    with pytest.raises(ConfigError, match="export_timeout must be numbers of more than 0"):
        MetricsRegistry(export_interval="5s")  # type: ignore[arg-type]


def test_a_manager_is_entered_in_its_own_way() -> None:
    """
    Whoever takes the wrong `with` is told the right one.
    """
    config: dict[str, object] = {"plugins": {}}
    asynchronous: Any = Manager(config)
    synchronous: Any = remora.sync.Manager(config)

    async def enter() -> None:
        async with synchronous:
            pass

    with pytest.raises(TypeError, match="entered with `async with`; `remora.sync.Manager` is entered with `with`"):
        with asynchronous:
            pass
    with pytest.raises(TypeError, match="entered with `with`; `remora.Manager` with `async with`"):
        anyio.run(enter)


async def test_a_manager_that_is_not_entered_says_how() -> None:
    """
    And one that has been left says that, too.
    """
    async with entered() as left:
        words = left.plugin("words", Text, Count, method="count")
    with pytest.raises(ManagerClosed, match="the manager has not been entered: use `async with`"):
        Manager({"plugins": {"words": {"endpoint": "http://127.0.0.1:1"}}}).plugin("words", Text, Count)
    with pytest.raises(ManagerClosed, match="plugin 'words': the manager is shut down"):
        await words.execute(Text("a"))


def test_a_synchronous_client_of_coroutines_says_what_it_needs() -> None:
    """
    Its Protocol would promise the type checker something else than what comes.
    """
    with remora.sync.Manager({"plugins": {"words": {"endpoint": "http://127.0.0.1:1"}}}) as manager:
        with pytest.raises(
            ConfigError, match=r"Coroutines\.count is `async def`: .* needs a Protocol with plain `def`"
        ):
            manager.client("words", Coroutines)


FILES = {
    'endpoint = "localhost:8000"': '"localhost" is a host, not a scheme: an address begins with one, as'
    " http://localhost:PORT",
    'endpoint = "10.0.0.7:8000"': "'10.0.0.7:8000' has no scheme such as http:, grpc:, unix: or exec:",
    'endpoint = "words.py"': "'words.py' has no scheme such as http:, grpc:, unix: or exec:",
    'endpoint = "htp://127.0.0.1:8000"': '(did you mean "http"?)',
    "endpoint = exec:python": "Invalid value; text stands in quotes",
    'endpont = "exec:python"': 'plugins.words.endpont: unknown key; did you mean "endpoint"?',
    'endpoint = "exec:python"\nargs = "words.py"': "plugins.words.args: expected a list",
    'endpoint = "exec:python"\ncodec = "msgpac"': '(did you mean "msgpack"?)',
    'endpoint = "exec:python"\ncodec = "JSON"': '(did you mean "json"?)',
    'endpoint = "exec:python"\nmethod = "a.B/c"': "plugins.words.method: 'a.B/c' has a character that no",
    'endpoint = "exec:python"\ncodec = "yml"': 'codec "yml" is provided by no installed extension; installed: ',
    'endpoint = "exec:python"\ncodec = "yaml"': 'codec "yaml" is provided by no installed extension; installed: ',
    'endpoint = "exec:python"\nauth = { method = "oauth" }': '"oauth" is provided by no installed extension; in',
    'endpoint = "exec:python"\nmax_retries = 3': 'unknown key; did you mean "retry.max_retries"?',
    'endpoint = "exec:python"\nauth = { method = "bearer", token = "${NO_SUCH}" }': "the environment variable NO_SUCH"
    " is not set",
}


@pytest.mark.parametrize("table", FILES)
def test_a_wrong_file_says_what_is_wrong_and_where(table: str, tmp_path: Any) -> None:
    """
    With the file, the line, and what may be meant.
    """
    path = tmp_path / "remora.toml"
    path.write_text(f"[plugins.words]\n{table}\n")
    with pytest.raises(ConfigError) as caught:
        Manager.from_file(path)

    assert FILES[table] in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")


def test_a_configuration_that_is_none_says_where_one_comes_from() -> None:
    """
    A path, and tables of plugins at the top.
    """
    for path in ("remora.toml", Path("remora.toml")):
        with pytest.raises(ConfigError, match="a file is read by `from_file`"):
            Manager(path)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"plugin: unknown key; did you mean \"plugins\"\?"):
        Manager({"plugin": {"words": {"endpoint": "exec:python"}}})
    with pytest.raises(ConfigError, match="No such file or directory"):
        load_config("nosuch.toml")


def test_what_cannot_be_served_says_what_can() -> None:
    """
    A class, something without methods, annotations that mean nothing.
    """

    async def serve(what: object) -> None:
        async with serving(what, listen="http://127.0.0.1:0"):
            pass

    class Unread:
        async def find(self, request: "Nowhere") -> int:  # type: ignore[name-defined]  # noqa: F821, UP037
            return 1

    for what, expected in {
        Words: r"Words is a class; serve an instance of it, Words\(\)",
        7: "int has no public methods to serve",
        Unread(): "Unread.find: its annotations cannot be read: name 'Nowhere' is not defined",
    }.items():
        with pytest.raises(ConfigError, match=expected):
            anyio.run(serve, what)


async def test_options_of_serving_that_are_none_say_what_they_are_to_be() -> None:
    """
    At once, not where they are first looked at.
    """
    wrong: Any = {"max_concurrent_calls": 3}
    with pytest.raises(TypeError, match=r"the options are to be ServeOptions\(\.\.\.\), not a dict"):
        async with serving(Words(), listen="http://127.0.0.1:0", options=wrong):
            pass


def test_a_service_without_parentheses_says_how_it_is_written() -> None:
    """
    Otherwise the class would be a function.
    """
    bare: Any = service
    with pytest.raises(ConfigError, match=r'@service takes a name, as in `@service\("text.v1.Words"\)`, or `@service'):

        @bare
        class Unnamed:
            async def hi(self) -> str:
                return "hi"


@pytest.mark.parametrize(
    "program",
    [
        "import remora\nremora.serve(Text(), listen='stdio:', backend='trio')",
        "from remora import sync\nsync.Manager({}, backend='trio').open()",
    ],
)
def test_an_event_loop_that_is_not_installed_is_named_with_its_extra(program: str) -> None:
    """
    In the same words wherever it is asked for.
    """
    code = f"import sys\nsys.modules['trio'] = None\nclass Text:\n  def upper(self, text: str) -> str: ...\n{program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)

    assert done.returncode != 0
    assert done.stderr.strip().endswith('the event loop "trio" is not installed: pip install "remora[trio]"'), (
        done.stderr
    )


async def test_serve_inside_an_event_loop_names_what_is_for_there(capsys: pytest.CaptureFixture[str]) -> None:
    """
    It would start an event loop in the thread that has one.
    """
    with pytest.raises(SystemExit):
        remora.serve(Words(), listen="http://127.0.0.1:0")

    assert "where one runs, use `async with serving(...)`" in capsys.readouterr().err


def test_serve_in_another_thread_names_what_is_for_there(
    anyio_backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    No event loop could hear there the signals that end it.
    """
    with ThreadPoolExecutor() as threads, pytest.raises(SystemExit) as ended:
        threads.submit(remora.serve, Words(), listen="http://127.0.0.1:0", backend=anyio_backend).result(20)

    assert 2 == ended.value.code
    assert "elsewhere use `serving(...)`" in capsys.readouterr().err


def test_an_event_loop_that_nobody_knows_is_refused_before_a_thread_starts() -> None:
    """
    With those that there are.
    """
    with pytest.raises(ConfigError, match='there is no event loop "curio"; choose asyncio or trio'):
        remora.sync.Manager({}, backend="curio")  # type: ignore[arg-type]


async def test_one_address_need_not_be_a_list() -> None:
    """
    As for `serve` and `serving`, which take either.
    """
    endpoints: list[str] = []

    with anyio.fail_after(5), anyio.CancelScope() as scope:

        def announce(served: Served) -> None:
            endpoints.extend(each.scheme for each in served.endpoints)
            scope.cancel()

        await serve_until_stopped(Words(), listen="unix:", announce=announce)

    assert ["unix"] == endpoints
