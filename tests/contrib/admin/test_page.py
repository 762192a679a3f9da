"""
The status page as a browser draws it.
"""

from __future__ import annotations

import re
import shutil

import anyio
import pytest

from remora import PluginError
from tests.contrib.admin.conftest import Moody

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=2000"]
pytestmark = pytest.mark.anyio


async def test_page_shows_what_the_status_says(open_host, tmp_path):
    """
    Numbers, errors, and text of the configuration as text, whatever stands in it.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("needs the program chromium")
    async with open_host() as (manager, client):
        moody = manager.client("moody", Moody)
        for words in ["hello"] * 41:
            await moody.ask(words)
        with pytest.raises(PluginError):
            await moody.ask("fail")
        command = [browser, *OPTIONS, f"--user-data-dir={tmp_path}", "--dump-dom", str(client.base_url)]
        drawn = (await anyio.run_process(command)).stdout.decode()
        status = (await client.get("/status")).json()

    card = re.search(r'(?s)<section class="card" data-plugin="moody">(.*?)</section>', drawn).group(1)
    assert status["plugins"][0]["requests"] == 42
    assert "<b>42</b><span>calls</span>" in card
    assert "<b>97.62 %</b><span>succeeded</span>" in card
    assert "NOT_FOUND: not today" in card
    assert "team=&lt;b&gt;shop&lt;/b&gt;" in card
    assert "<button" not in drawn
    assert '<span id="overall" class="status degraded">degraded</span>' in drawn
