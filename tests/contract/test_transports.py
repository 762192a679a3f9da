"""
Every installed transport keeps the contract, over its real wire; the stranger's one too.
"""

from __future__ import annotations

import dataclasses
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import importlib_metadata
import pytest

from remora.errors import ConnectionLost, RemoraError, Unavailable
from remora.protocols import WatchedChannel
from remora.specs import TransportSpec
from remora.testing import ContractViolation, MemoryTransport, check_transport, examine
from tests.transports.exec.forks import fork_server_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from remora.protocols import Channel, Dispatch, Listener
    from remora.types import Call, Endpoint, HealthStatus, Reply

pytestmark = pytest.mark.anyio

TRANSPORTS = {"http": "remora-http", "grpc": "remora-grpc", "unix": "remora-unix", "exec": "remora-exec"}
STRANGERS = {"acme-tcp": "acme-remora-tcp"}


def _spec(entry_point: str) -> TransportSpec[object]:
    (found,) = importlib_metadata.entry_points(group="remora", name=entry_point)
    (spec,) = found.load().remora_register_transports()
    assert isinstance(spec, TransportSpec)
    return spec


@pytest.fixture
def emptied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """
    Nothing is left where temporary files go.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", TRANSPORTS | STRANGERS)
@pytest.mark.long
@pytest.mark.usefixtures("emptied")
async def test_installed_transport_keeps_the_contract(name: str, anyio_backend: str) -> None:
    """
    Loaded by the name of its entry point, as a manager does it.
    """
    assert len(await check_transport(_spec(name))) > 10


@pytest.mark.long
async def test_child_processes_keep_the_contract_in_json_lines_too(anyio_backend: str) -> None:
    """
    The SDK's side of a pipe speaks them beside ttrpc, its default. Here in forks of a server, each ready at once.
    """
    spec = _spec("exec")
    default = spec.options()

    assert default.protocol == "ttrpc"  # type: ignore[attr-defined]
    preload = ("remora.testing._contract",)
    forked = dataclasses.replace(default, protocol="jsonl", start_method="forkserver", preload=preload)  # type: ignore[type-var]
    async with fork_server_of(preload=preload):
        assert await check_transport(spec, forked)


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


class _Changed:
    """
    The memory transport, with a fault.
    """

    def __init__(self, fault: str) -> None:
        self._memory, self._fault = MemoryTransport(), fault

    @property
    def spec(self) -> TransportSpec[Any]:
        return dataclasses.replace(self._memory.spec, build=lambda _: self)

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncIterator[Channel]:
        async with self._memory.open(endpoint) as channel:
            yield _Faulty(channel, self._fault)

    @asynccontextmanager
    async def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AsyncIterator[Listener]:
        async def trusting(call: Call, peer: str, /) -> Reply:
            return await dispatch(dataclasses.replace(call, identity=call.headers.get("x-identity", "")), peer)

        try:
            async with self._memory.listen(endpoint, trusting) as listener:
                yield listener
        except Unavailable as error:
            if self._fault == "foreign":
                raise OSError("address in use") from error
            raise


class _Faulty:
    def __init__(self, channel: Channel, fault: str) -> None:
        self._channel, self._fault = channel, fault

    async def call(self, call: Call, /) -> Reply:
        try:
            if self._fault == "trusting":
                call = dataclasses.replace(call, headers={**call.headers, "x-identity": call.identity})
            reply = await self._channel.call(call)
        except ConnectionLost as error:
            if self._fault == "hanging" and error.sent is not False:
                await anyio.sleep_forever()
            if self._fault == "leaking" and error.sent is False:
                raise anyio.EndOfStream from error
            raise ConnectionLost("gone", sent=False if self._fault == "unsent" else None) from error
        return dataclasses.replace(reply, content_type="application/json") if self._fault == "json" else reply

    async def probe(self) -> HealthStatus:
        return await self._channel.probe()

    async def wait_closed(self) -> RemoraError | None:
        if self._fault == "deaf":
            await anyio.sleep_forever()
        assert isinstance(self._channel, WatchedChannel)
        return await self._channel.wait_closed()


@pytest.mark.parametrize(
    ("fault", "claim", "problem"),
    [
        ("json", "any bytes travel with their content type", "the host sees the content type 'application/json'"),
        ("trusting", "nobody can give himself an identity", "the plugin takes the caller for 'somebody else'"),
        ("hanging", "a plugin that goes away ends its calls", "the call goes on 5 s after its plugin has gone"),
        ("unsent", "a plugin that goes away ends its calls", "the plugin was at work, but `sent` is False"),
        ("deaf", "a channel whose plugin has gone says so", "`wait_closed` waits 5 s after the plugin has gone"),
        ("leaking", "a channel whose plugin has gone says so", "EndOfStream"),
        ("foreign", "an address that is taken is unavailable", "OSError: address in use"),
    ],
)
@pytest.mark.long
async def test_faults_that_only_show_in_production_are_found(
    fault: str, claim: str, problem: str, anyio_backend: str
) -> None:
    """
    Each is named by one claim, and by no other.
    """
    findings = {each.claim: each.problem for each in await examine("transport", _Changed(fault).spec) if each.problem}

    assert [claim] == list(findings)
    assert findings[claim].startswith(problem)


async def test_claims_about_what_is_not_promised_are_left_out(anyio_backend: str) -> None:
    """
    They are neither kept nor broken, and the reason is given.
    """
    spec = MemoryTransport().spec
    skipped = {each.claim: each.skipped for each in await examine("transport", spec) if each.skipped}

    assert "it promises no `native_deadline`" == skipped["a native deadline ends the call"]
    assert not skipped.keys() & set(await check_transport(spec))


def test_entry_points_belong_to_their_distributions() -> None:
    """
    No typo in the names.
    """
    for name, distribution in (TRANSPORTS | STRANGERS).items():
        (found,) = importlib_metadata.entry_points(group="remora", name=name)
        assert found.dist is not None
        assert found.dist.name == distribution
