"""
One parser under the fuzzer. Whoever imports this module has all parsers instrumented, which takes seconds.
"""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stderr
from hashlib import sha1
from io import StringIO
from typing import TYPE_CHECKING

import atheris

with redirect_stderr(StringIO()), atheris.instrument_imports(include=["remora", "remora_http", "remora_grpc"]):
    from fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


def run(name: str, options: Iterable[str], log: Path, findings: Path) -> None:
    """
    Hand over to the fuzzer, which ends the process.

    Args:
        name: The parser.
        options: Options of libFuzzer, and the folders of inputs.
        log: What gets all that is written.
        findings: The folder for bytes that break a claim.
    """
    with log.open("wb") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    atheris.Setup([name, *options], _keeping(TARGETS[name], findings / name))
    atheris.Fuzz()


def _keeping(target: Callable[[bytes], None], path: Path) -> Callable[[bytes], None]:
    """
    The same target, which leaves what broke it: libFuzzer does so only in a process that is no fork.
    """

    def holds(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            path.with_name(f"{path.name}-crash-{sha1(data).hexdigest()}").write_bytes(data)
            raise

    return holds
