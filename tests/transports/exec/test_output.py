"""
What a plugin writes to its standard error, as log records: a flood of it is bounded.
"""

from __future__ import annotations

import logging

import pytest

from remora.testing import ManualClock
from remora_exec._output import Output


def test_flood_of_lines_is_cut_and_the_log_says_how_many_are_missing(caplog: pytest.LogCaptureFixture) -> None:
    """
    The last lines are kept all the same, for the message of an error.
    """
    clock = ManualClock()
    output = Output("p", "exec:p", clock=clock)
    with caplog.at_level(logging.INFO, "remora.plugin.p"):
        output.feed(b"".join(b"line %d\n" % number for number in range(6000)))
        clock.advance(1)
        output.feed(b"after\n")
    texts = [record.getMessage() for record in caplog.records]

    assert 5002 == len(texts)
    assert ["1000 lines were left out: too many at once", "after"] == texts[-2:]
    assert ("line 5999", "after") == output.last_lines[-2:]


def test_flood_that_ends_with_the_plugin_is_mentioned_too(caplog: pytest.LogCaptureFixture) -> None:
    """
    When there is no line any more.
    """
    output = Output("p", "exec:p", clock=ManualClock())
    output.feed(b"line\n" * 5003)
    output.feed_eof()

    assert "3 lines were left out" in caplog.records[-1].getMessage()
