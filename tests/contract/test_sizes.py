"""
Messages over the limit: the same error on every wire, whichever side has the limit.
"""

from __future__ import annotations

from typing import Any

import pytest

from remora import Code, MessageTooLarge
from tests.contract.wires import WIRES, over

pytestmark = pytest.mark.anyio

LIMIT = 20_000
HOST_LIMIT: dict[str, Any] = {"options": {"max_message_size": LIMIT}}


class Repeater:
    """
    Makes long replies of short requests, and short ones of long requests.
    """

    async def repeat(self, times: int) -> str:
        """
        So many letters.
        """
        return "x" * times

    async def count(self, text: str) -> int:
        """
        How many letters there are.
        """
        return len(text)


async def _check(wire: str, what: str, **settings: Any) -> None:
    async with over(wire, Repeater, **settings) as manager:
        repeater = manager.client("p", Repeater)
        with pytest.raises(MessageTooLarge) as caught:
            await (repeater.repeat(2 * LIMIT) if what == "reply" else repeater.count("x" * 2 * LIMIT))

        assert f"the {what} is larger than {LIMIT} bytes (max_message_size)" == caught.value.message
        assert (Code.RESOURCE_EXHAUSTED, False) == (caught.value.code, caught.value.retryable)
        assert "xx" == await repeater.repeat(2)


@pytest.mark.parametrize("what", ["request", "reply"])
@pytest.mark.parametrize("wire", WIRES)
async def test_what_is_over_the_host_s_limit_has_one_error(wire: str, what: str, anyio_backend: str) -> None:
    """
    Other calls go on.
    """
    await _check(wire, what, **HOST_LIMIT)


@pytest.mark.parametrize("what", ["request", "reply"])
@pytest.mark.parametrize("wire", [wire for wire in WIRES if wire != "oneshot"])  # its errors have no code
async def test_what_is_over_the_plugin_s_limit_has_the_same_error(wire: str, what: str, anyio_backend: str) -> None:
    """
    Though the plugin finds it out.
    """
    await _check(wire, what, limit=LIMIT)


@pytest.mark.parametrize("settings", [HOST_LIMIT, {"limit": LIMIT}], ids=["host", "plugin"])
async def test_every_http_engine_has_the_same_error(settings: Any, anyio_backend: str) -> None:
    """
    As the one that is used by default.
    """
    options = {"engine": "httpx", **settings.get("options", {})}
    await _check("http", "reply", **{**settings, "options": options})
