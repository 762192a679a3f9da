"""
Peers that know nothing of Remora: grpcio's synchronous stack in both roles, and its health service.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import anyio.to_thread
import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from remora import (
    AccessConfig,
    AuthConfig,
    Call,
    Code,
    ConnectionLost,
    DeadlineExceeded,
    Endpoint,
    Manager,
    ManagerConfig,
    PluginConfig,
    PluginError,
    RemoraError,
    Reply,
    Secret,
    ServeOptions,
    Status,
    Unavailable,
    serving,
)
from remora.protocols import Channel
from remora.wire import decode_struct, encode_struct
from tests.transports.grpc.peers import foreign_server

pytestmark = pytest.mark.anyio

HANGING = """
import threading
from concurrent.futures import ThreadPoolExecutor
import grpc

class Hanging(grpc.GenericRpcHandler):
    def service(self, details):
        def hang(request, context):
            print("entered", flush=True)
            threading.Event().wait()
        return grpc.unary_unary_rpc_method_handler(hang)

server = grpc.server(ThreadPoolExecutor(1))
server.add_generic_rpc_handlers((Hanging(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
"""

Behaviour = Callable[[bytes, grpc.ServicerContext], bytes]

MERGE = Call(
    service="acme.Struct",
    method="Merge",
    payload=encode_struct({"a": 1}),
    content_type="application/proto",
    request_id="r-1",
)


async def test_foreign_caller_sends_protobuf(transport, free):
    """
    A generated stub's call reaches the plugin; without a media type, since such callers send none.
    """
    seen = list[Call]()

    async def upper(call: Call, peer: str) -> Reply:
        seen.append(call)
        text = StringValue.FromString(call.payload).value
        return Reply(payload=StringValue(value=text.upper()).SerializeToString(), content_type="")

    def ask(channel: grpc.Channel) -> str:
        method = channel.unary_unary("/text.v1.Text/Upper", StringValue.SerializeToString, StringValue.FromString)
        metadata = (("x-request-id", "r-7"), ("x-tenant", "acme"))
        answer: StringValue = method(StringValue(value="shark"), timeout=5, metadata=metadata)
        return answer.value

    with anyio.fail_after(10):
        async with transport.listen(free, upper) as listener:
            answer = await _with_channel(listener.endpoint, ask)

    assert "SHARK" == answer
    assert ("text.v1.Text", "Upper", "", "r-7") == (
        seen[0].service,
        seen[0].method,
        seen[0].content_type,
        seen[0].request_id,
    )
    assert {"x-tenant": "acme"} == seen[0].headers
    assert seen[0].deadline is not None


async def test_foreign_caller_sends_json(transport, free, plugin):
    """
    Bytes are bytes.
    """

    def ask(channel: grpc.Channel) -> object:
        return json.loads(channel.unary_unary("/s/m")(b'{"a": [1, 2]}', timeout=5))

    with anyio.fail_after(10):
        async with transport.listen(free, plugin) as listener:
            answer = await _with_channel(listener.endpoint, ask)

    assert {"a": [1, 2]} == answer


async def test_foreign_caller_understands_an_error(transport, free, plugin):
    """
    Code and message come as gRPC's own, details as google.rpc.Status.
    """

    def ask(channel: grpc.Channel) -> grpc.RpcError:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/s/refuse")(b"", timeout=5)
        return caught.value

    with anyio.fail_after(10):
        async with transport.listen(free, plugin) as listener:
            error = await _with_channel(listener.endpoint, ask)

    trailing = dict(error.trailing_metadata())
    assert (grpc.StatusCode.NOT_FOUND, "no such üser") == (error.code(), error.details())
    assert b"google.protobuf.Struct" in trailing["grpc-status-details-bin"]
    assert "because" == trailing["x-why"]


async def test_foreign_caller_who_cancels_cancels_the_handler(transport, free, plugin):
    """
    The handler of an abandoned call does not run on.
    """
    go = threading.Event()

    def ask(channel: grpc.Channel) -> None:
        future = channel.unary_unary("/s/hang").future(b"")
        go.wait(5)
        future.cancel()
        with pytest.raises(grpc.FutureCancelledError):
            future.result(timeout=5)

    with anyio.fail_after(10):
        async with transport.listen(free, plugin) as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(_with_channel, listener.endpoint, ask)
            await plugin.entered.wait()
            go.set()
            await plugin.cancelled.wait()


async def test_foreign_caller_asks_for_health(transport, free, plugin):
    """
    The standard stub gets an answer; its stream `Watch` is not implemented.
    """

    def ask(channel: grpc.Channel) -> tuple[int, grpc.StatusCode]:
        stub = health_pb2_grpc.HealthStub(channel)
        checked = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        with pytest.raises(grpc.RpcError) as caught:
            next(iter(stub.Watch(health_pb2.HealthCheckRequest(), timeout=5)))
        return checked.status, caught.value.code()

    with anyio.fail_after(10):
        async with transport.listen(free, plugin) as listener:
            answer = await _with_channel(listener.endpoint, ask)

    assert (health_pb2.HealthCheckResponse.SERVING, grpc.StatusCode.UNIMPLEMENTED) == answer


async def test_foreign_plugin_sees_basic_as_every_server_knows_it():
    """
    RFC 7617 in the metadata `authorization`, with text in UTF-8.
    """
    seen = list[str]()

    def note(request: bytes, context: grpc.ServicerContext) -> bytes:
        seen.extend(value for name, value in context.invocation_metadata() if name == "authorization")
        return b"1"

    with foreign_server(_Everything(note)) as endpoint, anyio.fail_after(10):
        auth = AuthConfig(method="basic", username="Aladdin", password=Secret("open: sésame"))
        config = PluginConfig(name="p", endpoint=endpoint.url, service="s", method="m", auth=auth)
        async with Manager(ManagerConfig(plugins={"p": config})) as manager:
            answer = await manager.execute("p", None, int)

    assert 1 == answer
    (header,) = set(seen)
    scheme, _, proof = header.partition(" ")
    assert ("Basic", "Aladdin:open: sésame") == (scheme, base64.b64decode(proof, validate=True).decode())


async def test_foreign_caller_shows_basic():
    """
    As metadata; without it, or with a wrong password, it is UNAUTHENTICATED.
    """

    def ask(channel: grpc.Channel) -> list[object]:
        return [_status(channel, password) for password in ("right", "wrong", None)]

    access = AccessConfig(method="basic", username="u", password=Secret("right"))
    with anyio.fail_after(10):
        async with serving(_Echo(), listen="grpc:", options=ServeOptions(auth=access)) as served:
            answers = await _with_channel(served.endpoints[0], ask)

    assert [grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAUTHENTICATED] == answers


async def test_foreign_plugin_answers_protobuf(transport):
    """
    A reply without a media type has the request's.
    """
    with foreign_server(_Everything(_merge)) as endpoint, anyio.fail_after(10):
        async with transport.open(endpoint) as channel:
            reply = await channel.call(MERGE)

    assert {"a": 1, "headers": {"x-request-id": "r-1"}} == decode_struct(reply.payload)
    assert "application/proto" == reply.content_type
    assert {"x-trailing": "t", "x-initial": "i"} == reply.headers


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code not in (grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED)]
)
async def test_foreign_plugin_refuses_with_any_code(transport, code):
    """
    Every canonical code of a foreign plugin arrives as that code, and is the plugin's.
    """

    def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(code, "no")

    with foreign_server(_Everything(refuse)) as endpoint, anyio.fail_after(10):
        async with transport.open(endpoint) as channel:
            with pytest.raises(PluginError, match="no") as caught:
                await channel.call(Call(service="s", method="m"))

    assert Code[code.name] == caught.value.code


async def test_foreign_plugin_says_deadline_exceeded(transport):
    """
    That is not an answer but lack of time, whoever noticed it.
    """

    def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "too slow")

    with foreign_server(_Everything(refuse)) as endpoint, anyio.fail_after(10):
        async with transport.open(endpoint) as channel:
            with pytest.raises(DeadlineExceeded):
                await channel.call(Call(service="s", method="m"))


async def test_foreign_plugin_pushes_back(transport):
    """
    gRPC's push-back says when to try again.
    """

    def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("grpc-retry-pushback-ms", "250"),))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")

    with foreign_server(_Everything(refuse)) as endpoint, anyio.fail_after(10):
        async with transport.open(endpoint) as channel:
            with pytest.raises(PluginError) as caught:
                await channel.call(Call(service="s", method="m"))

    assert (0.25, True) == (caught.value.retry_after, caught.value.retryable)


@pytest.mark.parametrize("value", ["-1", "soon", "9" * 16])
async def test_foreign_plugin_pushes_back_for_good(value):
    """
    A negative number, or what is none at all, asks not to try again.
    """
    asked = list[bytes]()

    def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked.append(request)
        context.set_trailing_metadata((("grpc-retry-pushback-ms", value),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "go away")

    with foreign_server(_Everything(refuse)) as endpoint, anyio.fail_after(10):
        table = {"endpoint": endpoint.url, "method": "m", "retry": {"idempotent_methods": ["*"]}}
        async with Manager({"plugins": {"away": table}}) as manager:
            with pytest.raises(PluginError, match="go away"):
                await manager.plugin("away", object, object).execute({"a": 1})

    assert [b'{"a":1}'] == [each for each in asked if each]


async def test_served_plugin_pushes_back_for_good(transport):
    """
    What asks the host not to try again does so to whoever the host is a plugin of.
    """

    async def refuse(call: Call, peer: str) -> Reply:
        raise PluginError("go away", code=Code.UNAVAILABLE, retry_after=-1.0)

    with anyio.fail_after(10):
        async with (
            transport.listen(Endpoint("grpc:"), refuse) as listener,
            transport.open(listener.endpoint) as channel,
        ):
            with pytest.raises(PluginError) as caught:
                await channel.call(Call(service="s", method="m"))

    assert -1.0 == caught.value.retry_after


@pytest.mark.fault(1, 29)
async def test_foreign_plugin_that_is_killed_has_broken_the_connection(transport):
    """
    A call under way is lost, which is not the plugin's answer.
    """
    lost = list[Exception]()
    with anyio.fail_after(20), _hanging_process() as process:
        assert process.stdout is not None
        port = await anyio.to_thread.run_sync(process.stdout.readline)
        endpoint = Endpoint(f"grpc://127.0.0.1:{port.strip()}")
        async with transport.open(endpoint) as channel, anyio.create_task_group() as tasks:
            tasks.start_soon(_lose, channel, lost)
            await anyio.to_thread.run_sync(process.stdout.readline)
            process.kill()

    assert [ConnectionLost] == [type(error) for error in lost]


async def test_call_on_a_closed_channel_is_refused_at_once(transport):
    """
    Even when nobody else uses gRPC in the process.
    """
    with foreign_server(_Everything(lambda request, context: b"")) as endpoint, anyio.fail_after(10):
        async with transport.open(endpoint) as channel:
            await channel.call(Call(service="s", method="m"))
        with pytest.raises(Unavailable, match="closed") as caught:
            await channel.call(Call(service="s", method="m"))

    assert not caught.value.sent


async def test_foreign_plugin_without_the_method_says_unimplemented(transport):
    """
    A probe takes a plugin without a health service as healthy while it is reachable.
    """
    with foreign_server(_Everything(lambda request, context: b"")) as endpoint, anyio.fail_after(10):
        async with transport.open(endpoint) as channel:
            health_status = await channel.probe()

    assert Status.HEALTHY == health_status.status
    assert "no health service" in health_status.message


@pytest.mark.parametrize(("serving", "expected"), [("SERVING", Status.HEALTHY), ("NOT_SERVING", Status.UNHEALTHY)])
async def test_foreign_health_service_is_understood(transport, serving, expected):
    """
    `grpcio-health-checking` says how the plugin is.
    """
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.ServingStatus.Value(serving))
    with foreign_server(health_servicer=servicer) as endpoint, anyio.fail_after(10):
        async with transport.open(endpoint) as channel:
            status = await channel.probe()

    assert expected == status.status


def _merge(request: bytes, context: grpc.ServicerContext) -> bytes:
    struct = Struct.FromString(request)
    struct["headers"] = {name: value for name, value in context.invocation_metadata() if name.startswith("x-")}
    context.set_trailing_metadata((("x-trailing", "t"),))
    context.send_initial_metadata((("x-initial", "i"),))
    return struct.SerializeToString()


async def _lose(channel: Channel, lost: list[Exception]) -> None:
    try:
        await channel.call(Call(service="s", method="m"))
    except RemoraError as error:
        lost.append(error)


async def _with_channel(endpoint: Endpoint, ask: Callable[[grpc.Channel], object]) -> object:
    def run() -> object:
        with grpc.insecure_channel(endpoint.address) as channel:
            return ask(channel)

    return await anyio.to_thread.run_sync(run)


class _Echo:
    async def echo(self, text: str) -> str:
        """The text."""
        return text


def _status(channel: grpc.Channel, password: str | None) -> grpc.StatusCode:
    proof = base64.b64encode(f"u:{password}".encode()).decode()
    metadata = () if password is None else (("authorization", f"Basic {proof}"),)
    call = channel.unary_unary("/_Echo/echo").future(b'"x"', timeout=5, metadata=metadata)
    return call.code()


@contextmanager
def _hanging_process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class _Everything(grpc.GenericRpcHandler):
    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if "Health" in details.method:
            return None
        return grpc.unary_unary_rpc_method_handler(self._behaviour)
