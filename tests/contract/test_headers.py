"""
Headers: what one wire carries all do, and what one cannot carry is refused the same way on all.
"""

from __future__ import annotations

from typing import Any

import pytest

from remora import CallOptions, Code, InvalidRequest, PluginError
from tests.contract.services import Looker
from tests.contract.wires import WIRES, over

pytestmark = pytest.mark.anyio

OWN = "a wire sets it by itself"
NAME = "a name is made of letters, digits, '-', '_' and '.'"
VALUE = "its value is to be text of printable ASCII"
WRONG: list[tuple[Any, str]] = [
    *((name, OWN) for name in ("Content-Type", "content-length", "Host", "connect-timeout-ms", "grpc-timeout", "TE")),
    ("remora-content-type", OWN),
    ("X-Request-Id", "it is the identifier of the call, which `request_id` sets"),
    *((name, NAME) for name in ("", "a b", "a:b", "a\nb", "x-\xe4", "x!", 1)),
]
WRONG_VALUES: list[Any] = ["Ünï", "€", "a\nb", "a\r\nx-evil: 1", "a\0b", "\x7f", b"bytes", 1]


@pytest.mark.parametrize("wire", WIRES)
async def test_what_a_wire_cannot_carry_is_refused_by_name(wire: str, anyio_backend: str) -> None:
    """
    Before anything is sent, and in the same words on every wire; a value may be a secret, and is not quoted.
    """
    async with over(wire, Looker) as manager:
        wrong = [*((name, "1", why) for name, why in WRONG), *(("x-user", value, VALUE) for value in WRONG_VALUES)]
        for name, value, why in wrong:
            with pytest.raises(InvalidRequest) as caught:
                options = CallOptions(headers={name: value})
                await manager.execute("p", {}, dict, service="Looker", method="look", options=options)

            assert f"the header {name!r} cannot be sent: {why}" == caught.value.message
            assert caught.value.sent is False


@pytest.mark.parametrize("wire", [wire for wire in WIRES if wire != "oneshot"])
async def test_what_is_not_refused_arrives(wire: str, anyio_backend: str) -> None:
    """
    The same on every wire that has headers.
    """
    headers = {"X-User": " pad ", "x_a.b-c": "!\"#$%&'()*+,;<=>?@[]^`{|}~", "authorization": "Bearer x", "x-empty": ""}
    expected = {name.lower(): value.strip() for name, value in headers.items()}
    async with over(wire, Looker) as manager:
        options = CallOptions(headers=headers)
        seen = await manager.execute("p", {}, dict, service="Looker", method="look", options=options)

    assert expected == {name: seen.get(name) for name in expected}


@pytest.mark.parametrize("wire", [wire for wire in WIRES if wire != "oneshot"])
async def test_a_handler_that_answers_with_a_header_of_the_wire_has_failed(wire: str, anyio_backend: str) -> None:
    """
    Its log says which header it was.
    """
    async with over(wire, Looker) as manager:
        looker = manager.client("p", Looker)
        await looker.answer("x-answer")
        with pytest.raises(PluginError) as caught:
            await looker.answer("content-type")

    assert Code.INTERNAL is caught.value.code
