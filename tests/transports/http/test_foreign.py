"""
Peers that know nothing of Remora: the standard library's HTTP server, curl, and the `connectrpc` package in both roles.
"""

from __future__ import annotations

import gzip
import json
import shutil
import time
import tracemalloc
from email.utils import formatdate
from typing import Any

import anyio
import pytest

from remora import Manager
from remora.config import HealthCheckConfig
from remora.errors import Code, ConnectionLost, InvalidReply, MessageTooLarge, PluginError
from remora.protocols import Transport
from remora.types import Call, Endpoint, Reply, Status
from remora_http.plugin import Options, build

pytestmark = pytest.mark.anyio

CALL = Call(payload=b'{"text": "hi"}')


@pytest.fixture(params=["direct", "httpx"])
def engine(request: pytest.FixtureRequest) -> Any:
    """Both engines meet the same servers."""
    return request.param


@pytest.fixture
def transport(engine: Any) -> Transport:
    """The transport with one of them."""
    return build(Options(engine=engine))


async def test_a_plain_json_endpoint_is_posted_to_as_it_stands(transport: Transport, json_server: Any) -> None:
    """A server that has never heard of services and methods."""
    seen: list[tuple[str, str | None, bytes]] = []

    def answer(handler: Any, body: bytes) -> None:
        seen.append((handler.path, handler.headers["Content-Type"], body))
        data = json.dumps({"text": json.loads(body)["text"].upper()}).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    with json_server(answer) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"http://{place}/api/upper?v=1")) as channel:
            reply = await channel.call(CALL)
            health = await channel.probe()

    assert b'{"text": "HI"}' == reply.payload
    assert "application/json" == reply.content_type
    assert ("/api/upper?v=1", "application/json", CALL.payload) == seen[0]
    assert Status.HEALTHY is health.status


@pytest.mark.parametrize(("status", "payload"), [(201, b'{"id": 7}'), (202, b"{}"), (204, b"")])
async def test_any_success_is_a_reply(
    transport: Transport, json_server: Any, answer_with: Any, status: int, payload: bytes
) -> None:
    """As servers answer that have created something, or have nothing to say."""
    with json_server(answer_with(status, payload)) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"http://{place}")) as channel:
            reply = await channel.call(CALL)

    assert (payload, "application/json") == (reply.payload, reply.content_type)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Code.INTERNAL),
        (401, Code.UNAUTHENTICATED),
        (404, Code.UNIMPLEMENTED),
        (422, Code.INVALID_ARGUMENT),
        (500, Code.UNKNOWN),
    ],
)
async def test_a_status_becomes_a_code_and_the_body_is_kept(
    transport: Transport, json_server: Any, answer_with: Any, status: int, code: Code
) -> None:
    """As far as it is short."""
    with json_server(answer_with(status, {"reason": "because"}, X_Trace="t1")) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"http://{place}")) as channel:
            with pytest.raises(PluginError, match="because") as caught:
                await channel.call(CALL)
            health = await channel.probe()

    assert code is caught.value.code
    assert "t1" == caught.value.headers["x-trace"]
    assert Status.HEALTHY is health.status


async def test_a_body_of_connect_decides_about_the_code(
    transport: Transport, json_server: Any, answer_with: Any
) -> None:
    """Whatever the status is, since it is more exact."""
    body = {"code": "already_exists", "message": "there is one"}
    with json_server(answer_with(409, body)) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"http://{place}")) as channel:
            with pytest.raises(PluginError, match="there is one") as caught:
                await channel.call(CALL)

    assert Code.ALREADY_EXISTS is caught.value.code


async def test_refusals_of_an_ordinary_service_open_no_circuit_breaker(json_server: Any, answer_with: Any) -> None:
    """As one made with FastAPI answers to bad requests."""
    breaker = {"failure_threshold": 2, "min_request_threshold": 2}
    with json_server(answer_with(422, {"detail": [{"msg": "Field required"}]})) as place, anyio.fail_after(5):
        table = {"endpoint": f"http://{place}/items", "circuit_breaker": breaker}
        async with Manager({"plugins": {"items": table}}) as manager:
            items = manager.plugin("items", dict, dict)
            for _ in range(5):
                with pytest.raises(PluginError, match="422: .*Field required") as caught:
                    await items.execute({})

                assert Code.INVALID_ARGUMENT is caught.value.code


async def test_a_gateway_without_a_server_behind_it_is_unhealthy(
    transport: Transport, json_server: Any, answer_with: Any
) -> None:
    """Though it answers."""
    with json_server(answer_with(502, b"<html>Bad Gateway")) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"http://{place}")) as channel:
            assert Status.UNHEALTHY is (await channel.probe()).status


@pytest.mark.parametrize("retry_after", ["30", "date"])
async def test_a_server_may_ask_to_wait(
    transport: Transport, json_server: Any, answer_with: Any, retry_after: str
) -> None:
    """For seconds, or until a moment."""
    value = formatdate(time.time() + 30, usegmt=True) if retry_after == "date" else retry_after
    with json_server(answer_with(503, b"", Retry_After=value)) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"http://{place}")) as channel:
            with pytest.raises(PluginError) as caught:
                await channel.call(CALL)

    assert Code.UNAVAILABLE is caught.value.code
    assert caught.value.retryable
    assert caught.value.retry_after == pytest.approx(30, abs=3)


