"""
Files that change in all the ways in which people and programs change them, on a real file system.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from remora import ConfigError, Manager, NotInstalled
from remora._watch import content_of, folders_of, require_watching, watch_config
from remora.config import LoadedConfig

pytestmark = pytest.mark.anyio

Found = LoadedConfig | ConfigError


def text(instances: int) -> str:
    """
    A configuration with a number to tell it by.
    """
    return f'[plugins.p]\nendpoint = "http://h"\ninstances = {instances}\n'


def instances(found: Found) -> int:
    """
    The number.
    """
    assert isinstance(found, LoadedConfig), found
    return found.config.plugins["p"].instances


@asynccontextmanager
async def watching(path: Path, *, rescan: float = 60.0) -> AsyncIterator[MemoryObjectReceiveStream[Found]]:
    """
    What is reported about a path from now on.
    """
    send, receive = anyio.create_memory_object_stream[Found](99)
    with send, receive, anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            known = content_of(path)

            async def start(*, task_status: anyio.abc.TaskStatus[None]) -> None:
                await watch_config(path, send.send, known=known, rescan=rescan, task_status=task_status)

            await group.start(start)
            yield receive
            group.cancel_scope.cancel()


def in_place(file: Path, content: str) -> None:
    """
    Open, truncate, write.
    """
    file.write_text(content)


def renamed(file: Path, content: str) -> None:
    """
    As editors and tools for deployment do it.
    """
    other = file.with_name(".new")
    other.write_text(content)
    os.replace(other, file)


def created_anew(file: Path, content: str) -> None:
    """
    Without a file in between.
    """
    file.unlink()
    file.write_text(content)


def through_backup(file: Path, content: str) -> None:
    """
    As vim does it.
    """
    os.rename(file, f"{file}~")
    file.write_text(content)
    os.unlink(f"{file}~")


@pytest.mark.fault(49)
@pytest.mark.parametrize("write", [in_place, renamed, created_anew, through_backup])
async def test_a_change_is_reported_once(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    """
    However it is made, time and again.
    """
    file = tmp_path / "remora.toml"
    file.write_text(text(1))

    async with watching(file) as reports:
        for number in (2, 3, 4):
            write(file, text(number))
            assert number == instances(await reports.receive())

        assert 0 == reports.statistics().current_buffer_used


TRIES = 12
"""How often a change may be late because the machine has other things to do."""


@pytest.mark.parametrize("write", [in_place, renamed])
async def test_a_change_is_reported_within_half_a_second(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    """
    Not by looking again, which happens once in a minute here: a watch that was late by itself would always be.
    """
    file = tmp_path / "remora.toml"
    file.write_text(text(1))
    taken = list[float]()

    async with watching(file) as reports:
        while len(taken) < TRIES and min(taken, default=1.0) >= 0.5:
            begun = monotonic()
            write(file, text(len(taken) + 2))
            assert len(taken) + 2 == instances(await reports.receive())
            taken.append(monotonic() - begun)

    assert min(taken) < 0.5


@pytest.mark.fault(49)
async def test_a_volume_of_kubernetes_is_followed(tmp_path: Path) -> None:
    """
    A link to a folder is replaced; the file's own link never changes.
    """

    def publish(version: int) -> None:
        folder = tmp_path / f"..2026_{version}"
        folder.mkdir()
        (folder / "remora.toml").write_text(text(version))
        (tmp_path / "..data_tmp").symlink_to(folder.name)
        os.replace(tmp_path / "..data_tmp", tmp_path / "..data")
        shutil.rmtree(tmp_path / f"..2026_{version - 1}", ignore_errors=True)

    publish(1)
    file = tmp_path / "remora.toml"
    file.symlink_to("..data/remora.toml")

    async with watching(file) as reports:
        for version in (2, 3, 4):
            publish(version)
            assert version == instances(await reports.receive())


async def test_a_link_to_a_file_elsewhere_is_followed(tmp_path: Path) -> None:
    """
    Both what it leads to and where it leads.
    """
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "real.toml").write_text(text(1))
    file = tmp_path / "a" / "remora.toml"
    file.symlink_to("../b/real.toml")

    async with watching(file) as reports:
        (tmp_path / "b" / "real.toml").write_text(text(2))
        assert 2 == instances(await reports.receive())
        (tmp_path / "c" / "real.toml").write_text(text(3))
        (tmp_path / "a" / "new").symlink_to("../c/real.toml")
        os.replace(tmp_path / "a" / "new", file)
        assert 3 == instances(await reports.receive())
        (tmp_path / "c" / "real.toml").write_text(text(4))
        assert 4 == instances(await reports.receive())


@pytest.mark.fault(49)
async def test_what_changes_nothing_is_not_reported(tmp_path: Path) -> None:
    """
    A touch, the same text again, other files, and text that is back before anybody looks.
    """
    file = tmp_path / "remora.toml"
    file.write_text(text(1))

    async with watching(file) as reports:
        os.utime(file)
        in_place(file, text(1))
        renamed(file, text(1))
        (tmp_path / "other.toml").write_text("[")
        in_place(file, text(5))
        in_place(file, text(1))
        in_place(file, text(2))

        assert 2 == instances(await reports.receive())
        assert 0 == reports.statistics().current_buffer_used


@pytest.mark.fault(47, 49)
async def test_a_file_that_is_wrong_or_gone_is_reported_once(tmp_path: Path) -> None:
    """
    With the clear error; then the good one that follows.
    """
    file = tmp_path / "remora.toml"
    file.write_text(text(1))

    async with watching(file, rescan=0.2) as reports:
        renamed(file, text(0))
        wrong = await reports.receive()
        file.unlink()
        gone = await reports.receive()
        file.write_text(text(3))
        assert 3 == instances(await reports.receive())

        assert f"{file}:3: plugins.p.instances: expected a whole number of at least 1, got 0" == str(wrong)
        assert f"{file}: No such file or directory" == str(gone)
        assert 0 == reports.statistics().current_buffer_used


def piped(file: Path) -> None:
    """
    A pipe, which nobody writes to.
    """
    os.mkfifo(file)


def folder(file: Path) -> None:
    """
    A directory of the same name, which is one of fragments then.
    """
    file.mkdir()


def circle(file: Path) -> None:
    """
    A link to itself.
    """
    file.symlink_to(file.name)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (piped, "{}: it is not a regular file"),
    "a device": (lambda file: file.symlink_to("/dev/zero"), "{}: it is not a regular file"),
    "a directory": (folder, "{}: no file in this directory ends in .toml, .json, .yaml, .yml"),
    "a circle": (circle, "{}: Too many levels of symbolic links"),
    "cut short": (lambda file: file.write_text('[plugins.p]\nendpoint = "ht'), "{}:2: Unterminated string"),
    "cut to nothing": (lambda file: file.write_text("\n"), "{}: the file is empty, as after a write"),
    "no text": (lambda file: file.write_bytes(text(2).encode("utf-16")), "{}:1: 'utf-8' codec can't decode byte"),
    "huge": (lambda file: (file.touch(), os.truncate(file, 50_000_000)), "{}: it is larger than 8 MiB"),
}


@pytest.mark.fault(47)
async def test_whatever_a_file_becomes_is_one_report_and_the_next_good_one_is_taken(tmp_path: Path) -> None:
    """
    Also where reading would never end; the watch goes on, and ends when it is cancelled.
    """
    file = tmp_path / "remora.toml"
    file.write_text(text(1))

    async with watching(file, rescan=0.2) as reports:
        for number, (make, problem) in enumerate(WRONG.values(), start=2):
            file.unlink()
            make(new := tmp_path / "new.toml") if make is not circle else make(file)
            if make is not circle:
                os.rename(new, file)
            wrong = await _next_but_gone(reports)
            assert str(wrong).startswith(problem.format(file)), str(wrong)
            file.rmdir() if make is folder else file.unlink()
            file.write_text(text(number))
            assert number == instances(await _next_but_gone(reports))

        assert 0 == reports.statistics().current_buffer_used


async def _next_but_gone(reports: MemoryObjectReceiveStream[Found]) -> Found:
    """
    The next report that is not of the moment when the file was not there.
    """
    while "No such file" in str(found := await reports.receive()):
        pass
    return found


async def test_a_fragment_with_nothing_in_it_is_not_believed(tmp_path: Path) -> None:
    """
    Its plugins go on; the rest of the directory is not taken either.
    """
    conf = tmp_path / "conf.d"
    conf.mkdir()
    (conf / "a.toml").write_text(text(1))
    (conf / "b.toml").write_text('[plugins.q]\nendpoint = "http://q"\n')

    async with watching(conf) as reports:
        (conf / "b.toml").write_text("")
        assert str(await reports.receive()).startswith(f"{conf}/b.toml: the file is empty")
        (conf / "b.toml").write_text("# none now")
        found = await reports.receive()

        assert isinstance(found, LoadedConfig)
        assert ["p"] == list(found.config.plugins)


async def test_a_change_that_nobody_is_told_of_is_found_by_looking_again(tmp_path: Path) -> None:
    """
    As through another name of the file, in a folder that is not watched.
    """
    file, elsewhere = tmp_path / "watched" / "remora.toml", tmp_path / "not" / "watched.toml"
    file.parent.mkdir()
    elsewhere.parent.mkdir()
    file.write_text(text(1))
    os.link(file, elsewhere)

    async with watching(file, rescan=0.5) as reports:
        elsewhere.write_text(text(2))
        assert 2 == instances(await reports.receive())  # perhaps by the look with which the watch begins
        elsewhere.write_text(text(3))
        assert 3 == instances(await reports.receive())


async def test_fragments_of_a_directory_are_watched_together(tmp_path: Path) -> None:
    """
    New ones, changed ones, and those that are gone; the directory itself may be replaced.
    """
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "a.toml").write_text('[plugins.p]\nendpoint = "http://h"\n')

    async with watching(folder, rescan=0.5) as reports:
        (folder / "b.json").write_text('{"plugins": {"p": {"instances": 2}}}')
        assert 2 == instances(await reports.receive())
        (folder / "b.json").write_text('{"plugins": {"p": {"instances": 3}}}')
        assert 3 == instances(await reports.receive())
        (folder / "b.json").unlink()
        assert 1 == instances(await reports.receive())
        (folder / "notes.txt").write_text("x")
        shutil.copytree(folder, tmp_path / "new")
        (tmp_path / "new" / "c.toml").write_text("[plugins.p]\ninstances = 4\n")
        os.rename(folder, tmp_path / "old")
        os.rename(tmp_path / "new", folder)
        assert 4 == instances(await reports.receive())
        (folder / "c.toml").write_text("[plugins.p]\ninstances = 5\n")
        assert 5 == instances(await reports.receive())

        assert 0 == reports.statistics().current_buffer_used


async def test_what_changes_before_the_watch_begins_or_during_a_report_is_not_missed(tmp_path: Path) -> None:
    """
    The newest content is reported, and what lies between may be left out.
    """
    file = tmp_path / "remora.toml"
    file.write_text(text(1))
    known = content_of(file)
    file.write_text(text(2))
    seen, entered, go = list[int](), anyio.Event(), anyio.Event()

    async def report(found: Found) -> None:
        seen.append(instances(found))
        if 2 == seen[-1]:
            entered.set()
            await go.wait()
        if 4 == seen[-1]:
            group.cancel_scope.cancel()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:

            async def start() -> None:
                await watch_config(file, report, known=known, rescan=60.0)

            group.start_soon(start)
            await entered.wait()
            file.write_text(text(3))
            file.write_text(text(4))
            go.set()

    assert [2, 4] == seen


def test_folders_are_those_of_all_links_on_the_way(tmp_path: Path) -> None:
    """
    Links that lead in a circle, or nowhere, end the search.
    """
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "l").symlink_to("a")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "a" / "b" / "out").symlink_to("/nosuch/folder/x")
    top = str(tmp_path)

    assert {top, f"{top}/a/b", f"{top}/l/b"} >= folders_of(tmp_path / "l" / "b" / "x.toml") >= {top, f"{top}/a/b"}
    assert {top} == folders_of(tmp_path / "circle")
    assert {f"{top}/a/b", "/"} == folders_of(tmp_path / "a" / "b" / "out")
    assert {top} == folders_of(tmp_path / "no" / "such" / "x.toml")


def test_watching_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Before anything is started.
    """
    monkeypatch.setitem(sys.modules, "watchfiles", None)

    with pytest.raises(NotInstalled, match=r'pip install "remora\[watch\]"'):
        require_watching()


def test_plan_says_that_following_manifests_needs_a_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    As a reload would.
    """
    monkeypatch.setitem(sys.modules, "watchfiles", None)

    with pytest.raises(NotInstalled, match=r'pip install "remora\[watch\]"'):
        Manager({}).plan({"discovery": {"directories": [str(tmp_path)], "watch": True}})
