"""
The messages of the `jsonl` protocol, in both roles.

A host writes `{"id","service","method","payload","context":{"request_id","timeout_ms","headers"}}` and, to call one
off, `{"cancel": id}`; there is no `payload` when the only argument is left out. A plugin answers `{"id","result"}` or
`{"id","error":{"code","message","details","retry_after"}}`; next to a result there may be `"headers"`, an object of
texts.

What lives here: messages and their lines. What must not: I/O, and which calls are in flight.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from remora.errors import Code, InvalidReply, InvalidRequest, PluginError, RemoraError
from remora.types import Call, Reply
from remora.wire._jsonl import DEFAULT_MAX_SIZE, Id, dump_json, load_json
from remora.wire._size import too_large
from remora.wire._status import error_from_status

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
_JSON = "application/json"
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """
    A host's request.

    Attributes:
        id: The host's identifier of the call.
        call: The call, still without a deadline, which depends on the reader's clock.
        timeout: Seconds that the call may take; None when the host does not say.
    """

    id: Id
    call: Call
    timeout: float | None

    def with_deadline(self, deadline: float | None) -> Call:
        """
        The call with its deadline on the reader's clock.
        """
        return replace(self.call, deadline=deadline)


@dataclass(frozen=True, slots=True)
class JsonCancel:
    """
    A host's cancellation of a call.
    """

    id: Id


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """
    A plugin's answer: a reply, or the error to raise.
    """

    id: Id
    outcome: Reply | RemoraError


def encode_json_request(
    id_: int, call: Call, timeout: float | None = None, *, max_size: int = DEFAULT_MAX_SIZE
) -> bytes:
    """
    The line that asks for a call.

    Raises:
        InvalidRequest: The payload is not JSON.
        MessageTooLarge: The line is above the limit.
    """
    require_json(call)
    context: dict[str, object] = {"request_id": call.request_id, "headers": dict(call.headers)}
    if timeout is not None:
        context["timeout_ms"] = max(1, round(timeout * 1000))
    head = dump_json({"id": id_, "service": call.service, "method": call.method})
    payload = b',"payload":%b' % _one_line(call.payload) if call.payload else b""
    line = b'%b%b,"context":%b}\n' % (head[:-1], payload, dump_json(context))
    if len(line) > max_size:
        raise too_large("request", max_size, sent=False)
    return line


def require_json(call: Call) -> None:
    """
    Refuse a call whose payload is not JSON; an empty one stands for null.

    Raises:
        InvalidRequest: It is not.
    """
    if call.content_type.partition(";")[0].strip() not in ("", _JSON):
        raise InvalidRequest(f"this protocol carries application/json only, not {call.content_type!r}")
    try:
        load_json(call.payload or b"null")
    except ValueError as error:
        raise InvalidRequest(f"the payload is not JSON: {error}") from error


def encode_json_cancel(id_: int) -> bytes:
    """
    The line that cancels a call.
    """
    return dump_json({"cancel": id_}) + b"\n"


def encode_json_reply(id_: Id, reply: Reply, *, max_size: int = DEFAULT_MAX_SIZE) -> bytes:
    """
    The line that answers a call; the line of an error when the reply cannot be written.
    """
    if reply.content_type.partition(";")[0].strip() != _JSON:
        return encode_json_error(id_, InvalidReply(f"the protocol jsonl carries no {reply.content_type!r}"))
    headers = b',"headers":%b' % dump_json(dict(reply.headers)) if reply.headers else b""
    line = b'{"id":%b,"result":%b%b}\n' % (dump_json(id_), _one_line(reply.payload), headers)
    if len(line) <= max_size:
        return line
    return encode_json_error(id_, too_large("reply", max_size))


def encode_json_error(id_: Id, error: RemoraError) -> bytes:
    """
    The line that answers a call with an error. Details that are not JSON are left out.
    """
    body: dict[str, object] = {"code": str(error.code), "message": error.message}
    if isinstance(error, PluginError) and error.details:
        body["details"] = error.details
    if (after := _number(error.retry_after)) is not None and math.isfinite(after):
        body["retry_after"] = after
    try:
        return dump_json({"id": id_, "error": body}) + b"\n"
    except (TypeError, ValueError):
        body.pop("details", None)
        return dump_json({"id": id_, "error": body}) + b"\n"


def decode_json_request(message: Mapping[str, object]) -> JsonRequest | JsonCancel | None:
    """
    The message in a host's object; None when it is not one of the protocol.

    Raises:
        ValueError: The payload holds a number that is too large to be encoded again.
    """
    if (cancel := json_id(message.get("cancel"))) is not None:
        return JsonCancel(cancel)
    id_ = json_id(message.get("id"))
    if id_ is None:
        return None
    context = message.get("context")
    context = context if isinstance(context, dict) else {}
    return JsonRequest(id_, _call(message, context), _timeout(context.get("timeout_ms")))


def decode_json_answer(message: Mapping[str, object]) -> JsonAnswer | None:
    """
    The answer in a plugin's object; None when it does not name a call.
    """
    id_ = json_id(message.get("id"))
    if id_ is None:
        return None
    if message.get("error") is not None:
        return JsonAnswer(id_, _error(message["error"]))
    if "result" not in message:
        return JsonAnswer(id_, InvalidReply("the answer has neither a result nor an error"))
    return JsonAnswer(id_, _reply(message["result"], _headers(message.get("headers"))))


def json_id(value: object) -> Id | None:
    """
    What identifies a call, from a message; None when it cannot. JSON has one type of numbers: `1.0` is the number 1.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _one_line(payload: bytes) -> bytes:
    # A line end in valid JSON is always white space: inside a string it is escaped.
    return payload.translate(_NO_LINE_ENDS) or b"null"


def _call(message: Mapping[str, object], context: Mapping[str, object]) -> Call:
    return Call(
        service=_text(message.get("service")),
        method=_text(message.get("method")),
        payload=dump_json(message["payload"]) if "payload" in message else b"",
        headers=_headers(context.get("headers")),
        request_id=_text(context.get("request_id")),
    )


def _headers(value: object) -> dict[str, str]:
    return {str(k).lower(): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _timeout(value: object) -> float | None:
    milliseconds = _number(value)
    return None if milliseconds is None else max(milliseconds, 0) / 1000


def _number(value: object) -> float | None:
    """
    A number of JSON; None when it is none. Whole numbers that are larger than any float are infinite.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if abs(value) <= _LARGEST else math.inf if value > 0 else -math.inf


def _reply(result: object, headers: Mapping[str, str]) -> Reply | RemoraError:
    try:
        return Reply(payload=dump_json(result), headers=headers)
    except ValueError as error:
        return InvalidReply(f"the result is not JSON: {error}")


def _error(error: object) -> RemoraError:
    if not isinstance(error, dict):
        return PluginError(str(error))
    details = error.get("details")
    name = str(error.get("code", "")).upper()
    code = Code(name) if name in Code.__members__ else Code.UNKNOWN
    made = error_from_status(code, str(error.get("message", "")), details if isinstance(details, dict) else None)
    made.retry_after = _number(error.get("retry_after"))
    return made
