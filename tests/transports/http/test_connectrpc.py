"""
The `connectrpc` package, which knows the Connect protocol and nothing of Remora, in both roles.
"""

from __future__ import annotations

from typing import Any

import anyio
import anyio.to_thread
import pytest

from remora.errors import Code, DeadlineExceeded, PluginError
from remora.protocols import Transport
from remora.types import Call, Endpoint, Reply, Status
from remora.wire import encode_struct

pytest.importorskip("connectrpc", reason="connectrpc is not installed")

from connectrpc.client import ConnectClientSync
from connectrpc.code import Code as ConnectCode
from connectrpc.codec import proto_binary_codec, proto_json_codec
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.server import ConnectASGIApplication
from connectrpc.server import Endpoint as Method
from protobuf.wkt import StringValue, Struct

pytestmark = pytest.mark.anyio

UPPER = MethodInfo(
    name="Upper",
    service_name="text.v1.Text",
    input=StringValue,
    output=StringValue,
    idempotency_level=IdempotencyLevel.UNKNOWN,
    stream_type=StreamType.UNARY,
)


@pytest.fixture(params=["proto", "json"])
def codec(request: pytest.FixtureRequest) -> Any:
    """The format of payloads."""
    return proto_binary_codec() if request.param == "proto" else proto_json_codec()


async def call_upper(url: str, codec: Any, text: str) -> StringValue:
    """A call by its client, which compresses requests with gzip. Its asynchronous client knows only asyncio."""

    def run() -> StringValue:
        with ConnectClientSync(url, codec=codec, timeout_ms=5000) as client:
            return client.execute_unary(request=StringValue(value=text), method=UPPER, headers={"x-one": "1"})

    return await anyio.to_thread.run_sync(run)


async def test_its_client_calls_a_plugin(transport: Transport, codec: Any) -> None:
    """In protobuf and in JSON, with headers and a deadline."""
    seen: list[Call] = []

    async def dispatch(call: Call, peer: str) -> Reply:
        seen.append(call)
        text = codec.decode(call.payload, StringValue).value
        return Reply(payload=codec.encode(StringValue(value=text.upper())), content_type=call.content_type)

    with anyio.fail_after(10):
        async with transport.listen(Endpoint("http:"), dispatch) as listener:
            reply = await call_upper(listener.endpoint.url, codec, "hi" * 1000)

    assert "HI" * 1000 == reply.value
    (call,) = seen
    assert ("text.v1.Text", "Upper", f"application/{codec.name()}") == (call.service, call.method, call.content_type)
    assert "1" == call.headers["x-one"]
    assert call.deadline is not None


async def test_its_client_understands_a_plugins_error(transport: Transport, codec: Any) -> None:
    """Code, message and details."""

    async def dispatch(call: Call, peer: str) -> Reply:
        raise PluginError("no such text", code=Code.NOT_FOUND, details={"id": 7})

    with anyio.fail_after(10):
        async with transport.listen(Endpoint("http:"), dispatch) as listener:
            with pytest.raises(ConnectError, match="no such text") as caught:
                await call_upper(listener.endpoint.url, codec, "hi")

    assert ConnectCode.NOT_FOUND is caught.value.code
    (detail,) = caught.value.details
    assert "google.protobuf.Struct" == detail.type_name
    assert encode_struct({"id": 7}) == detail.message_bytes


class _Text:
    async def upper(self, request: StringValue, context: Any) -> StringValue:
        if request.value == "fail":
            details = [ErrorDetail(Struct.from_binary(encode_struct({"id": 7})))]
            raise ConnectError(ConnectCode.FAILED_PRECONDITION, "not now", details=details)
        if request.value == "wait":
            await anyio.sleep_forever()
        context.response_headers["x-seen"] = context.request_headers["x-one"]
        return StringValue(value=request.value.upper())


class _Application(ConnectASGIApplication[_Text]):
    path = "/text.v1.Text"


def application() -> _Application:
    """A server of one method."""
    methods = {"/text.v1.Text/Upper": Method.unary(method=UPPER, function=_Text().upper)}
    return _Application(service=_Text(), endpoints=lambda _: methods)


def ask(codec: Any, text: str, **more: Any) -> Call:
    """A call of that method."""
    payload, content_type = codec.encode(StringValue(value=text)), f"application/{codec.name()}"
    headers = {"x-one": "1"}
    return Call(
        service="text.v1.Text", method="Upper", payload=payload, content_type=content_type, headers=headers, **more
    )


async def test_its_server_answers_a_call(transport: Transport, codec: Any, asgi_server: Any) -> None:
    """In protobuf and in JSON; it compresses replies with gzip."""
    with anyio.fail_after(10):
        async with asgi_server(application()) as place, transport.open(Endpoint(f"http://{place}")) as channel:
            reply = await channel.call(ask(codec, "hi" * 1000))
            health = await channel.probe()

    assert "HI" * 1000 == codec.decode(reply.payload, StringValue).value
    assert "1" == reply.headers["x-seen"]
    assert Status.HEALTHY is health.status


async def test_its_servers_error_is_understood(transport: Transport, codec: Any, asgi_server: Any) -> None:
    """Code, message and details; also that a method is unknown."""
    with anyio.fail_after(10):
        async with asgi_server(application()) as place, transport.open(Endpoint(f"http://{place}")) as channel:
            with pytest.raises(PluginError, match="not now") as caught:
                await channel.call(ask(codec, "fail"))
            with pytest.raises(PluginError) as unknown:
                await channel.call(Call(service="text.v1.Text", method="Lower", content_type="application/proto"))

    assert (Code.FAILED_PRECONDITION, {"id": 7}) == (caught.value.code, caught.value.details)
    assert Code.UNIMPLEMENTED is unknown.value.code


async def test_its_server_notices_the_deadline(transport: Transport, codec: Any, asgi_server: Any) -> None:
    """Which travels with the call."""
    with anyio.fail_after(10):
        async with asgi_server(application()) as place, transport.open(Endpoint(f"http://{place}")) as channel:
            with pytest.raises(DeadlineExceeded):
                await channel.call(ask(codec, "wait", deadline=anyio.current_time() + 0.1))
