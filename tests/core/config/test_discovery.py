"""
Manifests: files that each add a plugin, and that come, change and go while a manager runs. Real files.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest

from remora import (
    ConfigError,
    Endpoint,
    ExecutableRefused,
    Manager,
    PluginNotFound,
    ReloadReport,
    TransportSpec,
    hookimpl,
    serving,
)
from remora.config import DiscoveryConfig, discover, load_config, manifests, structure_config
from remora.testing import MemoryTransport
from remora.types import ManifestRejected, PluginsDiscovered, ReloadApplied
from tests.core.hosts import Echo, Named, Observer, Text, next_of

pytestmark = pytest.mark.anyio

MANIFEST = 'name = "{}"\nendpoint = "memory:{}"\nmethod = "who"\n'


def write(folder: Path, name: str, at: str = "a", *, more: str = "") -> Path:
    """
    A manifest that is there at once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, new = folder / f"{name}.toml", folder / f".{name}.new"
    new.write_text(MANIFEST.format(name, at) + more)
    os.replace(new, file)
    return file


@asynccontextmanager
async def bench(config: Any, *, path: Path | None = None) -> AsyncIterator[tuple[Manager, Observer]]:
    """
    A manager beside two peers, `a` and `b`.
    """
    transport, observer = MemoryTransport(), Observer()
    extensions = [transport.extension, observer]
    async with (
        serving(Named("a"), listen="memory:a", extensions=[transport.extension]),
        serving(Named("b"), listen="memory:b", extensions=[transport.extension]),
    ):
        made = Manager(config, extensions=extensions) if path is None else None
        made = made or Manager.from_file(path or "", extensions=extensions, watch=True)
        async with made as manager:
            yield manager, observer


def told(observer: Observer, kind: type[Any]) -> list[Any]:
    """
    The events of a kind so far.
    """
    return [each for each in observer.events if isinstance(each, kind)]


@pytest.mark.long
async def test_plugins_come_change_and_go_with_their_manifests(tmp_path: Path, anyio_backend: object) -> None:
    """
    Calls go on meanwhile, and a broken manifest is one event that hurts nobody.
    """
    folder = tmp_path / "plugins"
    first = write(folder, "one")
    config = {
        "plugins": {"fixed": {"endpoint": "memory:b", "method": "who"}},
        "discovery": {"directories": [str(folder)]},
    }
    with anyio.fail_after(30):
        async with bench(config) as (manager, observer):
            with manager.events() as events:
                assert ["fixed", "one"] == manager.list_plugins()
                one = manager.plugin("one", Text, Text)
                seen = [(await one.execute(Text())).text]
                write(folder / "deeper", "two")
                await next_of(events, PluginsDiscovered)
                seen.append((await manager.execute("two", Text(), Text)).text)
                write(folder, "one", "b")
                await next_of(events, PluginsDiscovered)
                seen.append((await one.execute(Text())).text)
                write(folder, "one", "a", more="instances = 0\n")
                rejected: Any = await next_of(events, ManifestRejected)
                seen.append((await one.execute(Text())).text)
                write(folder, "one", "nowhere", more="health_check = {enabled = false}\n")
                away: Any = await next_of(events, ManifestRejected)
                seen.append((await one.execute(Text())).text)
                write(folder, "one", "a")
                await next_of(events, PluginsDiscovered)
                seen.append((await one.execute(Text())).text)
                first.unlink()
                await next_of(events, PluginsDiscovered)
                with pytest.raises(PluginNotFound):
                    await one.execute(Text())
                assert ["fixed", "two"] == manager.list_plugins()
                assert ["fixed"] == list(manager.config.plugins)

    assert ["a", "a", "b", "b", "b", "a"] == seen
    assert (f"{first}:4: plugins.one.instances: expected a whole number of at least 1, got 0",) == rejected.problems
    assert "nothing listens at memory:nowhere" in away.problems[0]
    changes = [(each.added, each.changed, each.removed) for each in told(observer, PluginsDiscovered)]
    assert [
        (("one",), (), ()),
        (("two",), (), ()),
        ((), ("one",), ()),
        ((), ("one",), ()),
        ((), (), ("one",)),
    ] == changes
    assert 2 == len(told(observer, ManifestRejected))


