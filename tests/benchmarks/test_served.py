"""
The clients of the servers that are compared, by their bytes alone: a call is one that is answered correctly.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import anyio
import pytest

from benchmarks.served import FrameClient, HttpClient, _watch
from remora.errors import PluginError
from remora.types import Reply
from remora.wire import RESPONSE, encode_error, encode_frame, encode_reply

RIGHT, WRONG = b'"right"', b'"wrong"'
REQUEST = b"a request"


class Sent(asyncio.Transport):
    """
    Keeps what is sent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def write(self, data: Any) -> None:
        self.data += data


def http(payload: bytes, status: bytes = b"200 OK") -> bytes:
    """
    An answer over HTTP.
    """
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(payload), payload)


def frame(number: int, payload: bytes) -> bytes:
    """
    An answer to one of the calls over a Unix socket.
    """
    return encode_frame(number, RESPONSE, encode_reply(Reply(payload=payload)))


NO = encode_frame(1, RESPONSE, encode_error(PluginError("no such method")))


def client_of(family: str) -> tuple[HttpClient | FrameClient, Sent]:
    """
    A client that has sent its first request, or its first two.
    """
    client = HttpClient(REQUEST, RIGHT) if family == "http" else FrameClient(REQUEST, RIGHT, 2)
    sent = Sent()
    client.connection_made(sent)
    return client, sent


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("family", "answers", "requests"),
    [("http", [http(RIGHT), http(RIGHT)], 3), ("unix", [frame(3, RIGHT), frame(1, RIGHT) + frame(5, RIGHT)], 5)],
    ids=["http", "unix"],
)
def test_each_answer_is_one_call_and_lets_another_begin(
    family: str, answers: list[bytes], requests: int, size: int
) -> None:
    """
    In whatever pieces it comes.
    """
    client, sent = client_of(family)
    for answer in answers:
        for at in range(0, len(answer), size):
            client.data_received(answer[at : at + size])

    assert b"".join(answers).count(RIGHT) == client.calls
    assert requests == sent.data.count(REQUEST)


@pytest.mark.parametrize(
    ("family", "answer"),
    [
        ("http", http(RIGHT, b"404 Not Found")),
        ("http", http(WRONG)),
        ("unix", frame(1, WRONG)),
        ("unix", frame(1, RIGHT) + frame(3, WRONG)),
        ("unix", NO),
    ],
    ids=["no page", "other page", "other frame", "later frame", "no method"],
)
def test_a_wrong_answer_ends_the_program(family: str, answer: bytes) -> None:
    """
    A server that is fast because it does not do its work is not compared.
    """
    client, _ = client_of(family)

    with pytest.raises(SystemExit, match="a server answers"):
        client.data_received(answer)
    assert 0 == client.calls


def test_a_slice_begins_after_the_first_answer_and_has_one() -> None:
    """
    A server that is still loading costs nothing, and none is said to have answered that has not.
    """
    answered = iter([0, 0, 3, 5, 5, 5, 7, 8])  # loading; warm; when it begins; until there is one; when it ends

    found = anyio.run(_watch, lambda: next(answered), os.getpid(), 0.001)

    assert 3 == found.calls
