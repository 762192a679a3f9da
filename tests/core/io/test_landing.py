"""
How much is read at once.
"""

from __future__ import annotations

import pytest

from remora.io import landing
from remora.io._landing import ROOM, ROOM_FOR_LARGE, next_room
from remora.wire import LARGE


@pytest.mark.parametrize(
    ("size", "messages", "room"),
    [
        (100, 1, ROOM),
        (ROOM, ROOM // 100, ROOM),
        (ROOM, 3, ROOM_FOR_LARGE),
        (ROOM, 0, ROOM_FOR_LARGE),
        (ROOM_FOR_LARGE, ROOM_FOR_LARGE // LARGE, ROOM_FOR_LARGE),
        (ROOM_FOR_LARGE, ROOM_FOR_LARGE // LARGE + 1, ROOM),
    ],
)
def test_more_is_read_at_once_while_messages_are_large(size: int, messages: int, room: int) -> None:
    """
    Also amid one that is not complete.
    """
    assert room == next_room(size, messages)


def test_whoever_asks_for_no_more_gets_the_smaller_room_of_the_same_memory() -> None:
    """
    Which belongs to the thread.
    """
    landing(ROOM_FOR_LARGE)[0] = 7

    assert (ROOM, 7) == (len(landing()), landing()[0])