class Gated:
    """
    The memory transport, which takes its time to check the address of `slow`, for a thread that reads manifests.
    """

    def __init__(self) -> None:
        self.memory = MemoryTransport()
        self.entered, self.release = anyio.Event(), threading.Event()

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[Any]]:
        """
        The transport.
        """
        return [replace(each, check=self._check) for each in self.memory.extension.remora_register_transports()]

    def _check(self, endpoint: Endpoint) -> None:
        if endpoint.address == "slow" and threading.current_thread() is not threading.main_thread():
            anyio.from_thread.run_sync(self.entered.set)
            self.release.wait(10)


async def test_the_reload_that_is_asked_for_last_counts_however_long_manifests_take(
    tmp_path: Path, anyio_backend: object
) -> None:
    """
    An older one whose manifests have been read later is superseded.
    """
    write(tmp_path, "found", "slow")
    gated, reports = Gated(), dict[str, ReloadReport]()
    older = {"plugins": {}, "discovery": {"directories": [str(tmp_path)], "watch": False}}
    with anyio.fail_after(30):
        async with (
            serving(Named("slow"), listen="memory:slow", extensions=[gated]),
            serving(Named("a"), listen="memory:a", extensions=[gated]),
            Manager({"plugins": {}}, extensions=[gated]) as manager,
            anyio.create_task_group() as group,
        ):

            async def reload(name: str, config: dict[str, Any]) -> None:
                reports[name] = await manager.reload(config)

            group.start_soon(reload, "older", older)
            await gated.entered.wait()
            await reload("newer", {"plugins": {"p": {"endpoint": "memory:a"}}})
            gated.release.set()
            while "older" not in reports:
                await anyio.lowlevel.checkpoint()

            assert ["p"] == manager.list_plugins()

    assert (True, True) == (reports["newer"].applied, reports["older"].superseded)


async def test_manifests_are_followed_while_old_calls_end(tmp_path: Path, anyio_backend: object) -> None:
    """
    A plugin is added although one that has changed before is still being drained.
    """
    write(tmp_path, "one")
    echo, transport = Echo(), MemoryTransport()
    config = {"plugins": {}, "discovery": {"directories": [str(tmp_path)]}}
    with anyio.fail_after(20):  # less than the time to drain
        async with (
            serving(echo, listen="memory:a", extensions=[transport.extension]),
            serving(Named("b"), listen="memory:b", extensions=[transport.extension]),
            Manager(config, extensions=[transport.extension]) as manager,
            anyio.create_task_group() as group,
        ):
            with manager.events() as events:
                group.start_soon(partial(manager.execute, "one", Text(), Text, method="hold"))
                await echo.entered.wait()
                write(tmp_path, "one", "b")
                await next_of(events, PluginsDiscovered)
                write(tmp_path, "two", "b")
                await next_of(events, PluginsDiscovered)
                echo.release.set()

            assert ["one", "two"] == manager.list_plugins()


@pytest.mark.fault(49)
async def test_a_volume_of_kubernetes_adds_changes_and_removes_plugins(tmp_path: Path, anyio_backend: object) -> None:
    """
    All its files change in one step, by one link; a plugin whose file stays the same is left alone.
    """

    def publish(version: int, **plugins: str) -> None:
        folder = tmp_path / f"..2026_{version}"
        folder.mkdir()
        for name, at in plugins.items():
            (folder / f"{name}.toml").write_text(MANIFEST.format(name, at))
        (tmp_path / "..data_tmp").symlink_to(folder.name)
        os.replace(tmp_path / "..data_tmp", tmp_path / "..data")
        for name in plugins:
            if not (tmp_path / f"{name}.toml").is_symlink():
                (tmp_path / f"{name}.toml").symlink_to(f"..data/{name}.toml")
        for link in tmp_path.glob("*.toml"):
            if link.stem not in plugins:
                link.unlink()
        shutil.rmtree(tmp_path / f"..2026_{version - 1}", ignore_errors=True)

    async def until(manager: Manager, events: Any, wanted: dict[str, str]) -> None:
        while await all_of(manager) != wanted:
            await next_of(events, PluginsDiscovered)

    publish(1, one="a", two="a")
    steps = [{"one": "b", "two": "a"}, {"one": "b", "two": "a", "three": "b"}, {"three": "a"}]
    with anyio.fail_after(30):
        async with bench({"discovery": {"directories": [str(tmp_path)]}}) as (manager, observer):
            with manager.events() as events:
                two = manager._fleet["two"].route.instances
                for version, plugins in enumerate(steps, start=2):
                    publish(version, **plugins)
                    await until(manager, events, plugins)
                    assert version > 3 or two == manager._fleet["two"].route.instances

    assert [] == told(observer, ManifestRejected)


