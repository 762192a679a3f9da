"""
One parser under the fuzzer: `python -m fuzz.harness NAME [options of libFuzzer] [folders]`.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["remora", "remora_http", "remora_grpc"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """
    Hand over to the fuzzer, which never returns.
    """
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
