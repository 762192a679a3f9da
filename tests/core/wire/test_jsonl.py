"""
JSON lines: any slicing gives the same objects, nothing grows beyond the limit, one bad line hurts nobody else.
"""

from __future__ import annotations

import json
import math
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.errors import Code, InvalidReply, InvalidRequest, MessageTooLarge, PluginError, WireError
from remora.types import Call, Reply
from remora.wire import (
    JsonAnswer,
    JsonCancel,
    JsonLines,
    JsonRequest,
    Noise,
    Overlong,
    decode_json_answer,
    decode_json_request,
    encode_json_cancel,
    encode_json_error,
    encode_json_reply,
    encode_json_request,
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=4)


DEEP = reduce(lambda inner, _: [inner], range(100_000), [])


def read(data: bytes, *cuts: int, max_size: int = 4096) -> list[object]:
    lines = JsonLines(max_size=max_size)
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    found, start = [], 0
    for end in ends:
        lines.feed(data[start:end])
        start = end
        while (line := lines.next_message()) is not None:
            found.append(line)
    return found


@pytest.mark.fault(7)
@given(st.lists(objects, max_size=5), st.lists(st.integers(0, 1000), max_size=5))
def test_objects_come_out_however_the_bytes_are_cut(sent, cuts):
    data = b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in sent)

    assert read(data, *cuts, max_size=1_000_000) == sent


@pytest.mark.fault(32)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_are_read_without_an_error_and_alike(data, cuts):
    assert read(data, *cuts) == read(data)


@pytest.mark.fault(37)
@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000), max_size=5))
def test_a_good_line_survives_any_neighbour(data, cuts):
    found = read(data + b'\n{"id":1}\n', *cuts, max_size=200)

    assert found[-1] == {"id": 1}


@pytest.mark.parametrize("cuts", [(), (3,), (7,), (3, 7)])
def test_the_longest_line_has_the_size_of_the_limit(cuts):
    """
    Its end does not count. One byte more is too much, and says so wherever the line was cut.
    """
    line = b'{"a":1}'

    assert [{"a": 1}, {"a": 1}] == read(line + b"\n\n \n" + line + b"\n", *cuts, max_size=7)
    assert [Overlong(None, 7, line), {}] == read(line + b"\n{}\n", *cuts, max_size=6)


def test_a_line_may_have_four_mebibytes_where_nothing_else_is_said():
    lines = JsonLines()
    line = b"x" * 4 * 1024 * 1024
    lines.feed(line + b"\n" + line + b"x\n")

    assert [Noise, Overlong] == [type(lines.next_message()) for _ in range(2)]


@pytest.mark.parametrize(
    ("line", "id_"),
    [
        (b'{"id":%b,"x":"%b"}' % (b"9" * 18, b"x" * 500), 10**18 - 1),
        (b'{"id":%b,"x":"%b"}' % (b"9" * 19, b"x" * 500), None),
        (b'{"id":"%b","x":"%b"}' % (b"a" * 64, b"x" * 500), "a" * 64),
        (b'{"id":"%b","x":"%b"}' % (b"a" * 65, b"x" * 500), None),
        (b'{"id":"\xff","x":"%b"}' % (b"x" * 500), "\ufffd"),
        (b'%b{"id":1,"x":"%b"}' % (b" " * 248, b"x" * 500), 1),
        (b'%b{"id":1,"x":"%b"}' % (b" " * 249, b"x" * 500), None),
        (b'{"x":"%b","id":1%b}' % (b"x" * 500, b" " * 248), 1),
        (b'{"x":"%b","id":1%b}' % (b"x" * 500, b" " * 249), None),
    ],
)
def test_an_id_is_found_in_the_256_bytes_at_either_end(line, id_):
    """
    Of 18 digits or 64 letters at most; however the line is cut.
    """
    for cut in (0, 9, 100, 300, len(line) - 2):
        assert [Overlong(id_, len(line), line[:256])] == read(line + b"\n", cut, max_size=120)


