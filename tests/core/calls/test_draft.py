"""
Records that are made quickly.
"""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from remora import Call, Reply
from remora._calls._request_id import new_request_id
from remora._draft import make_call, make_reply

MADE_QUICKLY = make_call("a.B", "C", b"{}", "application/json", {"x": "y"}, 1.5, "id", True, "key", "me")
MADE_SLOWLY = Call(
    service="a.B",
    method="C",
    payload=b"{}",
    content_type="application/json",
    headers={"x": "y"},
    deadline=1.5,
    request_id="id",
    idempotent=True,
    hash_key="key",
    identity="me",
)


def test_a_quick_call_is_like_any_other() -> None:
    """
    Of the same class, equal, with all fields, frozen, and it can be copied.
    """
    assert type(MADE_QUICKLY) is Call
    assert MADE_SLOWLY == MADE_QUICKLY
    assert repr(MADE_SLOWLY) == repr(MADE_QUICKLY)
    assert all(hasattr(MADE_QUICKLY, each.name) for each in fields(Call))
    assert MADE_SLOWLY == pickle.loads(pickle.dumps(MADE_QUICKLY))
    assert "D" == replace(MADE_QUICKLY, method="D").method
    with pytest.raises(FrozenInstanceError):
        MADE_QUICKLY.method = "D"  # type: ignore[misc]


def test_a_call_with_other_headers_is_like_any_other() -> None:
    """
    In all but those the same, and frozen.
    """
    other = MADE_QUICKLY.with_headers({"a": "b"})

    assert replace(MADE_SLOWLY, headers={"a": "b"}) == other
    assert {"x": "y"} == MADE_QUICKLY.headers
    with pytest.raises(FrozenInstanceError):
        other.method = "D"  # type: ignore[misc]


def test_a_quick_reply_is_like_any_other() -> None:
    """
    Of the same class, and equal.
    """
    reply = make_reply(b"{}", "application/json", {"x": "y"})

    assert type(reply) is Reply
    assert Reply(payload=b"{}", content_type="application/json", headers={"x": "y"}) == reply


def test_identifiers_are_unique_and_of_one_length() -> None:
    """
    32 hexadecimal digits.
    """
    made = {new_request_id() for _ in range(10_000)}

    assert 10_000 == len(made)
    assert {32} == {len(each) for each in made}
    assert all(int(each, 16) >= 0 for each in made)
