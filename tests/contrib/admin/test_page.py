"""
The status page as a browser draws it.
"""

from __future__ import annotations

import re

import anyio
import pytest

from remora import Manager, PluginError, Unavailable
from remora.testing import ScriptedTransport
from remora_admin import serving_admin
from tests.browser import OPTIONS, chromium
from tests.contrib.admin.conftest import TOKEN, Moody

pytestmark = pytest.mark.anyio


@pytest.fixture
def draw(tmp_path):
    """
    Gives what a browser has made of a page after two seconds of it.
    """
    browser = chromium()

    async def drawn(url):
        command = [browser, *OPTIONS, f"--user-data-dir={tmp_path}", "--dump-dom", str(url)]
        return (await anyio.run_process(command)).stdout.decode()

    return drawn


async def test_page_shows_what_the_status_says(open_host, draw):
    """
    Numbers, errors, and text of the configuration as text, whatever stands in it.
    """
    async with open_host() as (manager, client):
        moody = manager.client("moody", Moody)
        for words in ["hello"] * 41:
            await moody.ask(words)
        with pytest.raises(PluginError):
            await moody.ask("fail")
        drawn = await draw(client.base_url)
        status = (await client.get("/status")).json()

    card = re.search(r'(?s)<details data-plugin="moody" open="">(.*?)</details>', drawn).group(1)
    assert status["plugins"][0]["requests"] == 42
    assert "<b>42</b><span>calls</span>" in card
    assert "<b>97.62 %</b><span>succeeded</span>" in card
    assert "NOT_FOUND: not today" in card
    assert "team=&lt;b&gt;shop&lt;/b&gt;" in card
    assert "<button data-act" not in drawn
    assert '<span id="overall" class="status degraded">degraded</span>' in drawn


async def test_page_follows_what_happens_and_has_buttons_for_whoever_has_the_token(open_host, draw):
    """
    Calls that are made while it is looked at are in its drawing of the latency.
    """

    async def keep_calling(ask):
        while True:
            await ask("hello")
            await anyio.sleep(0.01)

    async with open_host(admin_token=TOKEN) as (manager, client), anyio.create_task_group() as group:
        group.start_soon(keep_calling, manager.client("moody", Moody).ask)
        drawn = await draw(client.base_url)
        group.cancel_scope.cancel()

    card = re.search(r'(?s)<details data-plugin="moody" open="">(.*?)</details>', drawn).group(1)
    assert re.search(r'<polyline points="[^"]*\d+(\.\d+)?,\d+(\.\d+)? ?[^"]*">', card)
    assert re.findall(r'<button data-act="([^"]*)">(\w+)</button>', drawn) == [
        ("reload", "Reload"),
        ("plugins/away/restart", "Restart"),
        ("plugins/away/drain", "Drain"),
        ("plugins/moody/restart", "Restart"),
        ("plugins/moody/drain", "Drain"),
    ]


async def test_the_bad_instance_of_many_plugins_is_on_the_first_screen(draw):
    """
    Thirty plugins, one of whose instances fails: it is named, with its last error, before everything else; its plugin
    is the first in the table, and can be linked to.
    """
    transport = ScriptedTransport()
    patience = {"failure_limit": 100}  # else it may be unhealthy by then, and nothing more is said of it
    plugins = {
        f"plugin-{number:02}": {
            "endpoints": [f"script:{number}-a", f"script:{number}-b"],
            "health_check": patience,
        }
        for number in range(30)
    }
    transport.plugin("17-b").failure = lambda: Unavailable("connection <reset> by peer")
    with anyio.fail_after(30):
        async with (
            Manager({"plugins": plugins}, extensions=[transport.extension]) as manager,
            serving_admin(manager, port=0) as url,
        ):
            bad = manager.plugin("plugin-17", str, str)
            for _ in range(20):
                await bad.execute("x", idempotent=True)
            drawn = await draw(f"{url}#plugin-17")

    problems, table = drawn.split('<main id="plugins"')
    assert "Needs attention: 1<" in problems
    assert re.search(
        r">plugin-17</button> <span[^>]*>[^<]*% of its attempts fail</span> <span[^>]*>script:17-b<", problems
    )
    assert "UNAVAILABLE: connection &lt;reset&gt; by peer" in problems
    assert re.findall(r'<details data-plugin="([^"]*)"( open="")?>', table)[:2] == [
        ("plugin-17", ' open=""'),
        ("plugin-00", ""),
    ]
    assert len(re.findall(r"<details ", table)) == 30