@pytest.mark.parametrize("line", [b"[1]", b"1", b"hello", b"{", b'{"a":NaN}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_object_is_noise(line):
    (found,) = read(line + b"\n", max_size=1_000_000)

    assert isinstance(found, Noise)
    assert (line, None) == (found.line, found.id)


@pytest.mark.parametrize(
    ("line", "id_", "why"),
    [
        (b' {"id": 7, "result": NaN}', 7, "NaN is not JSON"),
        (b'{"result": -Infinity, "id": "a"} ', "a", "-Infinity is not JSON"),
        (b'{"id":7,"result":\'x\'}', 7, "Expecting value"),
        (b'{"id":7,"result":' + b"[" * 100_000 + b"}", 7, "the JSON is nested too deeply"),
        (b'{"id":7,"result":', None, "Expecting value"),
        (b'saved {"id":7,"result":1}', None, "Expecting value"),
        (b'saved {"result":1,"id":7}', None, "Expecting value"),
    ],
)
def test_what_is_nearly_an_object_names_its_call(line, id_, why):
    (found,) = read(line + b"\n", max_size=1_000_000)

    assert isinstance(found, Noise)
    assert id_ == found.id
    assert found.why.startswith(why)


@given(st.integers(0, 10**9), st.integers(200, 1400), st.lists(st.integers(0, 1400), max_size=5))
def test_the_id_of_an_overlong_object_is_seen_first_or_last(number, size, cuts):
    first = b'{"id": %d, "result": "%b"}' % (number, b"x" * size)
    last = b'{"result":{"id":5,"x":"%b"},"id":%d.0}' % (b"x" * size, number)

    for line in (first, last):
        assert read(line + b"\n", *cuts, max_size=100) == [Overlong(number, len(line), line[:256])]


def test_the_id_inside_an_overlong_result_is_not_taken_for_its_own():
    line = b'{"result":{"x":"%b","id":5}}' % (b"x" * 500)

    (found,) = read(line + b"\n", max_size=100)
    assert isinstance(found, Overlong)
    assert found.id is None


@pytest.mark.fault(6, 32)
def test_a_line_that_does_not_end_is_an_error_and_takes_no_room():
    lines = JsonLines(max_size=1000)
    for _ in range(16):
        lines.feed(b"x" * 1000)
    with pytest.raises(WireError, match="does not end"):
        lines.feed(b"x")


def test_an_unfinished_last_line_counts_at_the_end():
    lines = JsonLines()
    lines.feed(b'{"id":1}')
    assert lines.next_message() is None
    lines.feed_eof()

    assert lines.next_message() == {"id": 1}
    lines.feed_eof()
    assert lines.next_message() is None


def test_an_unfinished_overlong_line_counts_at_the_end_too():
    lines = JsonLines(max_size=6)
    lines.feed(b'{"id":1}')
    lines.feed_eof()

    assert lines.next_message() == Overlong(None, 8, b'{"id":1}')


@pytest.mark.parametrize(("timeout", "sent"), [(0.0, 1), (0.0004, 1), (0.0016, 2), (1.5, 1500)])
def test_a_request_is_written_as_it_is_documented(timeout, sent):
    """
    In whole milliseconds, of which there is at least one.
    """
    call = Call(service="S", method="m", payload=b'{"a":\r\n1}', headers={"K": "v"}, request_id="r")
    context = {"request_id": "r", "headers": {"K": "v"}}
    request = {"id": 1, "service": "S", "method": "m", "payload": {"a": 1}, "context": context}

    assert request == json.loads(encode_json_request(1, call))
    assert request | {"context": context | {"timeout_ms": sent}} == json.loads(encode_json_request(1, call, timeout))
    assert "payload" not in json.loads(encode_json_request(1, Call()))


@pytest.mark.parametrize(
    ("message", "call", "timeout"),
    [
        ({}, Call(), None),
        ({"payload": None}, Call(payload=b"null"), None),
        ({"service": 5, "method": None, "context": 5}, Call(), None),
        ({"context": {"headers": 5, "request_id": 5, "timeout_ms": -5}}, Call(), 0.0),
        ({"context": {"headers": {"K": 1}, "request_id": "r", "timeout_ms": 1.5}}, Call(headers={"k": "1"}), 0.0015),
    ],
)
def test_what_a_request_leaves_out_is_empty(message, call, timeout):
    """
    As is what has another type; names of headers are in lower case.
    """
    request = decode_json_request(message | {"id": 1})

    assert isinstance(request, JsonRequest)
    assert timeout == request.timeout
    assert (call.service, call.method, call.payload) == (
        request.call.service,
        request.call.method,
        request.call.payload,
    )
    assert (call.headers, None) == (request.call.headers, request.call.deadline)
    assert ("r" if call.headers else "") == request.call.request_id
    assert 5.0 == request.with_deadline(5.0).deadline


@pytest.mark.parametrize(
    ("reply", "written"),
    [
        (Reply(), {"id": 1, "result": None}),
        (Reply(payload=b"1", content_type="application/json; charset=utf-8"), {"id": 1, "result": 1}),
        (Reply(payload=b"1", headers={"K": "v"}), {"id": 1, "result": 1, "headers": {"K": "v"}}),
    ],
)
def test_a_reply_is_written_as_it_is_documented(reply, written):
    assert written == json.loads(encode_json_reply(1, reply))


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ({"result": None, "error": None}, Reply(payload=b"null")),
        ({"result": 1, "headers": {"K": 1}}, Reply(payload=b"1", headers={"k": "1"})),
        ({"result": 1, "headers": 5}, Reply(payload=b"1")),
    ],
)
def test_an_answer_is_read_leniently(answer, reply):
    assert JsonAnswer(1, reply) == decode_json_answer(answer | {"id": 1})


