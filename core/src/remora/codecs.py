"""
Payloads: records as JSON, and what other formats need to treat the same records the same way.

What lives here: the JSON codec and the converter behind every codec of plain values. What must not: other formats.
"""

from __future__ import annotations

import json
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from remora import _structure
from remora._structure import Mismatch, Shortcuts, quick_reader, quick_writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from cattrs import Converter

__all__ = ["JsonCodec", "Mismatch", "RecordConverter"]

T = TypeVar("T")

_MOST_PROBLEMS = 5


class RecordConverter:
    """
    Turns records into plain values (dict, list, str, int, float, bool, None) and back.

    Args:
        format_: The name of the format, for messages.
        customize: Called with each converter that is made, to register what the format does differently.
    """

    def __init__(self, format_: str, *, customize: Callable[[Converter], None] | None = None) -> None:
        self._format = format_
        self._customize = customize

    def _make(self, *, detailed: bool) -> Converter:
        converter = _structure.make_converter(detailed=detailed, most_errors=_MOST_PROBLEMS)
        if self._customize is not None:
            self._customize(converter)
        return converter

    @cached_property
    def _fast(self) -> Converter:
        return self._make(detailed=False)

    @cached_property
    def _detailed(self) -> Converter:
        return self._make(detailed=True)

    def unstructure(self, value: object) -> Any:
        """
        The plain value of a record. What is of no type that it knows stays as it is; a codec whose format cannot hold
        it raises the `refusal`.

        Raises:
            ValueError: A record in it fails to give its values.
        """
        try:
            return self._fast.unstructure(value)
        except Exception as exc:  # somebody's record may hold anything, and its properties may do anything
            raise self.refusal(value, exc) from exc

    def refusal(
        self, value: object, exc: Exception, *, write: Callable[[Any], object] = lambda plain: None
    ) -> ValueError:
        """
        The error for a record that cannot be written, for the reason in `exc`.

        Args:
            value: The record.
            exc: What was raised.
            write: Writes a plain value, as was tried; with it, the message names the field that is to blame.
        """
        path, why = _structure.find_culprit(
            value, exc, lambda part, type_: write(self._fast.unstructure(part, unstructure_as=type_))
        )
        reason = "it is nested too deeply, or contains itself" if isinstance(why, RecursionError) else str(why)
        return ValueError(f"{type(value).__qualname__} cannot be written as {self._format}: {path}: {reason}")

    def structure(self, value: object, type_: type[T]) -> T:
        """
        The record of a plain value.

        Raises:
            ValueError: It is not such a record; the message names up to five fields.
        """
        try:
            return self._fast.structure(value, type_)
        except RecursionError as exc:
            raise ValueError("$: nested too deeply") from exc
        except Exception:  # somebody's record may refuse its values with any error
            return self._structure_again(value, type_)

    def _structure_again(self, value: object, type_: type[T]) -> T:
        """
        Do it slowly, to find out all that is wrong.
        """
        try:
            return self._detailed.structure(value, type_)
        except Exception as exc:  # somebody's record may refuse its values with any error
            raise ValueError("; ".join(_structure.describe_errors(exc)[:_MOST_PROBLEMS])) from exc


