"""
What a served program prints, while somebody reads it and after that.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = r"""
import sys
from remora_exec._wires._printing import lose_what_nobody_reads

lose_what_nobody_reads()
print("na\u00efve")
print("\u20ac", file=sys.stderr, flush=True)
print("here", flush=True)
sys.stdin.read()
for stream in (sys.stdout, sys.stderr):
    print("x" * 100_000, file=stream)
    print("y", file=stream, flush=True)
open("done", "w").close()
print("z")
"""

OWN = """
import io, sys
sys.stdout, sys.stderr = own = io.StringIO(), None
from remora_exec._wires._printing import lose_what_nobody_reads
lose_what_nobody_reads()
open("done", "w").write(str((sys.stdout, sys.stderr) == own))
"""


@pytest.mark.parametrize("options", [(), ("-u",)], ids=["buffered", "unbuffered"])
def test_printing_never_fails_once_nobody_reads(tmp_path: Path, options: tuple[str, ...]) -> None:
    """
    Not when Python ends either; before that, text arrives as it is printed, in the encoding of the stream.
    """
    with subprocess.Popen(
        [sys.executable, *options, "-c", PROGRAM],
        cwd=tmp_path,
        env={"PYTHONIOENCODING": "latin-1:backslashreplace"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stderr is not None
        words = [program.stderr.readline(), program.stdout.readline(), program.stdout.readline()]
        program.stdout.close()
        program.stderr.close()
        program.stdin.close()
        status = program.wait(20)

    assert [b"\\u20ac\n", b"na\xefve\n", b"here\n"] == words
    assert 0 == status
    assert (tmp_path / "done").exists()


def test_a_stream_that_the_program_has_made_is_left_alone(tmp_path: Path) -> None:
    """
    And so is one that is not there.
    """
    subprocess.run([sys.executable, "-c", OWN], cwd=tmp_path, check=True, timeout=20)

    assert "True" == (tmp_path / "done").read_text()