def test_lines_are_written_up_to_the_limit():
    """
    Their ends count; one byte more is refused.
    """
    call, reply = Call(payload=b"1"), Reply(payload=b'"%b"' % (b"x" * 200))
    request, answer = encode_json_request(1, call), encode_json_reply(1, reply)

    assert request == encode_json_request(1, call, max_size=len(request))
    assert answer == encode_json_reply(1, reply, max_size=len(answer))
    with pytest.raises(MessageTooLarge):
        encode_json_request(1, call, max_size=len(request) - 1)
    assert b"max_message_size" in encode_json_reply(1, reply, max_size=len(answer) - 1)


@given(st.integers(1), values, st.text(), st.text(), st.dictionaries(st.text("abc-", min_size=1), st.text()))
def test_a_request_arrives_as_it_was(number, payload, service, method, headers):
    call = Call(service=service, method=method, payload=json.dumps(payload, indent=1).encode(), headers=headers)
    line = encode_json_request(number, call, 1.5)

    assert line.count(b"\n") == 1
    (message,) = read(line, max_size=1_000_000)
    request = decode_json_request(message)
    assert isinstance(request, JsonRequest)
    assert (number, 1.5) == (request.id, request.timeout)
    assert (service, method, headers) == (request.call.service, request.call.method, request.call.headers)
    assert json.loads(request.call.payload) == payload


@given(st.integers(1) | st.text(), values)
def test_a_reply_arrives_as_it_was(number, result):
    (message,) = read(encode_json_reply(number, Reply(payload=json.dumps(result, indent=1).encode())), max_size=10**6)
    answer = decode_json_answer(message)

    assert isinstance(answer, JsonAnswer)
    assert isinstance(answer.outcome, Reply)
    assert (number, result) == (answer.id, json.loads(answer.outcome.payload))


@given(
    st.sampled_from([code for code in Code if code is not Code.DEADLINE_EXCEEDED]),
    st.text(),
    objects,
    st.none() | st.floats(0, 1e12),
)
def test_an_error_arrives_as_it_was(code, text, details, retry_after):
    sent = PluginError(text, code=code, details=details, retry_after=retry_after)
    (message,) = read(encode_json_error(1, sent), max_size=10**6)
    answer = decode_json_answer(message)

    assert isinstance(answer, JsonAnswer)
    assert isinstance(answer.outcome, PluginError)
    assert (code, text, details) == (answer.outcome.code, answer.outcome.message, answer.outcome.details)
    assert retry_after == answer.outcome.retry_after


@pytest.mark.parametrize("odd", ["soon", True, [1], float("nan"), float("inf"), None])
def test_seconds_that_are_no_number_are_left_out(odd):
    """
    On both sides: a handler may have put anything there, and so may a plugin in another language.
    """
    (message,) = read(encode_json_error(1, PluginError("no", retry_after=odd)), max_size=10**6)

    assert {"code": "UNKNOWN", "message": "no"} == message["error"]
    if odd != odd or odd == float("inf"):  # JSON has no such number
        return
    answer = decode_json_answer({"id": 1, "error": {"message": "no", "retry_after": odd}})
    assert answer.outcome.retry_after is None


