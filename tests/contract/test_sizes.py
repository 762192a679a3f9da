"""
Messages over the limit: the same error on every wire, whichever side has the limit.
"""

from __future__ import annotations

from typing import Any

import pytest

from remora import Code, MessageTooLarge
from tests.contract.services import Lengths
from tests.contract.wires import WIRES, over

pytestmark = pytest.mark.anyio

LIMIT = 20_000
HOST_LIMIT: dict[str, Any] = {"options": {"max_message_size": LIMIT}}


async def _check(wire: str, what: str, **settings: Any) -> None:
    async with over(wire, Lengths, **settings) as manager:
        lengths = manager.client("p", Lengths)
        with pytest.raises(MessageTooLarge) as caught:
            await (lengths.repeat(2 * LIMIT) if what == "reply" else lengths.count("x" * 2 * LIMIT))

        assert f"the {what} is larger than {LIMIT} bytes (max_message_size)" == caught.value.message
        assert (Code.RESOURCE_EXHAUSTED, False) == (caught.value.code, caught.value.retryable)
        assert "xx" == await lengths.repeat(2)


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
