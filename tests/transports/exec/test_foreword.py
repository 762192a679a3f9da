"""
What a child prints before it serves.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import Endpoint, PluginDied, Unavailable, WrongProtocol
from remora_exec._wires._foreword import ChildPipe, Foreword

OTHERWISE = 'a program that does not speak ttrpc needs protocol = "jsonl" or "oneshot"'
FRAME = b"\0\0\0\0\0\0\0\1\2\0"

PRINTS_FIRST = """
import os
print("hello", flush=True)
os.write(1, b"from a library\\n")
import remora.testing.__main__
"""


def read(chunks: Sequence[bytes]) -> tuple[bytes, bytes]:
    """
    What is printed in a stream of bytes, and what goes to the reader of frames.
    """
    words = bytearray()
    foreword = Foreword(words.extend)
    frames = b"".join([foreword.feed(chunk) for chunk in chunks])
    return bytes(words), frames


@given(words=st.text(st.characters(codec="utf-8", exclude_characters="\0{")), rest=st.binary(), cut=st.integers(0, 50))
def test_all_up_to_the_first_nul_is_printed(words: str, rest: bytes, cut: int) -> None:
    """
    However the bytes are cut into chunks, none is lost.
    """
    stream = words.encode() + FRAME + rest

    assert (words.encode(), FRAME + rest) == read([stream[:cut], stream[cut:]])


@pytest.mark.anyio
async def test_the_reader_of_frames_says_how_much_is_read_at_once() -> None:
    """
    From the first frame on, as with a socket that has no foreword.
    """
    ours, theirs = socket.socketpair()
    sizes: list[int] = []
    with theirs, ours, anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:

            def take(data: bytes | memoryview) -> int:
                sizes.append(len(data))
                if len(sizes) == 1:
                    theirs.sendall(b"x" * 30)
                if len(sizes) == 4:
                    tasks.cancel_scope.cancel()
                return 10

            theirs.sendall(b"words\0")
            await ChildPipe(ours, heard=len).pump(take)

    assert [1, 10, 10, 10] == sizes


def test_answers_in_json_lines_are_no_foreword() -> None:
    """
    A child that speaks the other protocol is not waited for.
    """
    answer = b'{"id": 1, "result": 2}\n'

    assert answer == read([answer])[1]


def test_endless_words_go_to_the_reader_of_frames() -> None:
    """
    Which refuses them.
    """
    assert read([b"yes\n" * 20_000])[1].startswith(b"yes\nyes")


@pytest.mark.anyio
async def test_what_is_printed_while_importing_is_logged(open_script, anyio_backend, caplog):
    """
    A `print(flush=True)` before the plugin serves never corrupts the wire.
    """
    caplog.set_level("INFO")
    with anyio.fail_after(20):
        async with open_script(Endpoint(f"exec:{sys.executable}"), args=("-c", PRINTS_FIRST)) as channel:
            assert (await channel.probe()).status == "healthy"

    assert {"hello", "from a library"} <= set(caplog.messages)


@pytest.mark.anyio
async def test_a_child_that_only_prints_is_quoted(open_script, script, anyio_backend):
    """
    The error says what it prints instead of answering.
    """
    endpoint = script("echo usage: nothing; sleep 600")
    with (
        anyio.fail_after(20),
        pytest.raises(Unavailable, match="answers nothing but prints 'usage: nothing'; a program that"),
    ):
        async with open_script(endpoint, connection_timeout=0.5):
            pass


@pytest.mark.anyio
async def test_a_child_that_prints_without_end_is_refused(open_script, script, anyio_backend):
    """
    It is no plugin of this protocol.
    """
    endpoint = script("while :; do echo garbage; done")
    with anyio.fail_after(20), pytest.raises(WrongProtocol, match=f"does not speak ttrpc.*{OTHERWISE}"):
        async with open_script(endpoint):
            pass


@pytest.mark.anyio
async def test_a_child_that_prints_an_answer_and_ends_is_told_what_it_may_need(open_script, script, anyio_backend):
    """
    It may be one for another protocol.
    """
    with (
        anyio.fail_after(20),
        pytest.raises(PluginDied, match=rf"status 0; .* calls `serve\(...\)`; {OTHERWISE}: {{}}$"),
    ):
        async with open_script(script("echo '{}'")):
            pass