def test_numbers_that_are_larger_than_any_float_are_infinite():
    """
    One such number must not end the conversation.
    """
    request = decode_json_request({"id": 1, "context": {"timeout_ms": 10**400}})
    answers = [decode_json_answer({"id": 1, "error": {"retry_after": each}}) for each in (10**400, -(10**400))]
    (message,) = read(encode_json_error(1, PluginError("no", retry_after=10**400)), max_size=10**6)

    assert math.inf == request.timeout
    assert [math.inf, -math.inf] == [each.outcome.retry_after for each in answers]
    assert "retry_after" not in message["error"]


@given(objects)
def test_any_object_is_read_without_an_error(message):
    decode_json_answer(message)
    decode_json_request(message)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("it failed", Code.UNKNOWN, "it failed"),
        ({"message": "m"}, Code.UNKNOWN, "m"),
        ({"code": "not_found", "message": "m"}, Code.NOT_FOUND, "m"),
        ({"code": 5}, Code.UNKNOWN, ""),
        (7, Code.UNKNOWN, "7"),
    ],
)
def test_foreign_forms_of_errors_are_understood(error, code, message):
    answer = decode_json_answer({"id": 1, "error": error})

    assert answer is not None
    assert isinstance(answer.outcome, PluginError)
    assert (code, message) == (answer.outcome.code, answer.outcome.message)


def test_cancel_is_one_word():
    assert encode_json_cancel(7) == b'{"cancel":7}\n'
    assert decode_json_request({"cancel": 7}) == JsonCancel(7)


@pytest.mark.parametrize(("given", "id_"), [("1", 1), ("1.0", 1), ("1e2", 100), ('"a"', "a")])
def test_a_whole_number_is_an_id_however_it_is_written(given, id_):
    (message, cancel) = read(b'{"id":%b,"result":1}\n{"cancel":%b}\n' % (given.encode(), given.encode()))
    answer, request = decode_json_answer(message), decode_json_request(message)

    assert answer is not None
    assert isinstance(request, JsonRequest)
    assert (id_, id_, JsonCancel(id_)) == (answer.id, request.id, decode_json_request(cancel))
    assert type(id_) is type(answer.id)


@pytest.mark.parametrize("id_", [True, False, None, 1.5, float("inf"), [1], {}])
def test_nothing_else_is_an_id(id_):
    assert decode_json_answer({"id": id_, "result": 1}) is None
    assert decode_json_request({"id": id_, "cancel": id_}) is None


def test_what_cannot_be_sent_is_refused_before():
    with pytest.raises(InvalidRequest):
        encode_json_request(1, Call(payload=b"{"))
    with pytest.raises(InvalidRequest):
        encode_json_request(1, Call(payload=b"1", content_type="application/msgpack"))
    assert encode_json_request(1, Call(content_type="application/json ; charset=utf-8"))
    assert encode_json_request(1, Call(content_type=""))
    with pytest.raises(MessageTooLarge) as caught:
        encode_json_request(1, Call(payload=b'"%b"' % (b"x" * 100)), max_size=100)

    assert not caught.value.sent


def test_a_reply_that_cannot_be_written_becomes_an_error():
    too_large = decode_json_answer(json.loads(encode_json_reply(1, Reply(payload=b'"%b"' % (b"x" * 99)), max_size=50)))
    not_json = decode_json_answer(json.loads(encode_json_reply(1, Reply(payload=b"x", content_type="text/plain"))))

    assert too_large is not None
    assert not_json is not None
    assert isinstance(too_large.outcome, MessageTooLarge)
    assert too_large.outcome.code is Code.RESOURCE_EXHAUSTED
    assert isinstance(not_json.outcome, PluginError)


@pytest.mark.parametrize("answer", [{"id": 1}, {"id": 1, "result": math.inf}, {"id": 1, "result": DEEP}])
def test_an_answer_without_a_result_that_is_json_is_an_invalid_reply(answer):
    answer = decode_json_answer(answer)

    assert answer is not None
    assert isinstance(answer.outcome, InvalidReply)


@pytest.mark.parametrize("details", [{"a": object()}, {"a": math.nan}, {"a": DEEP}])
def test_details_that_are_not_json_are_left_out(details):
    """
    The rest of the error is sent.
    """
    line = encode_json_error(1, PluginError("no", details=details, retry_after=1.0))

    assert {"id": 1, "error": {"code": "UNKNOWN", "message": "no", "retry_after": 1.0}} == json.loads(line)
    answer = decode_json_answer({"id": 1, "error": {"message": "no", "details": [1]}})
    assert answer is not None
    assert {} == answer.outcome.details