async def all_of(manager: Manager) -> dict[str, str]:
    """
    Who answers for each plugin; nobody while plugins are going.
    """
    try:
        return {name: await who(manager, name) for name in manager.list_plugins()}
    except PluginNotFound:
        return {}


async def who(manager: Manager, name: str) -> str:
    """
    Who answers.
    """
    return (await manager.execute(name, Text(), Text)).text


async def test_the_configuration_says_where_to_look_and_its_names_come_first(
    tmp_path: Path, anyio_backend: object
) -> None:
    """
    A reload may turn discovery on and off, and takes names that manifests had.
    """
    folder, file = tmp_path / "plugins", tmp_path / "remora.toml"
    write(folder, "one")
    on = f'[discovery]\ndirectories = ["{folder}"]\n'
    file.write_text(on)
    with anyio.fail_after(30):
        async with bench(None, path=file) as (manager, observer):
            with manager.events() as events:
                seen = [(await manager.execute("one", Text(), Text)).text]
                file.write_text(on + '[plugins.one]\nendpoint = "memory:b"\nmethod = "who"\n')
                await next_of(events, ReloadApplied)
                seen.append((await manager.execute("one", Text(), Text)).text)
                file.write_text("# nothing\n")
                while [] != manager.list_plugins():
                    await next_of(events, ReloadApplied)
                file.write_text(on)
                await next_of(events, ReloadApplied)
                seen.append((await manager.execute("one", Text(), Text)).text)
                with pytest.raises(ConfigError, match="as long as its manifest is"):
                    await manager.unregister("one")

    (conflict,) = told(observer, ManifestRejected)
    assert ["a", "b", "a"] == seen
    assert (f"{folder}/one.toml:1: name: 'one' is the name of a plugin that is configured",) == conflict.problems


KEYS: dict[str, tuple[Any, Any, list[str], list[str]]] = {
    "directories": (["one"], ["two"], ["one"], ["two"]),
    "patterns": (["*.toml"], ["deep*"], ["deeper", "one"], ["deeper"]),
    "max_depth": (1, 0, ["deeper", "one"], ["one"]),
}


@pytest.mark.parametrize("key", KEYS)
async def test_every_key_of_discovery_takes_effect_by_reload(key: str, tmp_path: Path, anyio_backend: object) -> None:
    """
    There and back: what is found no more is drained and gone.
    """
    one, other, first, second = KEYS[key]
    write(tmp_path / "one", "one")
    write(tmp_path / "one" / "below", "deeper")
    write(tmp_path / "two", "two")

    def config(value: Any) -> dict[str, Any]:
        at_first = {"directories": ["one"], "max_depth": 0 if key == "directories" else 1, "watch": False}
        table: dict[str, Any] = {**at_first, key: value}
        return {"discovery": {**table, "directories": [str(tmp_path / each) for each in table["directories"]]}}

    with anyio.fail_after(30):
        async with bench(config(one)) as (manager, _):
            seen = [sorted(manager.list_plugins())]
            for value in (other, one):
                assert (await manager.reload(config(value))).applied
                seen.append(sorted(manager.list_plugins()))

    assert [first, second, first] == seen
    assert {each.name for each in fields(DiscoveryConfig)} == {*KEYS, "watch"}


async def test_watching_of_manifests_is_switched_on_and_off_by_reload(tmp_path: Path, anyio_backend: object) -> None:
    """
    Manifests that come while it is off are found by the next reload.
    """
    off, on = ({"discovery": {"directories": [str(tmp_path)], "watch": each}} for each in (False, True))
    with anyio.fail_after(30):
        async with bench(off) as (manager, _):
            with manager.events() as events:
                write(tmp_path, "one")
                await manager.reload(on)
                assert ["one"] == manager.list_plugins()
                write(tmp_path, "two")
                while "two" not in manager.list_plugins():
                    await next_of(events, PluginsDiscovered)
                await manager.reload(off)
                write(tmp_path, "three")
                assert ["one", "two"] == manager.list_plugins()
                await manager.reload(on)
                assert ["one", "three", "two"] == sorted(manager.list_plugins())


