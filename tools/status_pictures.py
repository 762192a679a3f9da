"""
Take pictures of the status page and of `remora top` for the documentation: docs/images/status*.png and top.svg.

    python tools/status_pictures.py

A host with thirty plugins runs here for a while: one of four instances of `payments` fails, a circuit breaker of
`search` is open, `orders` is being drained, `images` dies repeatedly, an instance of `geo` cannot be reached. It needs
Chromium. Nothing checks that the pictures are up to date: take them again when the page changes.
"""

from __future__ import annotations

import random
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from remora import Code, Manager, PluginError, RemoraError, Unavailable
from remora.testing import ScriptedTransport
from remora_admin import serving_admin
from remora_admin._top import Top

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
NAMES = (
    "auth billing cart catalog checkout currency email fraud-detection geo images inventory invoices ledger loyalty"
    " mailer notifications orders payments pricing profiles quotes recommendations reports search sessions shipping"
    " sms stock taxes warehouse"
)
COUNTS = {"payments": 4, "search": 3, "images": 1}
WARMING_UP, PICTURE_TIME = 20.0, 15_000
_FOREIGN = re.compile(r"(?s)@font-face \{.*?\}\s*|<!--.*?-->\s*")  # a picture must not load anything from elsewhere
LOOKS = {"status": ("1280,1000", 1), "status-dark": ("1280,1000", 0), "status-phone": ("500,1150", 1)}


def address(name: str, number: int) -> str:
    """
    The address of an instance.
    """
    return f"{name}-{number}.internal:8443"


def plugins(rng: random.Random, transport: ScriptedTransport) -> dict[str, Any]:
    """
    The tables of thirty plugins; their instances answer after a delay.
    """
    found: dict[str, Any] = {}
    for name in NAMES.split():
        addresses = [address(name, number) for number in range(COUNTS.get(name, rng.choice([1, 2, 2, 3])))]
        for each in addresses:
            transport.plugin(each).latency = rng.choice([0.002, 0.01, 0.03, 0.08])
        found[name] = {
            "endpoints": [f"script:{each}" for each in addresses],
            "circuit_breaker": {"enabled": True, "failure_threshold": 5, "recovery_timeout": 600},
            "health_check": {"enabled": True, "interval": 2, "timeout": 1},
            "retry": {"max_retries": 1},
            "labels": {"team": rng.choice(["shop", "money", "core"])},
        }
    return found


async def misbehave(rng: random.Random, transport: ScriptedTransport, manager: Manager) -> None:
    """
    Let some instances fail, and drain a plugin.
    """
    transport.plugin(address("search", 1)).failure = lambda: Unavailable("connection reset by peer")
    payments, images = transport.plugin(address("payments", 2)), transport.plugin(address("images", 0))
    images.start_time = 3
    await manager.drain("orders", 5)
    while True:
        payments.failure = rng.choice([None, None, refused])
        await anyio.sleep(0.2)
        if rng.random() < 0.08:
            images.crash()


def refused() -> RemoraError:
    """
    The error that an instance sometimes returns.
    """
    return PluginError("card processor answered 502 Bad Gateway", code=Code.INTERNAL)


async def keep_calling(manager: Manager, name: str, rng: random.Random) -> None:
    """
    Call a plugin at random intervals.
    """
    handle, rate = manager.plugin(name, str, str), rng.choice([2, 5, 10, 20])

    async def call() -> None:
        with suppress(RemoraError):
            await handle.execute("hello", timeout=5)

    async with anyio.create_task_group() as group:
        while True:
            group.start_soon(call)
            await anyio.sleep(rng.expovariate(rate))


async def photograph(url: str) -> None:
    """
    Take pictures of the page in light and dark mode, and on a phone.
    """
    browser = shutil.which("chromium") or "chromium"
    for name, (size, scheme) in LOOKS.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
            command += [f"--user-data-dir={folder}", f"--window-size={size}", f"--virtual-time-budget={PICTURE_TIME}"]
            command += [f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={FOLDER / name}.png", url]
            await anyio.run_process(command)


async def draw_top(url: str) -> None:
    """
    Draw `remora top`, with the instances of one plugin.
    """
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:

        async def ask() -> Mapping[str, Any]:
            found: Mapping[str, Any] = (await client.get("/status")).json()
            return found

        app = Top(ask)
        async with app.run_test(size=(132, 34)) as pilot:
            await anyio.sleep(2)
            await pilot.press("down", "enter")
            await anyio.sleep(2)
            drawn = _FOREIGN.sub("", app.export_screenshot(title="remora top"))
            (FOLDER / "top.svg").write_text(drawn)


async def main() -> None:
    """
    Take all pictures.
    """
    rng, transport = random.Random(4), ScriptedTransport()
    tables = plugins(rng, transport)
    tables["payments"]["circuit_breaker"]["enabled"] = False
    transport.plugin(address("geo", 0)).is_refusing = True
    async with (
        Manager({"plugins": tables}, extensions=[transport.extension]) as manager,
        serving_admin(manager, port=0) as url,
        anyio.create_task_group() as group,
    ):
        for name in tables:
            group.start_soon(keep_calling, manager, name, rng)
        group.start_soon(misbehave, rng, transport, manager)
        await anyio.sleep(WARMING_UP)
        await photograph(url)
        await draw_top(url)
        group.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
