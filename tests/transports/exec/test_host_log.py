"""
What a served plugin logs arrives in the log of its host with the level that it had.
"""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import anyio
import pytest

from remora import Manager, PluginError

pytestmark = pytest.mark.anyio

PROGRAM = """
import logging
from remora import serve

class Clumsy:
    async def fail(self, text: str) -> str:
        raise KeyError(text)

    async def warn(self, text: str) -> str:
        logging.getLogger("mine").warning("careful: %s", text)
        logging.getLogger("mine").info("unheard")
        logging.getLogger("mine").warning("%d", text)
        return text

if __name__ == "__main__":
    {setup}
    serve(Clumsy())
"""


async def lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, setup: str = "", *command: str
) -> list[tuple[int, str, object]]:
    """
    Level, text and request id of what the host logs for the plugin.
    """
    (tmp_path / "clumsy.py").write_text(PROGRAM.format(setup=setup or "pass"))
    args = [*command] or ["clumsy.py"]
    table = {"endpoint": f"exec:{sys.executable}", "args": args, "work_dir": str(tmp_path), "service": "Clumsy"}
    with caplog.at_level(logging.INFO, "remora.plugin"), anyio.fail_after(20):
        async with Manager({"plugins": {"p": table}}) as manager:
            await manager.plugin("p", str, str, method="warn").execute("hot", request_id="r-6")
            with pytest.raises(PluginError):
                await manager.plugin("p", str, str, method="fail").execute("x", request_id="r-7")
    records = [each for each in caplog.records if each.name == "remora.plugin.p"]
    return [(each.levelno, each.getMessage(), getattr(each, "fields", {}).get("request_id")) for each in records]


@pytest.mark.parametrize("command", [(), ("-m", "remora_cli", "serve", "clumsy:Clumsy")], ids=["serve", "cli"])
async def test_warnings_and_failures_of_a_plugin_keep_their_levels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, anyio_backend: str, command: tuple[str, ...]
) -> None:
    """
    And say in which call it was; the traceback is in lines, as it was. A record that cannot be written fails no call.
    """
    found = await lines(tmp_path, caplog, "", *command)

    assert (logging.WARNING, "careful: hot", "r-6") == found[0]
    assert (logging.WARNING, "r-6") == (found[1][0], found[1][2])
    assert re.search("logs what cannot be written: .*a real number", found[1][1])
    assert (logging.ERROR, "Clumsy/fail failed", "r-7") in found
    assert (logging.ERROR, "KeyError: 'x'", "r-7") == found[-1]
    assert not any("unheard" in text for _, text, _ in found)


async def test_a_plugin_with_handlers_of_its_own_writes_what_they_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, anyio_backend: str
) -> None:
    """
    Lines of text are of level info, whatever they say.
    """
    found = await lines(tmp_path, caplog, "logging.basicConfig(format='OWN %(message)s', level='INFO')")

    assert (logging.INFO, "OWN careful: hot", None) == found[0]
    assert (logging.INFO, "OWN unheard", None) == found[1]