async def test_a_page_where_json_was_asked_for_is_quoted(
    transport: Transport, json_server: Any, answer_with: Any
) -> None:
    """A login page, most of the time."""
    page = b"<html><h1>Please log in</h1>" + b" " * 5000
    with json_server(answer_with(200, page, Content_Type="text/html")) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"http://{place}")) as channel:
            with pytest.raises(InvalidReply, match=r"text/html .* Please log in|Please log in") as caught:
                await channel.call(CALL)
            health = await channel.probe()

    assert len(str(caught.value)) < 1500
    assert Status.HEALTHY is health.status


@pytest.mark.fault(67)
async def test_a_redirect_is_not_followed(transport: Transport, json_server: Any, answer_with: Any) -> None:
    """And the message says so."""
    with json_server(answer_with(308, b"", Location="http://192.0.2.1/")) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"http://{place}")) as channel:
            with pytest.raises(PluginError, match="redirects are not followed"):
                await channel.call(CALL)


async def test_json_under_the_name_of_plain_text_is_json(
    transport: Transport, json_server: Any, answer_with: Any
) -> None:
    """Many servers call it so when nobody tells them otherwise."""
    with json_server(answer_with(200, b"{}", Content_Type="text/plain; charset=utf-8")) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"http://{place}")) as channel:
            assert "application/json" == (await channel.call(CALL)).content_type


async def test_a_server_that_trips_over_the_probe_is_healthy(transport: Transport, json_server: Any) -> None:
    """It is there, and answers what it understands."""

    def answer(handler: Any, body: bytes) -> None:
        json.loads(body)

    with json_server(answer) as place, anyio.fail_after(5):
        async with transport.open(Endpoint(f"http://{place}")) as channel:
            assert Status.HEALTHY is (await channel.probe()).status
            with pytest.raises(ConnectionLost):
                await channel.call(Call(payload=b"{"))


@pytest.mark.parametrize(
    ("page", "expected"), [("/health", Status.HEALTHY), ("health", Status.HEALTHY), ("/sick", Status.UNHEALTHY)]
)
async def test_a_health_page_decides_where_one_is_configured(asgi_server: Any, page: str, expected: Status) -> None:
    """By its status."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        is_fine = scope["method"] == "GET" and scope["path"] in {"/health", "/api/health"}
        await send({"type": "http.response.start", "status": 204 if is_fine else 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = build(Options(health_check=HealthCheckConfig(endpoint=page)))
    with anyio.fail_after(5):
        async with (
            asgi_server(application) as place,
            transport.open(Endpoint(f"http://{place}/api")) as channel,
        ):
            assert expected is (await channel.probe()).status


@pytest.mark.fault(64)
async def test_a_bomb_is_refused_while_it_arrives(json_server: Any, answer_with: Any, engine: Any) -> None:
    """Compressed a thousandfold, it is never there as a whole."""
    bomb = gzip.compress(bytes(50 << 20))
    transport = build(Options(max_message_size=1 << 20, engine=engine))
    with json_server(answer_with(200, bomb, Content_Encoding="gzip")) as place, anyio.fail_after(10):
        async with transport.open(Endpoint(f"http://{place}")) as channel:
            tracemalloc.start()
            try:
                with pytest.raises(MessageTooLarge):
                    await channel.call(CALL)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()

    assert peak < 8 << 20


async def curl(*arguments: str) -> tuple[str, str]:
    """The headers and the body that curl gets."""
    done = await anyio.run_process(["curl", "--silent", "--show-error", "--include", "--max-time", "5", *arguments])
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    return head.lower(), body


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_is_a_client() -> None:
    """With nothing but a URL and a JSON body."""

    async def dispatch(call: Call, peer: str) -> Reply:
        if call.method == "fail":
            raise PluginError("no such text", code=Code.NOT_FOUND, details={"id": 7})
        assert call.content_type == "application/json"
        return Reply(payload=json.dumps([call.service, call.method, json.loads(call.payload)]).encode())

    with anyio.fail_after(15):
        async with build(Options()).listen(Endpoint("http:"), dispatch) as listener:
            url = listener.endpoint.url
            options = ("--header", "content-type: application/json; charset=utf-8", "--header", "x-request-id: r-7")
            ok_head, ok_body = await curl(f"{url}/text.v1.Text/upper", "--data", '{"text": "hi"}', *options)
            bad_head, bad_body = await curl(f"{url}/text.v1.Text/fail", "--json", "{}")
            get_head, _ = await curl(f"{url}/text.v1.Text/upper")

    assert ok_head.startswith("http/1.1 200")
    assert "x-request-id: r-7" in ok_head
    assert ["text.v1.Text", "upper", {"text": "hi"}] == json.loads(ok_body)
    assert bad_head.startswith("http/1.1 404")
    failure = json.loads(bad_body)
    assert ("not_found", "no such text") == (failure["code"], failure["message"])
    assert {"id": 7} == failure["details"][0]["debug"]
    assert get_head.startswith("http/1.1 405")
    assert "allow: post" in get_head
