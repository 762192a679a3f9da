"""
The google.rpc.Status of an error, against Google's own library.
"""

from __future__ import annotations

import json

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToJson
from google.protobuf.struct_pb2 import Struct
from google.rpc.status_pb2 import Status

from remora.errors import Code, DeadlineExceeded, MessageTooLarge, PluginError
from remora.wire import decode_status, encode_status
from remora.wire._size import too_large
from remora.wire._status import decode_struct, encode_struct, unsendable

VALUES = {
    "null": None,
    "yes": True,
    "no": False,
    "whole": -3,
    "half": 0.5,
    "text": "é",
    "": "",
    "list": [None, 1, "", [], {}, [[2]]],
    "object": {"a": {"b": {}}, "c": False},
}
UNKNOWN = b"\x7a\x02\x0a\x00"


def test_details_are_what_googles_library_writes_and_reads() -> None:
    """
    Values of every kind, whole numbers as integers.
    """
    theirs = Struct()
    theirs.update(VALUES)

    assert VALUES == decode_struct(theirs.SerializeToString()) == decode_struct(encode_struct(VALUES))
    assert VALUES == json.loads(MessageToJson(Struct.FromString(encode_struct(VALUES))))
    assert repr(VALUES) == repr(decode_struct(encode_struct(VALUES)))
    assert {"a": [1], "b": "b'x'"} == decode_struct(encode_struct({"a": (1,), "b": b"x"}))


def test_details_of_another_version_are_read_without_what_is_new() -> None:
    """
    A field that nobody knows, in the struct, in an entry of it, and in a value.
    """
    value = b"\x1a\x01x"
    entry = b"\x0a\x01a\x12" + bytes([len(value + UNKNOWN)]) + UNKNOWN + value + UNKNOWN

    assert {"a": "x"} == decode_struct(UNKNOWN + b"\x0a" + bytes([len(entry)]) + entry + UNKNOWN)
    assert {"": None} == decode_struct(b"\x0a\x00")


def test_details_have_a_hundred_levels() -> None:
    """
    Below the first; one more is refused, and could not exhaust the stack.
    """
    details: dict[str, object] = {}
    for _ in range(101):
        details = {"a": details}

    assert details == decode_struct(encode_struct(details))
    with pytest.raises(ValueError, match="nested too deeply"):
        decode_struct(encode_struct({"a": details}))


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (b"\x08\x05\x12\x01x", PluginError, "x"),
        (b"\x08\x04", DeadlineExceeded, "the plugin ran out of time"),
        (b"\x08\x08\x12\x01x", PluginError, "x"),
        (encode_status(PluginError(str(too_large("reply", 9)))), PluginError, str(too_large("reply", 9))),
        (encode_status(too_large("reply", 9)), MessageTooLarge, "the reply is larger than 9 bytes (max_message_size)"),
        (encode_status(DeadlineExceeded("late")), DeadlineExceeded, "late"),
    ],
)
def test_an_error_is_read_as_what_it_was(status: bytes, kind: type[Exception], message: str) -> None:
    """
    With its number and its words; unknown fields are skipped.
    """
    for data in (status, UNKNOWN + status + UNKNOWN):
        error = decode_status(data)
        assert error is not None
        assert (kind, message, None) == (type(error), error.message, error.retry_after)


def test_only_details_of_a_known_type_are_read() -> None:
    """
    Those of all structs together.
    """
    sent = Status.FromString(encode_status(PluginError("no", details={"a": 1}, retry_after=2.5)))
    more = Status.FromString(encode_status(PluginError("no", details={"b": 2})))
    sent.details.add().Pack(Duration(seconds=7))
    sent.details.add()
    sent.MergeFrom(more)
    error = decode_status(sent.SerializeToString())

    assert isinstance(error, PluginError)
    assert ({"a": 1, "b": 2}, 2.5) == (error.details, error.retry_after)


@pytest.mark.parametrize(("code", "sent"), [(Code.ABORTED, Code.ABORTED), ("odd", Code.INTERNAL)])
def test_an_error_that_cannot_be_sent_keeps_its_code(code: Code, sent: Code) -> None:
    """
    Where it has one.
    """
    error = PluginError("no")
    error.code = code

    assert sent is unsendable(error).code


def test_a_status_may_say_that_all_is_well() -> None:
    """
    Its number is 0, or not there; one that nobody knows is an error.
    """
    strange = decode_status(b"\x08\x63")

    assert decode_status(b"") is decode_status(b"\x08\x00\x12\x01x") is None
    assert strange is not None
    assert Code.UNKNOWN is strange.code
