"""
Programs, directories, links and interpreters that others may write to: they are refused. Permissions are judged by mode
bits, which root has, too.
"""

from __future__ import annotations

import os
import shutil

import anyio
import anyio.from_thread
import pytest

from remora.config import SecurityConfig
from remora.errors import ConfigError, ExecutableRefused
from tests.transports.exec.security.pinned import answer, pins

pytestmark = pytest.mark.anyio


@pytest.mark.fault(75)
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o722])
@pytest.mark.parametrize("policy", ["strict", "permissive"])
async def test_a_program_that_others_may_write_is_refused(place, program, mode, policy):
    """
    By its mode, so also when root starts it; a pinned hash does not help.
    """
    path = program()
    path.chmod(mode)
    security = SecurityConfig(policy=policy, allow_list=pins(place / "list.toml", path))
    with pytest.raises(ExecutableRefused, match=r"can be written by (everybody|its group).*chmod go-w"):
        await answer(path, security)

    path.chmod(0o755)
    assert await answer(path, security) == "right"


@pytest.mark.fault(75)
@pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777])
async def test_a_program_in_a_directory_that_others_may_write_is_refused(place, program, mode):
    """
    Without any configuration, and also when the directory is sticky.
    """
    (place / "bin").mkdir()
    path = program(name="bin/program")
    (place / "bin").chmod(mode)
    with pytest.raises(ExecutableRefused, match=f"the directory {place}/bin can be written by"):
        await answer(path, SecurityConfig())


@pytest.mark.fault(75)
async def test_directories_further_up_count_unless_they_are_sticky(place, program):
    """
    Who can rename a directory can put another in its place; the sticky bit takes that away.
    """
    (place / "a" / "b").mkdir(parents=True)
    path = program(name="a/b/program")
    (place / "a").chmod(0o1777)
    assert await answer(path, SecurityConfig()) == "right"
    (place / "a").chmod(0o777)
    with pytest.raises(ExecutableRefused, match=f"the directory {place}/a can be written by everybody"):
        await answer(path, SecurityConfig())


@pytest.mark.fault(75)
async def test_a_symbolic_link_in_a_directory_that_others_may_write_is_refused(place, program):
    """
    Who can turn the link can choose the program.
    """
    (place / "open").mkdir()
    (place / "open" / "link").symlink_to(program())
    (place / "open").chmod(0o777)
    with pytest.raises(ExecutableRefused, match=f"the directory {place}/open can be written by everybody"):
        await answer(place / "open" / "link", SecurityConfig())


@pytest.mark.fault(75)
@pytest.mark.parametrize("target", ["{place}/open/link", "../to/../open/link", "{place}/open/folder/program"])
async def test_a_link_on_the_way_that_others_may_turn_is_refused(place, program, target):
    """
    Where one link leads to the next, also by way of a directory; the first and the last are well.
    """
    (place / "open").mkdir()
    (place / "good").mkdir()
    (place / "to").symlink_to(place / "good")
    (place / "open" / "link").symlink_to(program())
    (place / "open" / "folder").symlink_to(place)
    (place / "good" / "link").symlink_to(target.format(place=place))
    assert await answer(place / "good" / "link", SecurityConfig()) == "right"
    (place / "open").chmod(0o777)
    with pytest.raises(ExecutableRefused, match=r"the directory [^ ]*/open can be written by everybody"):
        await answer(place / "good" / "link", SecurityConfig())


@pytest.mark.fault(75)
@pytest.mark.parametrize("reads", [True, False])
async def test_a_script_whose_interpreter_others_may_write_is_refused(place, program, reads):
    """
    It is the interpreter that runs.
    """
    shell, path = place / "shell", program()
    shutil.copyfile("/bin/sh", shell)
    shell.chmod(0o755)
    path.write_text(path.read_text().replace("#!/bin/sh", f"#! {shell} -e"))
    security = SecurityConfig(allow_list=pins(place / "list.toml", path) if reads else "")
    assert await answer(path, security) == "right"
    shell.chmod(0o775)

    with pytest.raises(ExecutableRefused, match=f"{shell} can be written by its group"):
        await answer(path, security)


@pytest.mark.parametrize("weak", ["bwrap", "prlimit"])
async def test_a_sandbox_that_others_may_write_is_none(place, program, monkeypatch, weak):
    """
    Nor is what sets limits before it.
    """
    for name in ("bwrap", "prlimit"):
        (place / f"for-{name}").mkdir(mode=0o755)
        (place / f"for-{name}" / name).write_text("#!/bin/sh\nexec true\n")
        (place / f"for-{name}" / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}/for-{name}", prepend=os.pathsep)
    (place / f"for-{weak}").chmod(0o777)

    with pytest.raises(ConfigError, match=rf"/{weak} is not used: .*can be written by everybody"):
        await answer(program(), SecurityConfig(sandbox="bwrap"))


async def test_what_is_no_plain_file_is_refused_and_blocks_nobody(place):
    """
    A named pipe would never end when it is read.
    """
    os.mkfifo(place / "pipe", 0o755)
    with anyio.fail_after(5), pytest.raises(ExecutableRefused, match="not a plain file"):
        await answer(place / "pipe", SecurityConfig(policy="strict"))