async def test_what_is_required_is_kept_and_what_requires_nothing_that_is_there_is_refused(
    tmp_path: Path, anyio_backend: object
) -> None:
    """
    Requirements hold between manifests and the configuration.
    """
    folder, file = tmp_path / "plugins", tmp_path / "remora.toml"
    one = write(folder, "one")
    write(folder, "two", more='requires = ["three"]\n')
    file.write_text(
        f'[discovery]\ndirectories = ["{folder}"]\n[plugins.top]\nendpoint = "memory:a"\nrequires = ["one"]\n'
    )
    with anyio.fail_after(30):
        async with bench(load_config(file)) as (manager, observer):
            assert {"one", "top"} == set(manager.list_plugins())
            with manager.events() as events:
                one.unlink()
                await next_of(events, ManifestRejected)
                assert "a" == (await manager.execute("one", Text(), Text)).text

    assert ["'three'", "is required"] == [
        word
        for each in told(observer, ManifestRejected)
        for word in ("'three'", "is required")
        if word in each.problems[0]
    ]


async def test_manifests_that_require_in_a_circle_are_refused(tmp_path: Path, anyio_backend: object) -> None:
    """
    Among themselves, and by way of the configuration; nothing else is hurt.
    """
    folder = tmp_path / "plugins"
    write(folder, "one")
    config = {
        "plugins": {"top": {"endpoint": "memory:a", "requires": ["one"], "method": "who"}},
        "discovery": {"directories": [str(folder)]},
    }
    with anyio.fail_after(30):
        async with bench(config) as (manager, _):
            with manager.events() as events:
                write(folder, "one", more='requires = ["top"]\n')
                first: Any = await next_of(events, ManifestRejected)
                write(folder, "two", more='requires = ["three"]\n')
                write(folder, "three", more='requires = ["two"]\n')
                second: Any = await next_of(events, ManifestRejected)
                answers = [(await manager.execute(name, Text(), Text)).text for name in ("one", "top")]

    assert "must not form a circle" in first.problems[0]
    assert "requires" in second.problems[0]
    assert ["a", "a"] == answers


@pytest.mark.skipif(sys.platform == "win32", reason="starts a script")
async def test_a_program_beside_its_manifest_is_found_and_security_holds_for_it(
    tmp_path: Path, anyio_backend: object
) -> None:
    """
    Paths begin at the manifest, wherever the host runs.
    """
    pytest.importorskip("remora_exec")
    folder = tmp_path / "plugins" / "shout"
    folder.mkdir(parents=True)
    script = folder / "shout.py"
    script.write_text(f"#!{sys.executable}\nimport json, os, sys\njson.dump({{'text': os.getcwd()}}, sys.stdout)\n")
    script.chmod(0o755)
    (folder / "plugin.json").write_text(
        '{"name": "shout", "endpoint": "exec:./shout.py", "work_dir": ".", "protocol": "oneshot", "method": "who"}'
    )
    config: dict[str, Any] = {"discovery": {"directories": [str(tmp_path / "plugins")], "patterns": ["*/plugin.json"]}}
    strict = {**config, "security": {"policy": "strict"}}
    with anyio.fail_after(30):
        async with Manager(config) as manager:
            where = (await manager.execute("shout", Text(), Text)).text
            (program,) = manager.inspect()
        async with Manager(strict) as manager:
            with pytest.raises(ExecutableRefused):
                await manager.execute("shout", Text(), Text)
            (refused,) = manager.inspect()

    assert str(folder) == where
    assert program.inspection is not None
    assert refused.inspection is not None
    assert ("allowed", "refused") == (program.inspection.outcome, refused.inspection.outcome)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('name = "x"\nendpoint = "a:"\nextra = 1', ":3: plugins.x.extra: unknown key"),
        ('endpoint = "a:"', ": name: missing"),
        ('name = "a b"', ":1: name: a plugin's name is made of"),
        ('name = "x"', ":1: plugins.x: has no endpoint"),
        ('name = "x"\nendpoint = "${NOSUCH}"', ":2: endpoint: the environment variable NOSUCH is not set"),
        ('name = "x', ":1: "),
        ('name = "taken"\nendpoint = "a:"', ":1: name: 'taken' is the name of a plugin that is configured"),
        ('name = "good"\nendpoint = "a:"', ":1: name: 'good' is the name of the plugin in "),
    ],
)
def test_what_is_wrong_with_a_manifest_is_told_with_its_place(content: str, problem: str, tmp_path: Path) -> None:
    """
    The others are used.
    """
    (tmp_path / "a.toml").write_text('name = "good"\nendpoint = "a:"\n')
    (tmp_path / "b.toml").write_text(content)
    found = discover(
        structure_config({"plugins": {"taken": {"endpoint": "a:"}}, "discovery": {"directories": [str(tmp_path)]}}),
        variables={},
    )

    assert ["good"] == [each.name for each in found.plugins.values()]
    assert found.rejected[f"{tmp_path}/b.toml"][0].startswith(f"{tmp_path}/b.toml{problem}")


