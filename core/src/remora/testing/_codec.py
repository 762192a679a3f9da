"""
The contract of codecs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from remora.protocols import PreparedCodec
from remora.testing._claims import NotChecked, claims_of, keeps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora.protocols import Codec
    from remora.specs import CodecSpec
    from remora.testing._claims import Claim

__all__ = ["check_codec"]


async def check_codec(spec: CodecSpec, *samples: object) -> list[str]:
    """
    Put a codec through the contract.

    Args:
        spec: What the codec's hook returns.
        *samples: Records to write and read back; by default plain dataclasses, if the codec takes any record.

    Returns:
        The claims that were checked, in order.

    Raises:
        ContractViolation: A claim does not hold.
    """
    return await keeps(spec.name, codec_claims(spec, samples))


def codec_claims(spec: CodecSpec, samples: Sequence[object] = ()) -> list[Claim]:
    """
    The contract of codecs, for one of them.
    """
    chosen = tuple(samples) or (() if spec.claims else _SAMPLES)
    subject = _Subject(spec, spec.build(), chosen)
    return claims_of(_CHECKS, subject)


_OFTEN = 20
"""What is prepared may become quicker in the course of time, and must stay the same."""


@dataclass(frozen=True)
class _Inner:
    text: str = ""
    flag: bool = False


@dataclass(frozen=True)
class _Sample:
    text: str = ""
    number: int = 0
    real: float = 0.0
    inner: _Inner = field(default_factory=_Inner)
    many: list[_Inner] = field(default_factory=list)
    named: dict[str, int] = field(default_factory=dict)
    maybe: _Inner | None = None
    raw: bytes = b""


_SAMPLES = (
    _Sample(),
    _Sample(
        "ü\u2028\U0001f41f\x00",
        -(2**53),
        0.1,
        _Inner("x", True),
        [_Inner(), _Inner("y")],
        {"a": 1},
        _Inner(),
        b"\x00\xff",
    ),
    _Sample("x" * 100_000),
)


@dataclass(frozen=True)
class _Subject:
    spec: CodecSpec
    codec: Codec
    samples: tuple[object, ...]


def _it_writes_the_first_of_its_content_types(subject: _Subject) -> None:
    written, first = subject.codec.content_type, subject.spec.content_types[0]
    assert written == first, f"the codec writes {written!r}, and the spec says {first!r}"


def _a_record_is_read_as_it_was_written(subject: _Subject) -> None:
    for sample in subject.samples:
        payload = subject.codec.encode(sample)
        assert isinstance(payload, bytes), f"the payload is {type(payload).__name__}, not bytes"
        read: Any = subject.codec.decode(payload, type(sample))
        assert read == sample, f"{read!r} was {sample!r}"


def _one_call_leaves_nothing_for_the_next(subject: _Subject) -> None:
    for sample in subject.samples:
        first, second = subject.codec.encode(sample), subject.codec.encode(sample)
        assert first == second, f"the same record becomes {first[:40]!r}, and then {second[:40]!r}"


def _what_it_cannot_write_is_a_value_error(subject: _Subject) -> None:
    _refuses(lambda: subject.codec.encode(object()))


def _what_is_no_payload_is_a_value_error(subject: _Subject) -> None:
    for sample in subject.samples:
        payload = subject.codec.encode(sample)
        for broken in (b"\xff" * 7, payload[: len(payload) // 2] + b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"):
            _refuses(lambda broken=broken, sample=sample: subject.codec.decode(broken, type(sample)))  # type: ignore[misc]


def _what_is_prepared_for_a_type_does_the_same(subject: _Subject) -> None:
    codec = subject.codec
    if not isinstance(codec, PreparedCodec):
        raise NotChecked("it has no `encoder` and no `decoder`")
    for sample in subject.samples:
        encode, decode = codec.encoder(type(sample)), codec.decoder(type(sample))
        payload = codec.encode(sample)
        for _ in range(_OFTEN):
            assert encode(sample) == payload, "a prepared encoder writes something else than `encode`"
            assert codec.encoder(type(subject))(sample) == payload, "a record of another type is written in another way"
            assert decode(payload) == sample, "a prepared decoder reads something else than `decode`"
        _refuses(partial(encode, object()))
        _refuses(partial(decode, payload + b"\xff" * 11))


def _refuses(act: Callable[[], object]) -> None:
    try:
        result = act()
    except ValueError:
        return
    raise AssertionError(f"expected a ValueError, got {result!r}")


_CHECKS: tuple[Callable[[_Subject], None], ...] = (
    _it_writes_the_first_of_its_content_types,
    _a_record_is_read_as_it_was_written,
    _one_call_leaves_nothing_for_the_next,
    _what_it_cannot_write_is_a_value_error,
    _what_is_no_payload_is_a_value_error,
    _what_is_prepared_for_a_type_does_the_same,
)
