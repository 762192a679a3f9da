"""
A server of grpcio's own, and a caller that gives up.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import anyio
import grpc
from grpc_health.v1 import health, health_pb2_grpc

from remora import Call, Endpoint
from remora.protocols import Channel


@contextmanager
def foreign_server(
    *handlers: grpc.GenericRpcHandler, health_servicer: health.HealthServicer | None = None
) -> Iterator[Endpoint]:
    """
    A server of grpcio, in threads.
    """
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers(handlers)
        if health_servicer is not None:
            health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield Endpoint(f"grpc://127.0.0.1:{port}")
        finally:
            server.stop(None).wait()


async def abandon_a_call(channel: Channel, plugin: Any) -> None:
    """
    Cancel a call once its handler runs, and wait until the handler is cancelled.
    """
    plugin.entered, plugin.cancelled = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(channel.call, Call(service="s", method="hang"))
        await plugin.entered.wait()
        tasks.cancel_scope.cancel()
    await plugin.cancelled.wait()
