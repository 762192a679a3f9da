"""
What a plugin writes to its standard error, as log records: a flood of it is bounded.
"""

from __future__ import annotations

import logging

import pytest

from remora import Secret
from remora.testing import ManualClock
from remora_exec._wires._output import Output


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


def test_500_lines_a_second_have_room(caplog: pytest.LogCaptureFixture) -> None:
    """
    When 5000 at once have had it.
    """
    clock = ManualClock()
    output = Output("p", "exec:p", clock=clock)
    output.feed(b"line\n" * 5000)
    clock.advance(1)
    output.feed(b"line\n" * 500 + b"a" * 501 + b"\n")
    output.feed_eof()
    output.feed_eof()

    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert ["1 lines were left out: too many at once"] == warnings
    assert ("line", "a" * 500) == output.last_lines[-2:]


def test_flood_that_ends_with_the_plugin_is_mentioned_too(caplog: pytest.LogCaptureFixture) -> None:
    """
    When there is no line any more.
    """
    output = Output("p", "exec:p", clock=ManualClock())
    output.feed(b"line\n" * 5003)
    output.feed_eof()

    assert "3 lines were left out" in caplog.records[-1].getMessage()


def test_flood_of_lines_of_standard_output_is_cut_too(caplog: pytest.LogCaptureFixture) -> None:
    """
    A plugin that speaks JSON lines may write as many between its answers as it likes.
    """
    clock = ManualClock()
    output = Output("p", "exec:p", clock=clock)
    for _ in range(6000):
        output.stray(b"line")
    clock.advance(1)
    output.stray(b"after")
    texts = [record.getMessage() for record in caplog.records]

    assert 5002 == len(texts)
    assert ["1000 lines were left out: too many at once", "stdout: after"] == texts[-2:]


def test_what_is_left_out_is_not_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    """
    All lines of a piece beyond the limit cost one look at the clock; only the last ones are read, when somebody asks.
    """
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return 0.0

    output = Output("p", "exec:p", clock=clock)
    output.feed(b"line\n" * 5000)
    looks = 0
    output.feed(b"\n \n" + b"key s3cr3t-of-later\n" * 1000 + b'{"level": "error", "msg": "s3cr3t-of-later"}\n\r\nre')
    output.feed(b"st\n")
    held = Secret("s3cr3t-of-later")

    assert 2 == looks
    assert 20 == len(output.last_lines)
    assert ("key ***", "***", "rest") == output.last_lines[-3:]
    output.feed_eof()
    assert "1002 lines were left out: too many at once" == caplog.records[-1].getMessage()
    del held  # the lines are read while it is known
    assert ("key ***", "***", "rest") == output.last_lines[-3:]


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


@pytest.fixture
def output(caplog: pytest.LogCaptureFixture) -> Output:
    """
    The output of a plugin whose log is read.
    """
    caplog.set_level(logging.DEBUG, "remora.plugin.p")
    return Output("p", "exec:p", clock=ManualClock())


@pytest.mark.parametrize(
    "line",
    [
        b'{"level": "warn", "msg": "low on ink", "pages": 3}',
        b'{"@level": "warning", "@message": "low on ink", "pages": 3}',
        b'{"severity": "WARNING", "message": "low on ink", "pages": 3}',
    ],
)
def test_json_lines_are_parsed(output: Output, caplog: pytest.LogCaptureFixture, line: bytes) -> None:
    """
    Of the loggers of Go, of hashicorp, of the clouds: a message, and its fields as one attribute.
    """
    output.feed(line + b"\n")
    (record,) = caplog.records

    assert ("low on ink", logging.WARNING) == (record.getMessage(), record.levelno)
    assert {"pages": 3} == record.fields  # type: ignore[attr-defined]
    assert ("p", "exec:p") == (record.plugin, record.instance)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "line",
    ['{"level": "warn"}', '{"level": 30, "msg": "x"}', '{"level": "loud", "msg": "x"}', '{"msg":', "[1]", "{" * 70_000],
)
def test_json_that_is_no_log_line_is_a_line_like_any_other(
    output: Output, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    """
    Nothing is lost of it, and nothing breaks.
    """
    output.feed(line.encode() + b"\n")
    (record,) = caplog.records

    assert logging.INFO == record.levelno
    assert record.getMessage().startswith(line[:1000])


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("trace", logging.DEBUG),
        ("DEBUG", logging.DEBUG),
        ("info", logging.INFO),
        ("notice", logging.INFO),
        ("Warn", logging.WARNING),
        ("error", logging.ERROR),
        ("fatal", logging.CRITICAL),
        ("critical", logging.CRITICAL),
        ("panic", logging.CRITICAL),
    ],
)
def test_levels_are_kept(output: Output, caplog: pytest.LogCaptureFixture, word: str, level: int) -> None:
    """
    As this side calls them.
    """
    output.feed(b'{"level": "%s", "msg": "x"}\n' % word.encode())

    assert [("x", level)] == [(record.getMessage(), record.levelno) for record in caplog.records]


@pytest.mark.parametrize(
    ("written", "logged"),
    [
        (b"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        (b"a\rINFO forged", "a\\rINFO forged"),
        (b"of Windows\r", "of Windows"),
        (b'{"level": "info", "msg": "a\\nERROR forged"}', "a\\nERROR forged"),
        ("right to left \u202e".encode(), "right to left \\u202e"),
        ("marks \u200e\u200f\u061c".encode(), "marks \\u200e\\u200f\\u061c"),
        (b"no text \xff", "no text \\xff"),
    ],
)
def test_what_a_terminal_or_a_reader_of_the_log_would_take_for_something_else_is_escaped(
    output: Output, caplog: pytest.LogCaptureFixture, written: bytes, logged: str
) -> None:
    """
    No line of a plugin can look like one of the host.
    """
    output.feed(written + b"\n")

    assert [logged] == [record.getMessage() for record in caplog.records]


def test_a_last_line_without_an_end_is_a_line(output: Output, caplog: pytest.LogCaptureFixture) -> None:
    """
    Once the plugin has ended.
    """
    output.feed(b"one\nt")
    output.feed(b"wo")
    assert ["one"] == [record.getMessage() for record in caplog.records]

    output.feed_eof()
    output.feed_eof()
    assert ["one", "two"] == [record.getMessage() for record in caplog.records]
    assert ("one", "two") == output.last_lines


def test_of_the_last_lines_500_characters_are_kept(output: Output) -> None:
    """
    Enough for an error message.
    """
    output.feed(b"a" * 500 + b"\n" + b"b" * 501 + b"\n")

    assert ("a" * 500, "b" * 500) == output.last_lines


def test_lines_may_have_64_kib_and_what_is_longer_is_cut(output: Output, caplog: pytest.LogCaptureFixture) -> None:
    """
    In whatever pieces they come; what follows is read as ever.
    """
    size = 64 * 1024
    output.feed(b"a" * (size - 1))
    output.feed(b"a\n" + b"b" * (size + 1) + b"\n")
    for _ in range(3):
        output.feed(b"c" * size)
        assert len(output._rest) == size
    output.feed(b"\nnext\n")
    output.stray(b"d" * (size + 1))

    assert ["a" * size, "b" * size + " [cut]", "c" * size + " [cut]", "next", "stdout: " + "d" * size] == [
        record.getMessage() for record in caplog.records
    ]
