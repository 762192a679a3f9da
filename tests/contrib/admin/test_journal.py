"""
Records in systemd's journal: what arrives at its socket.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remora_admin._journal import JournalHandler, entry, is_read_by_the_journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """
    A socket that takes entries.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        listening.settimeout(5)
        yield listening


@pytest.fixture
def logger(journal: socket.socket) -> Iterator[logging.Logger]:
    """
    A logger that writes there.
    """
    handler = JournalHandler(journal.getsockname())
    found = logging.Logger("remora.plugin.p", logging.DEBUG)
    found.addHandler(handler)
    yield found
    handler.close()


def test_records_become_entries_with_their_fields(journal: socket.socket, logger: logging.Logger) -> None:
    """
    So that `journalctl REMORA_PLUGIN=p PRIORITY=4` finds them.
    """
    logger.warning("low on %s", "ink", extra={"plugin": "p", "instance": "exec:p", "fields": {"pages": 3}})

    assert journal.recv(65536).decode().splitlines() == [
        "MESSAGE=low on ink",
        "PRIORITY=4",
        "SYSLOG_IDENTIFIER=remora",
        "LOGGER=remora.plugin.p",
        "REMORA_PLUGIN=p",
        "REMORA_INSTANCE=exec:p",
    ]


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_levels_are_the_journals_priorities(
    journal: socket.socket, logger: logging.Logger, level: int, priority: int
) -> None:
    """
    As syslog numbers them.
    """
    logger.log(level, "x")

    assert f"\nPRIORITY={priority}\n".encode() in journal.recv(65536)


def test_text_of_more_than_one_line_cannot_forge_a_field(journal: socket.socket, logger: logging.Logger) -> None:
    """
    Its length stands before it; also a traceback is one field.
    """
    text = "first\nPRIORITY=0"

    assert entry({"MESSAGE": text}) == b"MESSAGE\n" + len(text).to_bytes(8, "little") + text.encode() + b"\n"
    logger.error("%s", "x\nREMORA_PLUGIN=other")
    assert b"MESSAGE\n" in journal.recv(65536)


def test_what_the_journal_does_not_take_goes_to_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Nothing is lost while it is being restarted.
    """
    handler = JournalHandler(str(tmp_path / "nobody"))
    handler.handle(logging.LogRecord("remora", logging.ERROR, "", 0, "on fire", (), None))
    handler.close()

    assert capsys.readouterr().err == "on fire\n"


def test_the_journal_is_known_by_the_stream_that_systemd_names(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    Where standard error leads somewhere else, records go there as ever.
    """
    with capfd.disabled():
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
        before = is_read_by_the_journal()
        found = os.fstat(sys.stderr.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        here = is_read_by_the_journal()
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
        elsewhere = is_read_by_the_journal()

    assert (before, here, elsewhere) == (False, True, False)