def test_a_manifest_without_a_usable_name_tells_the_rest_as_well(tmp_path: Path) -> None:
    """
    By the paths in the file: whoever copies a whole configuration there has no name, but a table that none knows.
    """
    (tmp_path / "a.toml").write_text('args = 3\n[plugins.words]\nendpoint = "a:"\n')
    (tmp_path / "b.toml").write_text('name = "a b"\nenabled = true\n')
    (tmp_path / "c.json").write_text("[]")
    found = discover(structure_config({"discovery": {"directories": [str(tmp_path)]}}), variables={})
    problems = [line.removeprefix(f"{tmp_path}/") for lines in found.rejected.values() for line in lines]
    expected = [
        "a.toml: name: missing",
        "a.toml:1: args: expected a list",
        "a.toml:2: plugins: unknown key; known are endpoint",
        "b.toml:1: name: a plugin's name is made of letters",
        "b.toml: has no endpoint",
        "c.json: expected the table of a plugin",
    ]

    assert expected == [line[: len(start)] for line, start in zip(problems, expected, strict=True)]


def test_folders_are_looked_through_once_and_no_deeper_than_allowed(tmp_path: Path) -> None:
    """
    Links are followed, also in a circle, but for one to itself; what is hidden is not there; what is missing is told.
    """
    for path in [
        "a.toml",
        "b.txt",
        ".hidden.toml",
        "in/c.yaml",
        "in/deep/d.json",
        "in/deep/deeper/e.json",
        ".git/f.toml",
    ]:
        (tmp_path / "p" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / path).write_text("")
    (tmp_path / "p" / "circle").symlink_to(tmp_path / "p")
    (tmp_path / "p" / "link.toml").symlink_to(tmp_path / "p" / "b.txt")
    (tmp_path / "p" / "gone.toml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "p" / "itself.toml").symlink_to(tmp_path / "p" / "itself.toml")

    def names(**table: Any) -> list[str]:
        found, _ = manifests(DiscoveryConfig(directories=(f"{tmp_path}/p", f"{tmp_path}/p"), **table))
        return [os.path.relpath(each, tmp_path / "p") for each in found]

    _, problems = manifests(DiscoveryConfig(directories=(f"{tmp_path}/none",)))
    assert ["a.toml", "in/c.yaml", "in/deep/d.json", "link.toml"] == names(max_depth=2)
    assert ["a.toml", "link.toml"] == names(max_depth=0)
    assert ["in/c.yaml"] == names(patterns=("in/*.yaml",))
    assert {f"{tmp_path}/none": f"discovery: {tmp_path}/none: No such file or directory"} == problems


def test_defaults_hold_and_relative_paths_begin_at_the_manifest(tmp_path: Path) -> None:
    """
    Of endpoints, programs, working directories and files of credentials; not of arguments.
    """
    (tmp_path / "x.toml").write_text(
        'name = "x"\nendpoints = ["exec:./run", "unix:../s", "exec:sh"]\nwork_dir = "w"\nargs = ["./f"]\n'
        'auth = {method = "bearer", token_file = "./t"}\nretry = {max_retries = 7}\n'
    )
    config = structure_config(
        {
            "discovery": {"directories": [str(tmp_path)]},
            "defaults": {"retry": {"max_retries": 1, "multiplier": 3.0}, "auth": {"method": "basic", "username": "u"}},
        }
    )
    (plugin,) = discover(config).plugins.values()

    assert [f"exec:{tmp_path}/run", f"unix:{tmp_path.parent}/s", "exec:sh"] == [each.url for each in plugin.endpoints]
    assert (f"{tmp_path}/w", ("./f",), f"{tmp_path}/t") == (plugin.work_dir, plugin.args, plugin.auth.token_file)
    assert (7, 3.0, "") == (plugin.retry.max_retries, plugin.retry.multiplier, plugin.auth.username)
