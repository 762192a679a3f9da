"""
Every installed transport keeps the contract, over its real wire; the stranger's one too.
"""

from __future__ import annotations

import dataclasses

import importlib_metadata
import pytest

from remora.specs import TransportSpec
from remora.testing import ContractViolation, MemoryTransport, check_transport

pytestmark = pytest.mark.anyio

TRANSPORTS = {"http": "remora-http", "grpc": "remora-grpc", "unix": "remora-unix", "exec": "remora-exec"}
STRANGERS = {"acme-tcp": "acme-remora-tcp"}


def _spec(entry_point: str) -> TransportSpec[object]:
    (found,) = importlib_metadata.entry_points(group="remora", name=entry_point)
    (spec,) = found.load().remora_register_transports()
    assert isinstance(spec, TransportSpec)
    return spec


@pytest.mark.parametrize("name", TRANSPORTS | STRANGERS)
async def test_installed_transport_keeps_the_contract(name: str, anyio_backend: str) -> None:
    """
    Loaded by the name of its entry point, as a manager does it.
    """
    assert len(await check_transport(_spec(name))) > 10


async def test_child_processes_keep_the_contract_in_json_lines_too(anyio_backend: str) -> None:
    """
    The SDK's side of a pipe speaks them beside ttrpc, its default.
    """
    spec = _spec("exec")
    default = spec.options()

    assert default.protocol == "ttrpc"  # type: ignore[attr-defined]
    assert await check_transport(spec, dataclasses.replace(default, protocol="jsonl"))  # type: ignore[type-var]


async def test_memory_transport_keeps_the_contract(anyio_backend: str) -> None:
    """
    The fake that tests rely on is held to what the real ones are.
    """
    assert await check_transport(MemoryTransport().spec)


async def test_a_transport_that_breaks_the_contract_is_told_which_claim(anyio_backend: str) -> None:
    """
    The kit fails what is wrong: here, a transport that loses the headers.
    """
    transport = MemoryTransport()

    class Forgetful:
        def __getattr__(self, name: str) -> object:
            return getattr(transport, name)

        def open(self, endpoint: object) -> object:
            return _Forgetting(transport.open(endpoint))  # type: ignore[arg-type]

    spec = dataclasses.replace(transport.spec, build=lambda _: Forgetful())  # type: ignore[arg-type, return-value]

    with pytest.raises(ContractViolation, match="request id and headers travel both ways"):
        await check_transport(spec)


class _Forgetting:
    def __init__(self, context: object) -> None:
        self._context = context

    async def __aenter__(self) -> object:
        self._channel = await self._context.__aenter__()  # type: ignore[attr-defined]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._context.__aexit__(*exc)  # type: ignore[attr-defined]

    async def call(self, call: object) -> object:
        return await self._channel.call(dataclasses.replace(call, headers={}))  # type: ignore[type-var]

    async def probe(self) -> object:
        return await self._channel.probe()


def test_entry_points_belong_to_their_distributions() -> None:
    """
    No typo in the names.
    """
    for name, distribution in (TRANSPORTS | STRANGERS).items():
        (found,) = importlib_metadata.entry_points(group="remora", name=name)
        assert found.dist is not None
        assert found.dist.name == distribution
