"""
Bodies that are collected, decompressed and bounded.
"""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora_http._body import BadEncoding, Body, BodyTooLarge, UnknownEncoding


def collect(data: bytes, *, limit: int, encoding: str = "", piece: int = 1000) -> bytes:
    body = Body(limit, encoding)
    for start in range(0, len(data), piece):
        body.feed(data[start : start + piece])
    return body.finish()


@given(st.binary(max_size=500), st.sampled_from(["", "identity", "gzip", "GZIP"]), st.integers(1, 50))
def test_a_body_arrives_whole_in_whatever_pieces(data: bytes, encoding: str, piece: int) -> None:
    """Exactly the limit is allowed."""
    sent = gzip.compress(data) if encoding.lower() == "gzip" else data

    assert data == collect(sent, limit=len(data), encoding=encoding, piece=piece)


@given(st.binary(min_size=1, max_size=500), st.sampled_from(["", "gzip"]), st.integers(1, 50))
def test_one_byte_too_many_is_too_many(data: bytes, encoding: str, piece: int) -> None:
    """And what fits is kept."""
    sent = gzip.compress(data) if encoding else data

    with pytest.raises(BodyTooLarge) as caught:
        collect(sent, limit=len(data) - 1, encoding=encoding, piece=piece)
    assert data[:-1] == caught.value.args[0]


@given(st.binary(max_size=200))
def test_garbage_is_a_bad_encoding(data: bytes) -> None:
    """No bytes crash the decompressor."""
    try:
        collect(data, limit=1000, encoding="gzip")
    except (BadEncoding, BodyTooLarge):
        return
    assert data == b"" or data[:2] == b"\x1f\x8b"


def test_data_that_is_cut_off_is_a_bad_encoding() -> None:
    """Half a body is not a body."""
    with pytest.raises(BadEncoding, match="cut off"):
        collect(gzip.compress(b"abc")[:-1], limit=10, encoding="gzip")


def test_several_members_are_one_body() -> None:
    """As gzip has it."""
    assert collect(gzip.compress(b"a") + gzip.compress(b"b"), limit=10, encoding="gzip", piece=7) == b"ab"


@pytest.mark.fault(64)
def test_padding_without_end_is_too_much() -> None:
    """Members with nothing in them do not count as nothing: neither their bytes nor the work that each is."""
    with pytest.raises(BodyTooLarge):
        collect(gzip.compress(b"") * 900 + b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"x" * 70_000, limit=10, encoding="gzip")
    with pytest.raises(BadEncoding, match="more than 1000 parts"):
        collect(gzip.compress(b"") * 1001, limit=1 << 20, encoding="gzip")


def test_as_much_padding_as_64_kibibytes_and_1000_parts_is_read() -> None:
    """One byte more, beside what the body may have, is too much; no bytes at all are an empty body."""
    empty = gzip.compress(b"", mtime=0)
    for more in (0, 1):
        name = b"n" * (10 + 64 * 1024 - len(empty) - 1 + more) + b"\0"
        padded = empty[:3] + b"\x08" + empty[4:10] + name + empty[10:]
        if more:
            with pytest.raises(BodyTooLarge):
                collect(padded, limit=10, encoding="gzip")
        else:
            assert b"" == collect(padded, limit=10, encoding="gzip")
    assert b"" == collect(empty * 1000, limit=1 << 20, encoding="gzip")
    assert b"" == collect(b"", limit=10, encoding="gzip")


@pytest.mark.parametrize("encoding", ["", " Identity ", " GZip "])
def test_the_name_of_an_encoding_may_be_written_in_any_case(encoding: str) -> None:
    """With space around it."""
    sent = gzip.compress(b"abc") if "G" in encoding else b"abc"

    assert b"abc" == collect(sent, limit=3, encoding=encoding)


def test_an_encoding_that_nobody_asked_for_is_unknown() -> None:
    """The message names those that are known."""
    with pytest.raises(UnknownEncoding, match="gzip and identity"):
        Body(10, "br")


@pytest.mark.fault(64)
def test_a_bomb_never_exists_in_memory() -> None:
    """100 MiB of zeros under a limit of 1 MiB take no more than a few."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            collect(bomb, limit=1 << 20, encoding="gzip", piece=1 << 16)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8 << 20
