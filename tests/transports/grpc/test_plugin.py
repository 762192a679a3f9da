"""
The extension's entry.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from remora import TransportSpec
from remora_grpc.plugin import GrpcOptions

QUIET = """
import sys
import anyio
from remora import Call, Endpoint, RemoraError, Reply
from remora_grpc.plugin import GrpcOptions, build

async def echo(call, peer):
    return Reply(payload=call.payload)

async def main():
    transport = build(GrpcOptions())
    try:
        async with transport.open(Endpoint("grpc://127.0.0.1:1")):
            pass
    except RemoraError:
        pass
    async with transport.listen(Endpoint("grpc:"), echo) as listener:
        opened = transport.open(listener.endpoint)
        channel = await opened.__aenter__()
        await channel.call(Call(service="s", method="m"))
    await opened.__aexit__(None, None, None)

anyio.run(main, backend=sys.argv[1])
"""


def test_entry_point_adds_the_transport():
    """
    The transport is found by its entry point's name.
    """
    [entry] = entry_points(group="remora", name="grpc")
    [spec] = entry.load().remora_register_transports()

    assert isinstance(spec, TransportSpec)
    assert ("grpc", ("grpc", "grpcs"), GrpcOptions, True) == (
        spec.name,
        spec.schemes,
        spec.options,
        spec.native_deadline,
    )


@pytest.mark.every_cell
def test_entry_is_light():
    """
    grpcio is not loaded before a transport is built: a process that has it loaded forks badly.
    """
    program = "import sys, remora_grpc.plugin; sys.exit('grpc' in sys.modules or 'trio' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", program], check=False, timeout=30).returncode


def test_nothing_is_written_to_stderr(anyio_backend):
    """
    Neither an unreachable plugin nor one that goes away makes grpcio write to the program's stderr.
    """
    command = [sys.executable, "-W", "error", "-c", QUIET, anyio_backend]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60, text=True)

    assert (0, "") == (done.returncode, done.stderr)