class JsonCodec:
    """
    Records as JSON in UTF-8.

    Attrs classes, dataclasses, TypedDicts and NamedTuples are objects; dates and times are text in ISO 8601;
    bytes are text in base64; UUIDs, decimals and paths are text; timedeltas are seconds; enumerations are their values.
    Reading is strict about types, and ignores keys that the record does not have.

    Simple records take a shorter way, and with `remora[fast]` the shortest one, by msgspec. What comes of them is the
    same.
    """

    content_type = "application/json"

    def __init__(self) -> None:
        self._converter = RecordConverter("JSON")

    def encode(self, value: object, /) -> bytes:
        """
        The payload for a record.

        Raises:
            ValueError: It holds something that JSON cannot carry.
        """
        try:
            if (write := _ready_writer(type(value))) is not None:  # first, because it is the quickest look
                return write(value)  # type: ignore[no-any-return]
            if (write := _writers[type(value)]) is not None:
                return write(value)  # type: ignore[no-any-return]
        except Exception:  # it is not as simple as its class, or wrong; whoever knows the rules will tell
            pass
        plain = self._converter.unstructure(value)
        try:
            return _text(plain)
        except (TypeError, ValueError, RecursionError) as exc:
            raise self._converter.refusal(value, exc, write=_text) from exc

    def decode(self, payload: bytes, type_: type[T], /) -> T:
        """
        The record of a payload. An empty payload is null.

        Raises:
            ValueError: It is not JSON, or not such a record; the message names the field.
        """
        try:
            if (read := _ready_reader(type_)) is not None:
                return read(payload if payload.isascii() else payload.decode())  # type: ignore[no-any-return]
            if (read := _readers[type_]) is not None:
                return read(payload.decode())  # type: ignore[no-any-return]
        except Exception:  # likewise
            pass
        return self._converter.structure(_value(payload), type_)

    def encoder(self, type_: type, /) -> Callable[[Any], bytes]:
        """
        What `encode` does, quicker for records of a type. It takes all others too.
        """
        if type(self) is not JsonCodec or type_ is object or not isinstance(type_, type):
            return self.encode  # which a subclass may have changed
        write: Callable[[Any], bytes] | None = None

        def encode(value: object) -> bytes:
            nonlocal write
            try:
                if write is not None and type(value) is type_:
                    return write(value)
                write = _ready_writer(type_)
            except Exception:  # as in `encode`
                pass
            return self.encode(value)

        return encode

    def decoder(self, type_: type[T], /) -> Callable[[bytes], T]:
        """
        What `decode` does for a type.
        """
        if type(self) is not JsonCodec:
            return lambda payload: self.decode(payload, type_)
        read: Callable[[Any], T] | None = None

        def decode(payload: bytes) -> T:
            nonlocal read
            try:
                if read is not None:
                    return read(payload if payload.isascii() else payload.decode())
                read = _ready_reader(type_)
            except Exception:  # likewise
                pass
            return self.decode(payload, type_)

        return decode


def _short_writer(cls: Any) -> Callable[[Any], bytes] | None:
    make = quick_writer(cls)
    return None if make is None else lambda value: _write(make(value)).encode()


def _short_reader(type_: Any) -> Callable[[str | bytes], Any] | None:
    make = quick_reader(type_)
    return None if make is None else lambda text: make(_scanned(text))


def _text(plain: object) -> bytes:
    return _encoder.encode(plain).encode()


def _scanned(text: str | bytes) -> object:
    """
    What `_parsed` gives, quicker; it raises what it likes where there is no value, or a space before it.
    """
    text = text if isinstance(text, str) else text.decode()
    value, end = _scan(text, 0)
    return value if end == len(text) else _decoder.decode(text)


def _value(payload: bytes) -> object:
    try:
        return _scanned(payload)
    except Exception:  # StopIteration too: there is no value where one should be
        return _parsed(payload)


def _parsed(payload: bytes) -> object:
    try:
        return _decoder.decode(payload.decode()) if payload else None
    except UnicodeDecodeError as exc:
        raise ValueError(f"not JSON: not UTF-8 at byte {exc.start}") from exc
    except json.JSONDecodeError as exc:
        raise ValueError(f"not JSON: {exc.msg} at character {exc.pos}") from exc
    except RecursionError as exc:
        raise ValueError("not JSON that can be read: nested too deeply") from exc
    except ValueError as exc:
        raise ValueError(f"not JSON that can be read: {exc}") from exc


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not a number in JSON")


def _writer(encoder: json.JSONEncoder) -> Callable[[object], str]:
    """
    What `encoder.encode` does, without making its inner half anew each time where that half is in C.
    """
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    write = make(None, encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(write(value, 0))


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_decoder = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)
_write = _writer(_encoder)
_scan: Any = getattr(_decoder, "scan_once", None)

_writers = Shortcuts(_short_writer, lambda cls: _structure.make_direct_writer(cls))
_readers = Shortcuts(_short_reader, lambda type_: _structure.make_direct_reader(type_))
_ready_writer, _ready_reader = _writers.get, _readers.get
