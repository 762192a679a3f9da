"""
Bodies: collected, decompressed and bounded as they arrive, so that nothing larger than the limit ever exists.

What lives here: chunks in, one body out. What must not: where the chunks come from.
"""

from __future__ import annotations

import zlib

# Compressed data can be slightly larger than its content; anything beyond that is padding.
_SLACK = 64 * 1024
# Gzip data may consist of several members. Empty ones only cost time on the event loop.
_MOST_PARTS = 1000
_GZIP = 16 + zlib.MAX_WBITS
_IDENTITIES = frozenset({"", "identity"})


class BodyTooLarge(Exception):
    """
    The decoded body is over the limit.
    """


class BadEncoding(Exception):
    """
    The body is not encoded as its header says.
    """


class UnknownEncoding(BadEncoding):
    """
    The body is encoded in a way that is not supported.
    """


class Body:
    """
    Collects one body.

    Args:
        limit: The most bytes that the decoded body may have.
        encoding: The value of the Content-Encoding header.

    Raises:
        UnknownEncoding: The encoding is neither gzip nor identity.
    """

    def __init__(self, limit: int, encoding: str = "") -> None:
        encoding = encoding.strip().lower()
        if encoding not in _IDENTITIES and encoding != "gzip":
            raise UnknownEncoding(f"the content encoding {encoding[:40]!r} is not supported; gzip and identity are")
        self._limit = limit
        self._inflater = None if encoding in _IDENTITIES else zlib.decompressobj(_GZIP)
        self._content = bytearray()
        self._received, self._parts = 0, 1

    @property
    def content(self) -> bytes:
        """
        What has been decoded so far.
        """
        return bytes(self._content)

    def feed(self, chunk: bytes) -> None:
        """
        Take the next piece.

        Raises:
            BodyTooLarge: The body is over the limit; what fits stays in `content`.
            BadEncoding: The piece is not compressed as it should be.
        """
        self._received += len(chunk)
        if self._inflater is None:
            self._append(chunk[: self._room])
        else:
            self._inflate(chunk)
        if self._received > self._limit + _SLACK:
            raise BodyTooLarge(self.content)

    def finish(self) -> bytes:
        """
        The whole body, once its last piece has been fed.

        Raises:
            BadEncoding: The compressed data is cut off.
        """
        if self._inflater is not None and not self._inflater.eof and self._received:
            raise BadEncoding("the gzip data is cut off")
        return self.content

    @property
    def _room(self) -> int:
        # One byte above the limit distinguishes a body of exactly the limit from a larger one.
        return self._limit + 1 - len(self._content)

    def _append(self, data: bytes) -> None:
        self._content += data
        if len(self._content) > self._limit:
            del self._content[self._limit :]
            raise BodyTooLarge(self.content)

    def _inflate(self, chunk: bytes) -> None:
        while chunk:
            if self._inflater is None or self._inflater.eof:
                self._parts += 1
                if self._parts > _MOST_PARTS:
                    raise BadEncoding(f"the gzip data has more than {_MOST_PARTS} parts")
                self._inflater = zlib.decompressobj(_GZIP)
            try:
                data = self._inflater.decompress(chunk, self._room)
            except zlib.error as exc:
                raise BadEncoding("the body is not gzip data") from exc
            self._append(data)
            chunk = self._inflater.unused_data or self._inflater.unconsumed_tail
