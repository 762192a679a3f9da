"""
First lines of scripts that are unusual, or wrong: none of them is taken for one that names an interpreter.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from remora_exec._keeping._first_line import words_before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/p/python3", ["/p/python3"]),
        ("#! \t/p/python3\t -u  -I \nx", ["/p/python3", "-u  -I"]),
        ("#!/p/python3\r\n", ["/p/python3\r"]),
        ("#!/usr/bin/env none3\n", ["none3"]),
        ("#!/usr/bin/env none3 -u\n", ["none3 -u"]),
        ("#!/usr/bin/env -S none3 -W 'a b'\n", ["none3", "-W", "a b"]),
        ("#!/usr/bin/env -Snone3\n", ["none3"]),
        ("#!/usr/bin/env -S none3 'a\n", [""]),
        ("#!/usr/bin/env -S ${P}\n", [""]),
        ("#!/usr/bin/env\n", [""]),
        ("#!/bin/sh\n'''exec' '/a b/python' -I \"$0\" \"$@\"\n' '''\n", ["/a b/python", "-I"]),
        ("#!/bin/sh\n'''exec' $HOME/python \"$0\" \"$@\"\n' '''\n", []),
        ("#!/bin/sh\n'''exec' python \"$0\"\n' '''\n", ["/bin/sh"]),
        (f"#!/{'p' * 253}\n", [f"/{'p' * 253}"][:0]),
        ("import sys\n", []),
        ("", []),
    ],
)
def test_a_first_line_is_read_as_the_system_reads_it(tmp_path: Path, text: str, words: list[str]):
    (tmp_path / "script").write_bytes(text.encode())

    assert words_before("script", str(tmp_path / "script"), "/none") == words
