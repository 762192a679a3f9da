"""
The errors of the Connect protocol: the JSON that carries one, and the meaning of answers of other servers.

What lives here: bytes to errors and back. What must not: HTTP messages being sent or received.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.errors import PluginError, RemoraError
from remora.wire import (
    RETRY_INFO,
    STRUCT,
    decode_retry_info,
    decode_struct,
    encode_retry_info,
    encode_struct,
    error_from_status,
)
from remora_http._status import code_of_name, code_of_status, name_of_code, parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_QUOTED = 1024
_QUOTED_LOCATION = 300
_GATEWAY_STATUSES = frozenset({502, 503, 504})


@dataclass(slots=True)  # creating a frozen one would take more than twice as long
class Answer:
    """
    A server's whole answer, already decoded; treat it as immutable.

    Attributes:
        status: The HTTP status.
        headers: All its headers, names in lower case.
        own: Those of them that do not belong to HTTP.
        body: The body, or its beginning when an error's body is over the limit.
        refusal: Why a redirect was not followed; empty for other answers.
    """

    status: int
    headers: Mapping[str, str]
    own: Mapping[str, str]
    body: bytes
    refusal: str = ""


def encode_failure(error: RemoraError) -> bytes:
    """
    The body of the answer for an error.
    """
    content: dict[str, object] = {"code": name_of_code(error.code)}
    if error.message:
        content["message"] = error.message
    if details := [*_encode_details(error)]:
        content["details"] = details
    return json.dumps(content).encode()


def _encode_details(error: RemoraError) -> Iterator[dict[str, object]]:
    if isinstance(error, PluginError) and error.details:
        debug = {"debug": error.details} if _is_json(error.details) else {}
        yield {"type": STRUCT, "value": _encode_base64(encode_struct(error.details)), **debug}
    if error.retry_after is not None:  # the header beside it has whole seconds
        yield {"type": RETRY_INFO, "value": _encode_base64(encode_retry_info(error.retry_after))}


def _encode_base64(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode()


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def read_failure(answer: Answer, *, now: float) -> RemoraError:
    """
    The error in an answer that is not a success.

    Args:
        answer: What the server answered.
        now: Seconds since the epoch.
    """
    error = read_connect_failure(answer) or _foreign_failure(answer)
    if error.retry_after is None:
        error.retry_after = parse_retry_after(answer.headers.get("retry-after", ""), now=now)
    return error


def read_connect_failure(answer: Answer) -> RemoraError | None:
    """
    The error that a server of the Connect protocol sent; None when the answer does not come from one.
    """
    content = _json_object(answer.body)
    code = code_of_name(content.get("code"))
    if code is None:
        return None
    message, details = content.get("message"), content.get("details")
    known = _known_details(details if isinstance(details, list) else ())
    text = message if isinstance(message, str) else ""
    error = error_from_status(code, text, _decode_details(known.get(STRUCT, ())), answer.own)
    error.retry_after = _decode_delay(known.get(RETRY_INFO, ()))
    return error


def _json_object(body: bytes) -> dict[str, object]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _known_details(details: Iterable[object]) -> dict[str, list[dict[object, object]]]:
    """
    The details that say what they are, by the full names of their messages.
    """
    known = defaultdict[str, list[dict[object, object]]](list)
    for detail in details:
        if isinstance(detail, dict) and isinstance(kind := detail.get("type"), str):
            known[kind.rpartition("/")[2]].append(detail)
    return known


def _decode_details(details: Iterable[dict[object, object]]) -> dict[str, object]:
    decoded: dict[str, object] = {}
    for detail in details:
        try:
            decoded |= decode_struct(_decode_base64(detail.get("value")))
        except (ValueError, RecursionError):
            debug = detail.get("debug")
            decoded |= {str(key): item for key, item in debug.items()} if isinstance(debug, dict) else {}
    return decoded


def _decode_delay(details: Iterable[dict[object, object]]) -> float | None:
    for detail in details:
        with suppress(ValueError):
            return decode_retry_info(_decode_base64(detail.get("value")))
    return None


def _decode_base64(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("no value")
    try:
        return base64.b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4), validate=True)
    except binascii.Error as exc:
        raise ValueError("not base64") from exc


def _foreign_failure(answer: Answer) -> RemoraError:
    message = f"the server answered with HTTP status {answer.status}"
    if 300 <= answer.status < 400:
        message += f", a redirect to {_quote_location(answer)}; {_explain(answer)}"
    quoted = quote_body(answer.body)
    code = code_of_status(answer.status)
    return PluginError(f"{message}: {quoted}" if quoted else message, code=code, headers=answer.own)


def _quote_location(answer: Answer) -> str:
    # What comes after a question mark, or before an "@", is often a secret.
    location = answer.headers.get("location", "nowhere")
    place, mark, _ = location.partition("?")
    scheme, slashes, rest = place.partition("//")
    host, slash, path = rest.partition("/")
    shown = f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"
    return repr(shown[:_QUOTED_LOCATION] + ("?…" if mark else ""))


def _explain(answer: Answer) -> str:
    if answer.refusal:
        return f"it is not followed: {answer.refusal}"
    return "redirects are not followed unless the option follow_redirects says so"


def quote_body(body: bytes) -> str:
    """
    The beginning of a body as a short text for a message.
    """
    text = body[:_QUOTED].decode("utf-8", "replace").strip()
    text = "".join(char if char.isprintable() or char in "\t\n" else "�" for char in text)
    return f"{text} …" if len(body) > _QUOTED else text


def is_serving(answer: Answer) -> bool:
    """
    Whether a server without a health service is up: it is, unless a gateway answers in place of one that is down.
    """
    return answer.status not in _GATEWAY_STATUSES
