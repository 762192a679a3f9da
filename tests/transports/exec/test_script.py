"""
Scripts that are arguments of their interpreter: found, and complained of when others may write to them.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from remora.types import Call, Endpoint
from remora_exec._command import Command
from remora_exec._security._script import script_of, script_warning
from remora_exec.plugin import ExecOptions, build


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """
    A directory with a script that nobody else may write to.
    """
    (tmp_path / "s.py").write_text("print(1)")
    (tmp_path / "s.py").chmod(0o644)
    (tmp_path / "dir").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("program", "args", "is_found"),
    [
        ("python3", "s.py", True),
        ("python", "-u -I ./s.py s.py", True),
        ("python3.13", "-X dev -W error s.py", True),
        ("pypy3", "-- s.py", True),
        ("node", "--import tsx s.py", True),
        ("bash", "-eu -o pipefail s.py", True),
        ("perl", "-T s.py", True),
        ("python3", "-c s.py", False),
        ("python3", "-uc s.py", False),
        ("python3", "-m s.py", False),
        ("sh", "-ec s.py", False),
        ("ruby", "-ne s.py", False),
        ("python3", "- s.py", False),
        ("python3", "dir s.py", False),
        ("python3", "none.py s.py", False),
        ("python3", "-u", False),
        ("python3", "", False),
        ("wordcount", "s.py", False),
        ("python-config", "s.py", False),
    ],
)
def test_the_script_is_the_first_argument_that_is_a_file(place: Path, program: str, args: str, is_found: bool) -> None:
    """
    Of an interpreter that is told no program in another way.
    """
    command = Command((f"/usr/bin/{program}", *args.split()), {}, str(place))

    assert script_of(command) == (str(place / "s.py") if is_found else "")


def test_who_may_write_to_the_script_or_beside_it_is_told(place: Path) -> None:
    """
    As for a program; a script that only its owner may change is no matter.
    """
    command = Command(("/usr/bin/python3", "s.py"), {}, str(place))
    fine = script_warning(command)
    (place / "s.py").chmod(0o664)
    of_file = script_warning(command)
    (place / "s.py").chmod(0o644)
    place.chmod(0o1777)
    of_directory = script_warning(command)

    assert fine == ""
    assert f"/usr/bin/python3 runs {place}/s.py, but {place}/s.py can be written by its group: whoever" in of_file
    assert f"but the directory {place} can be written by everybody: " in of_directory


@pytest.mark.anyio
async def test_a_script_that_others_may_write_to_is_started_with_a_warning(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Once for the channel, and for all that follow it; what it would be told by `remora check` is the same.
    """
    script = place / "s.py"
    script.chmod(0o666)
    transport = build(ExecOptions(name="p", protocol="oneshot", args=(str(script),)))
    endpoint = Endpoint(f"exec:{sys.executable}")
    with caplog.at_level(logging.WARNING, "remora.exec"):
        async with transport.open(endpoint) as channel:
            for _ in range(2):
                assert (await channel.call(Call(payload=b"null"))).payload == b"1"
        async with transport.open(endpoint):
            pass
    inspection = transport.inspect(endpoint)  # type: ignore[attr-defined]
    (warning,) = inspection.warnings

    assert [f"plugin 'p': {warning}"] == [record.getMessage() for record in caplog.records]
    assert f"{script} can be written by everybody" in warning
    assert f"{script}, which is not hashed" == inspection.measures["script"]


@pytest.mark.anyio
async def test_a_restart_repeats_the_warning_only_if_it_was_mended_meanwhile(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    The number of warnings after each start.
    """
    script = place / "s.py"
    transport = build(ExecOptions(name="p", protocol="oneshot", args=(str(script),)))
    counts = []
    with caplog.at_level(logging.INFO, "remora.exec"):
        for mode in (0o666, 0o666, 0o664, 0o664, 0o644, 0o664):
            script.chmod(mode)
            async with transport.open(Endpoint(f"exec:{sys.executable}")):
                counts.append(len(caplog.records))

    assert counts == [1, 1, 2, 2, 2, 3]
