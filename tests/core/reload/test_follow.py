"""
What is done about files that change: good ones are put in force, bad ones leave everything as it is.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest

from remora import ConfigError, ManagerClosed, ManagerConfig, ReloadReport, Unavailable
from remora._reload._follow import Follower
from remora._watch import content_of
from remora.types import ConfigRejected, Event

pytestmark = pytest.mark.anyio

GOOD = '[plugins.p]\nendpoint = "http://h"\ninstances = {}\n'


async def test_bad_files_leave_the_last_good_configuration_with_one_event_each(tmp_path: Path) -> None:
    """
    Whether the file itself is wrong, or what only the manager can tell; the next good one is taken, whatever happened.
    """
    file = tmp_path / "remora.toml"
    file.write_text(GOOD.format(1))
    applied, send, receive = list[int](), *anyio.create_memory_object_stream[int | Event](99)

    async def apply(config: ManagerConfig) -> ReloadReport:
        plugin = config.plugins["p"]
        if plugin.instances == 7:
            raise ConfigError("plugins.p.instances: nobody wants 7")
        if plugin.instances > 7:
            await send.send(plugin.instances)
            raise (Unavailable if plugin.instances == 8 else ManagerClosed)("not now")
        applied.append(plugin.instances)
        await send.send(plugin.instances)
        return ReloadReport(applied=True)

    with send, receive, anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            follower = Follower(path=file, known=content_of(file), rescan=0.2)
            await group.start(partial(follower.run, apply, send.send_nowait))
            seen = list[int | Event]()
            for number in (2, 0, 3, 7, 8, 9, 4):
                file.write_text(GOOD.format(number))
                seen.append(await receive.receive())
            assert 0 == receive.statistics().current_buffer_used
            group.cancel_scope.cancel()

    events = [each for each in seen if isinstance(each, ConfigRejected)]
    assert [2, 3, 4] == applied
    assert [2, events[0], 3, events[1], 8, 9, 4] == seen
    assert [
        f"{file}:3: plugins.p.instances: expected a whole number of at least 1, got 0",
        f"{file}:3: plugins.p.instances: nobody wants 7",
    ] == [line for each in events for line in each.problems]
    assert {str(file)} == {each.source for each in events}


async def test_a_change_does_not_wait_for_the_calls_that_the_last_one_ends(tmp_path: Path) -> None:
    """
    A reload returns when they have ended; an operator who edits again is not to wait for that.
    """
    file = tmp_path / "remora.toml"
    file.write_text(GOOD.format(1))
    second = anyio.Event()

    async def apply(config: ManagerConfig) -> ReloadReport:
        if config.plugins["p"].instances == 3:
            second.set()
            return ReloadReport(applied=True)
        first.set()
        return await anyio.sleep_forever()  # type: ignore[func-returns-value]

    first = anyio.Event()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            follower = Follower(path=file, known=content_of(file), rescan=0.2)
            await group.start(partial(follower.run, apply, print))
            file.write_text(GOOD.format(2))
            await first.wait()
            file.write_text(GOOD.format(3))
            await second.wait()
            group.cancel_scope.cancel()

    assert second.is_set()
