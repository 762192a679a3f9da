"""
`remora top` in a terminal: with a real host in tmux, and by Textual's pilot, which runs on asyncio as Textual does.
"""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from remora import Unavailable
from remora_admin._top import Top
from tests.contrib.admin.hosts import running
from tests.contrib.admin.statuses import ERROR, instance, part


def status():
    """
    Forty plugins, one of which has an instance that fails.
    """
    names = [f"plugin-{number:02}" for number in range(40)]
    plugins = [
        part(name=name, draining=False, dormant=False, labels={}, instances=[instance(f"{name}-a")]) for name in names
    ]
    plugins[30]["instances"].append(instance("unix:/b.sock", last_error=ERROR, status="unhealthy"))
    what = "its circuit breaker is open"
    problem = {"severity": "bad", "plugin": "plugin-30", "instance": "unix:/b.sock", "what": what, "last_error": ERROR}
    facts = {"status": "degraded", "requests": 7, "success_rate": 0.5, "time": 0.0}
    return {**facts, "plugins": plugins, "problems": [problem]}


def piloted(act, ask, interval=0.1):
    """
    Run the program without a terminal, and do something with it.
    """

    async def run():
        app = Top(ask, interval=interval)
        async with app.run_test(size=(150, 40)) as pilot:
            async with asyncio.timeout(20):
                await act(app, pilot)

    asyncio.run(run())


async def asked():
    return status()


def names(app):
    """
    What stands in the first column, from top to bottom.
    """
    return [str(app._table.get_row_at(row)[0]) for row in range(app._table.row_count)]


async def until(pilot, wanted):
    while not wanted():
        await pilot.pause(0.02)  # whoever looks all the time keeps the program from getting there


def test_what_needs_attention_is_on_the_first_screen():
    """
    The instance, what is wrong, and the last error as it came, which is no markup and no order to the terminal; its
    plugin is the first of the table.
    """

    async def act(app, pilot):
        await until(pilot, lambda: app._table.row_count == 40)
        said = str(app.query_one("#problem-lines").render())
        assert "plugin-30 its circuit breaker is open  unix:/b.sock" in said
        assert "UNAVAILABLE: connection [bold]reset\\x1b[31m\\nroot: no" in said
        assert names(app)[:2] == ["plugin-30", "plugin-00"]

    piloted(act, asked)


def test_keys_open_filter_and_end():
    """
    Enter opens the plugin under the cursor, a opens all, / filters, Escape shows everything, q ends.
    """

    async def act(app, pilot):
        await until(pilot, lambda: app._table.row_count == 40)
        await pilot.press("enter")
        await until(pilot, lambda: app._table.row_count == 42)
        assert names(app)[:3] == ["plugin-30", "  plugin-30-a", "  unix:/b.sock"]
        await pilot.press("a")
        await until(pilot, lambda: app._table.row_count == 81)
        await pilot.press("slash", "b", "full_stop", "s", "o", "c", "k")
        await until(pilot, lambda: names(app) == ["  unix:/b.sock"])
        await pilot.press("escape", "a")
        await until(pilot, lambda: app._table.row_count == 40)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)

    piloted(act, asked, interval=60)  # what a key changes is drawn at once


@pytest.mark.long
def test_the_cursor_stays_where_it_is_while_the_table_is_drawn_anew():
    """
    Twenty times a second, here.
    """

    async def act(app, pilot):
        looks = iter(range(1_000_000))
        app._ask = lambda: asked_again(looks)
        await until(pilot, lambda: app._table.row_count == 40)
        await pilot.press("down", "down")
        before = next(looks)
        await until(pilot, lambda: next(looks) > before + 6)
        assert app._table.cursor_row == 2

    async def asked_again(looks):
        next(looks)
        return status()

    piloted(act, asked, interval=0.05)


def test_a_host_that_is_gone_is_said_and_what_was_known_stays():
    """
    Until it is back.
    """
    answers = [status(), Unavailable("no host answers")]

    async def ask():
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def act(app, pilot):
        notice = app.query_one("#notice")
        await until(pilot, lambda: notice.display)
        assert str(notice.render()).startswith("no host answers. What follows is of ")
        assert app._table.row_count == 40
        answers[0] = status()
        await until(pilot, lambda: not notice.display)

    piloted(act, ask)


@contextmanager
def terminal(tmp_path, *command):
    """
    A terminal of 120 columns in which a command runs; gives what asks tmux, a server of its own, about it.
    """
    tmux = shutil.which("tmux")
    if tmux is None:
        pytest.skip("needs the program tmux")

    def ask(*words):
        done = subprocess.run(
            [tmux, "-S", tmp_path / "tmux", "-f", "/dev/null", *words], capture_output=True, text=True, timeout=10
        )
        return done.stdout if done.returncode == 0 else None

    ask("new-session", "-d", "-x", "120", "-y", "30", *command)
    try:
        yield ask
    finally:
        ask("kill-server")


def eventually(wanted):
    ends = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < ends
        time.sleep(0.02)  # whoever looks all the time keeps the program from getting there
    return True


@pytest.fixture
def watched(config, anyio_backend, tmp_path):
    """
    A terminal in which `remora top` shows a running host, and a descriptor that is readable once `top` has ended.
    """
    with running(config, backend=anyio_backend) as (_, url):
        command = [sys.executable, "-m", "remora_cli", "top", url, "--interval", "0.1"]
        with terminal(tmp_path, *command) as ask:
            assert eventually(
                lambda: "all is well" in (screen := ask("capture-pane", "-p") or "") and "words" in screen
            )
            top = os.pidfd_open(int(ask("display-message", "-p", "#{pane_pid}")))
            try:
                yield ask, top
            finally:
                os.close(top)


def has_ended(top):
    return select.select([top], [], [], 20)[0] == [top]


@pytest.mark.long
def test_top_watches_a_running_host_in_a_terminal(watched):
    """
    The host's plugin is there, and q ends it and gives the terminal back.
    """
    ask, top = watched
    ask("send-keys", "q")

    assert has_ended(top)
    assert eventually(lambda: ask("has-session") is None)


@pytest.mark.long
def test_top_ends_with_its_terminal(watched):
    """
    The system then sends SIGHUP and SIGCONT, here to a program that is about to draw much.
    """
    ask, top = watched
    signal.pidfd_send_signal(top, signal.SIGSTOP)
    ask("kill-server")

    assert has_ended(top)
