"""
What a plugin writes to its standard error, as log records: a flood of it is bounded.
"""

from __future__ import annotations

import logging

import pytest

from remora import Secret
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


@pytest.mark.fault(27)
def test_secrets_of_the_host_are_taken_out_of_what_a_plugin_writes(caplog: pytest.LogCaptureFixture) -> None:
    """
    Out of texts, of messages and fields in JSON however they are escaped there, and of the last words.
    """
    held = Secret("s3cr3t/canary")
    output = Output("p", "exec:p")
    with caplog.at_level(logging.INFO, "remora.plugin.p"):
        output.feed(b"got s3cr3t/canary\n")
        output.feed(b'{"level":"error","msg":"not s3cr3t\\/canary","headers":{"a":["Bearer s3cr3t\\u002fcanary"]}}\n')
        output.stray(b"s3cr3t/canary on stdout")
    told = [(record.getMessage(), getattr(record, "fields", None)) for record in caplog.records]

    assert [
        ("got ***", None),
        ("not ***", {"headers": {"a": ["Bearer ***"]}}),
        ("stdout: *** on stdout", None),
    ] == told
    assert ("got ***", "not ***") == output.last_lines
    assert held
