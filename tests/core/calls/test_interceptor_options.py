"""
Interceptors with options from the configuration, and those that it switches off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import anyio
import pytest

from remora import (
    ConfigError,
    InterceptorSpec,
    Manager,
    NotInstalled,
    PluginConfig,
    Secret,
    ServeOptions,
    current_call,
    hookimpl,
    serving,
)
from remora.config import InterceptorConfig, ManagerConfig, config_schema, effective_values, load_config
from remora.reload import Action
from remora.testing import MemoryTransport, check_interceptor

pytestmark = pytest.mark.anyio
VIRTUAL_TIME = True


@dataclass(frozen=True)
class Options:
    """
    What the interceptor of these tests adds, and where.
    """

    word: str = "plain"
    header: str = "x-word"
    token: Secret = Secret()

    def __post_init__(self):
        if self.word == self.header:
            raise ValueError("word and header are the same")


class Marking:
    """
    An extension whose interceptors add headers, and that holds calls on request.
    """

    def __init__(self):
        self.built = []
        self.held = self.let_go = None

    def _call(self, plugin, options):
        self.built.append((plugin, options.word))
        if options.word == "refused":
            raise ConfigError("the word must not be 'refused'")

        async def mark(call, proceed):
            if self.held is not None and options.word == "plain":
                self.held.set()
                await self.let_go.wait()
            return await proceed(replace(call, headers={**call.headers, options.header: options.word}))

        return mark

    def _attempt(self, plugin, options):
        async def mark(call, proceed, *, attempt):
            return await proceed(replace(call, headers={**call.headers, "x-attempt": options.word}))

        return mark

    def _serve(self, options):
        async def mark(call, proceed):
            return await proceed(replace(call, headers={**call.headers, "x-served": options.word}))

        return mark

    def _other(self, plugin):
        self.built.append((plugin, "other"))
        return

    @hookimpl
    def remora_register_interceptors(self):
        mark = InterceptorSpec("mark", self._call, attempt=self._attempt, serve=self._serve, options=Options)
        return [mark, InterceptorSpec("other", self._other)]


class Headers:
    """
    Tells the headers of a call.
    """

    async def told(self, names: list[str]) -> list[str]:
        headers = current_call().headers
        return [headers.get(name, "") for name in names]


SEEN = ["x-word", "x-attempt"]


class Bench:
    """
    A served plugin, and the extensions of its hosts.
    """

    def __init__(self):
        self.marking = Marking()
        self._memory = MemoryTransport()
        self.extensions = [self._memory.extension, self.marking]

    def manager(self, **tables):
        return Manager(self.config(**tables), extensions=self.extensions)

    def config(self, **tables):
        plugins = {name: {"endpoint": "memory:one"} for name in ("one", "two")}
        for name, table in tables.pop("plugins", {}).items():
            plugins[name] = {**plugins[name], "interceptors": table}
        return {**tables, "plugins": plugins}

    def serving(self, **options):
        extensions = [self._memory.extension, self.marking] if options else [self._memory.extension]
        return serving(Headers(), listen="memory:one", extensions=extensions, options=ServeOptions(**options))


async def told(manager, plugin="one", names=tuple(SEEN)):
    return await manager.client(plugin, Headers).told(list(names))


async def test_a_table_sets_the_options_of_an_interceptor_for_all_plugins():
    """
    Those of calls and those of attempts get the same record.
    """
    bench = Bench()
    async with bench.serving(), bench.manager(interceptors={"mark": {"word": "loud"}}) as manager:
        assert await told(manager, "one") == ["loud", "loud"]
        assert await told(manager, "two") == ["loud", "loud"]


async def test_without_a_table_the_options_are_their_defaults():
    """
    What is installed is on.
    """
    bench = Bench()
    async with bench.serving(), bench.manager() as manager:
        assert await told(manager) == ["plain", "plain"]


async def test_a_plugin_has_options_of_its_own_key_by_key():
    """
    The keys that it does not set are those of the table at the top.
    """
    bench = Bench()
    general, own = {"mark": {"word": "loud", "header": "x-other"}}, {"one": {"mark": {"word": "soft"}}}
    async with bench.serving(), bench.manager(interceptors=general, plugins=own) as manager:
        assert await told(manager, "one", ["x-other"]) == ["soft"]
        assert await told(manager, "two", ["x-other"]) == ["loud"]


@pytest.mark.parametrize(
    ("general", "own", "expected"),
    [
        ({"mark": {"enabled": False}}, {}, ["", ""]),
        ({}, {"one": {"mark": {"enabled": False}}}, ["", "plain"]),
        ({"mark": {"enabled": False}}, {"two": {"mark": {"enabled": True}}}, ["", "plain"]),
        ({"mark": {"enabled": False}}, {"two": {"mark": {"word": "soft"}}}, ["", ""]),
    ],
    ids=["off", "off for one", "on for one", "a word does not switch it on"],
)
async def test_an_interceptor_can_be_switched_off(general, own, expected):
    """
    For all plugins or for one of them; the plugin's own word counts.
    """
    bench = Bench()
    async with bench.serving(), bench.manager(interceptors=general, plugins=own) as manager:
        assert [(await told(manager, name))[0] for name in ("one", "two")] == expected


async def test_records_in_code_mean_the_same():
    """
    A table at the top holds for plugins that are registered later, too.
    """
    bench = Bench()
    off = {"mark": InterceptorConfig(enabled=False)}
    async with bench.serving(), Manager(ManagerConfig(interceptors=off), extensions=bench.extensions) as manager:
        await manager.register(PluginConfig(name="one", endpoint="memory:one"))
        loud = {"mark": InterceptorConfig(enabled=True, options={"word": "loud"})}
        await manager.register(PluginConfig(name="two", endpoint="memory:one", interceptors=loud))

        assert await told(manager, "one") == ["", ""]
        assert await told(manager, "two") == ["loud", "loud"]


async def test_calls_under_way_end_with_the_interceptor_that_is_around_them():
    """
    A reload rebuilds it for new calls; the call that it holds is not lost, and keeps its word.
    """
    bench = Bench()
    marking = bench.marking
    marking.held, marking.let_go = anyio.Event(), anyio.Event()
    found = []
    with anyio.fail_after(100):
        async with bench.serving(), bench.manager() as manager, anyio.create_task_group() as group:

            async def call():
                found.append(await told(manager))

            group.start_soon(call)
            await marking.held.wait()
            report = await manager.reload(bench.config(interceptors={"mark": {"word": "loud"}}))
            after = await told(manager)
            marking.let_go.set()

    assert report.applied
    assert {name: each.action for name, each in report.plugins.items()} == dict.fromkeys(("one", "two"), Action.RETUNED)
    assert report.plugins["one"].keys == ("interceptors",)
    assert not any(each.opened or each.closed for each in report.plugins.values())
    assert after == ["loud", "loud"]
    assert found == [["plain", "loud"]]  # its attempt began after the reload


async def test_a_call_of_before_does_not_prepare_attempts_of_later_calls_with_the_old_interceptor():
    """
    The way to an instance is kept for all calls; the first to need it may be an old one.
    """
    bench = Bench()
    marking = bench.marking
    marking.held, marking.let_go = anyio.Event(), anyio.Event()
    with anyio.fail_after(100):
        async with bench.serving(), bench.manager() as manager:
            async with anyio.create_task_group() as group:
                group.start_soon(told, manager)
                await marking.held.wait()
                await manager.reload(bench.config(interceptors={"mark": {"word": "loud"}}))
                marking.let_go.set()

            assert await told(manager) == ["loud", "loud"]


async def test_only_what_changes_is_built_again():
    """
    Not the interceptor whose table stays the same, nor one of a plugin that says otherwise.
    """
    bench = Bench()
    own = {"two": {"mark": {"word": "soft"}}}
    async with bench.serving(), bench.manager(plugins=own) as manager:
        bench.marking.built.clear()
        await manager.reload(bench.config(interceptors={"mark": {"word": "loud"}}, plugins=own))

        assert bench.marking.built == [("one", "loud")]


async def test_a_reload_switches_an_interceptor_off_and_on():
    """
    Without new instances.
    """
    bench = Bench()
    async with bench.serving(), bench.manager() as manager:
        await manager.reload(bench.config(interceptors={"mark": {"enabled": False}}))
        assert await told(manager) == ["", ""]
        await manager.reload(bench.config())
        assert await told(manager) == ["plain", "plain"]


async def test_options_that_the_interceptor_refuses_undo_a_reload():
    """
    The error has the path of the table, and calls go on as before.
    """
    bench = Bench()
    async with bench.serving(), bench.manager() as manager:
        report = await manager.reload(bench.config(plugins={"one": {"mark": {"word": "refused"}}}))

        assert report.rolled_back
        assert report.plugins["one"].error.message == ("plugins.one.interceptors.mark: the word must not be 'refused'")
        assert await told(manager) == ["plain", "plain"]


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ({"interceptors": {"mark": {"wrod": "x"}}}, "interceptors.mark.wrod: unknown key"),
        ({"interceptors": {"mark": {"enabled": "no"}}}, "interceptors.mark.enabled: "),
        ({"interceptors": {"mark": {"word": 1, "enabled": False}}}, "interceptors.mark.word: "),
        ({"interceptors": {"mark": True}}, "interceptors.mark: "),
        (
            {"interceptors": {"other": {"word": "x"}}},
            "interceptors.other.word: unknown key; the interceptor 'other' has",
        ),
        ({"plugins": {"one": {"mark": {"wrod": "x"}}}}, "plugins.one.interceptors.mark.wrod: unknown key"),
        ({"plugins": {"one": {"mark": {"token": 1}}}}, "plugins.one.interceptors.mark.token: "),
    ],
)
def test_a_wrong_table_is_one_error_with_its_path(tables, problem):
    """
    Found when the manager is made.
    """
    bench = Bench()
    with pytest.raises(ConfigError) as caught:
        bench.manager(**tables)

    assert [line for line in caught.value.problems if line.startswith(problem)] == list(caught.value.problems)


@pytest.mark.parametrize("switch", [{}, {"enabled": False}], ids=["on", "off"])
@pytest.mark.parametrize("where", ["interceptors.makr", "plugins.one.interceptors.makr"])
def test_an_unknown_name_is_an_error_that_lists_those_installed(where, switch):
    """
    Even of one that is to be off: a misspelt name would leave it on.
    """
    bench = Bench()
    table = {"makr": switch}
    tables = {"interceptors": table} if where.startswith("i") else {"plugins": {"one": table}}
    with pytest.raises(NotInstalled) as caught:
        bench.manager(**tables)

    assert str(caught.value).startswith(
        f'{where}: interceptor "makr" is provided by no installed extension (did you mean "mark"?); installed: mark, '
    )


def test_secrets_are_hidden_where_a_configuration_is_shown():
    """
    By the names of their keys, at the top and in a plugin.
    """
    table = {"mark": {"token": "hush", "word": "loud"}}
    config = Bench().manager(interceptors=table, plugins={"one": table}).config
    shown = effective_values(config)

    assert shown["interceptors"] == {"mark": {"token": "***", "word": "loud"}}
    assert shown["plugins"]["one"]["interceptors"] == {"mark": {"token": "***", "word": "loud"}}
    assert "hush" not in repr(config)


def test_the_environment_sets_options(tmp_path):
    """
    Those at the top, and those of a plugin.
    """
    file = tmp_path / "remora.toml"
    file.write_text('[plugins.one]\nendpoint = "memory:one"\n[interceptors.mark]\nword = "a"\n')
    variables = {
        "REMORA__INTERCEPTORS__MARK__ENABLED": "false",
        "REMORA__INTERCEPTORS__MARK__WORD": "b",
        "REMORA__PLUGINS__ONE__INTERCEPTORS__MARK__ENABLED": "true",
    }
    config = load_config(file, variables)

    assert config.interceptors == {"mark": InterceptorConfig(enabled=False, options={"word": "b"})}
    assert config.plugins["one"].interceptors == {"mark": InterceptorConfig(enabled=True)}


def test_the_schema_knows_the_keys_of_interceptors():
    """
    At the top and in a plugin; one without options has only its switch.
    """
    schema = config_schema(interceptors=Marking().remora_register_interceptors())
    for record in (schema, schema["$defs"]["PluginConfig"]):
        tables = record["properties"]["interceptors"]["properties"]
        assert set(tables["mark"]["properties"]) == {"enabled", "word", "header", "token"}
        assert tables["mark"]["additionalProperties"] is False
        assert set(tables["other"]["properties"]) == {"enabled"}


@pytest.mark.parametrize(
    ("table", "expected"),
    [({}, "plain"), ({"word": "loud"}, "loud"), ({"enabled": False}, ""), (InterceptorConfig(enabled=False), "")],
    ids=["default", "word", "off", "record"],
)
async def test_a_served_plugin_has_interceptors_with_options(table, expected):
    """
    As tables or as records.
    """
    bench = Bench()
    async with bench.serving(interceptors={"mark": table}), bench.manager() as manager:
        assert await told(manager, names=["x-served"]) == [expected]


async def test_a_served_plugin_refuses_an_unknown_interceptor():
    """
    As a host does.
    """
    with pytest.raises(NotInstalled, match=r'^interceptors\.makr: interceptor "makr" is provided by no'):
        async with Bench().serving(interceptors={"makr": {}}):
            pass


async def test_the_conformance_kit_builds_with_options():
    """
    With the defaults, or with those that are given.
    """
    marking = Marking()
    (mark, _) = marking.remora_register_interceptors()

    assert await check_interceptor(mark) == await check_interceptor(mark, Options(word="given"))
    assert {word for _, word in marking.built} == {"plain", "given"}
