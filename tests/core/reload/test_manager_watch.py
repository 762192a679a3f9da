"""
A manager that follows its files while it is called: real files, real sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from remora import Manager, serving
from remora.types import ConfigRejected, ReloadApplied
from tests.core.hosts import Named, Text, next_of

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def two_peers(folder: Path) -> AsyncIterator[None]:
    """
    Plugins at two sockets, `a` and `b`.
    """
    async with (
        serving(Named("a"), listen=f"unix:{folder}/a"),
        serving(Named("b"), listen=f"unix:{folder}/b"),
    ):
        yield


def plugin(folder: Path, name: str, *, more: str = "") -> str:
    """
    A file that calls one of them.
    """
    return f'[plugins.p]\nendpoint = "unix:{folder}/{name}"\nmethod = "who"\n{more}'


async def test_an_edited_file_is_put_in_force_and_a_bad_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    One event for the bad one, with the place; and the good one after it is taken. The log has that, and nothing else.
    """
    caplog.set_level("INFO")
    file = tmp_path / "remora.toml"
    file.write_text(plugin(tmp_path, "a"))

    with anyio.fail_after(20):
        async with two_peers(tmp_path), Manager.from_file(file, watch=True) as manager:
            who = manager.plugin("p", Text, Text)
            with manager.events() as events:
                assert "a" == (await who.execute(Text(""))).text
                file.write_text(plugin(tmp_path, "b", more="instances = 0\n"))
                rejected = await next_of(events, ConfigRejected)
                assert "a" == (await who.execute(Text(""))).text
                file.write_text(plugin(tmp_path, "b", more='balancer = "nosuch"\n'))
                unknown = await next_of(events, ConfigRejected)
                assert "a" == (await who.execute(Text(""))).text
                file.write_text(plugin(tmp_path, "b"))
                await next_of(events, ReloadApplied)
                assert "b" == (await who.execute(Text(""))).text

    assert isinstance(rejected, ConfigRejected)
    assert isinstance(unknown, ConfigRejected)
    assert (f"{file}:4: plugins.p.instances: expected a whole number of at least 1, got 0",) == rejected.problems
    assert unknown.problems[0].startswith(
        f'{file}:4: plugins.p.balancer: balancer "nosuch" is provided by no installed'
    )
    followed = [each for each in caplog.records if each.name in ("remora._reload._follow", "watchfiles.main")]
    assert ["ERROR", "ERROR", "INFO"] == [each.levelname for each in followed]
    assert "the changed configuration is in force: p replaced" == followed[2].getMessage()


async def test_a_directory_is_followed_from_before_the_manager_runs(tmp_path: Path) -> None:
    """
    What changes between reading and entering is not missed; fragments come and go.
    """
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "p.toml").write_text(plugin(tmp_path, "a"))
    manager = Manager.from_file(folder, watch=True)
    (folder / "q.toml").write_text(plugin(tmp_path, "b").replace("plugins.p", "plugins.q"))

    with anyio.fail_after(20):
        async with two_peers(tmp_path), manager:
            with manager.events() as events:
                while manager.list_plugins() != ["p", "q"]:
                    await next_of(events, ReloadApplied)
                assert "b" == (await manager.execute("q", Text(""), Text)).text
                (folder / "q.toml").unlink()
                await next_of(events, ReloadApplied)
                assert ["p"] == manager.list_plugins()
