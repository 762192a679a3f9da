"""
Let every parser eat bytes that a coverage-guided fuzzer makes up, for so many seconds in all.

    python -m fuzz --seconds 60
    python -m fuzz --only jsonl --seconds 600 --keep fuzz/corpus

Each parser runs in a process of its own, a fork of one that has all of them instrumented. What breaks a claim of
`fuzz.targets` ends the program with 1 and leaves the bytes in the folder `fuzz-findings`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from pathlib import Path

from fuzz.harness import run
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FINDINGS = Path("fuzz-findings")
LONGEST = 4096
FORKS = multiprocessing.get_context("fork")


def main() -> None:
    """
    Read the command line, and fuzz one parser after the other.
    """
    parser = argparse.ArgumentParser(description="fuzz the parsers of Remora")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all parsers together")
    parser.add_argument("--only", choices=sorted(TARGETS), help="this parser alone")
    parser.add_argument(
        "--keep", type=Path, help="add what finds new ways through the code to the corpus in this folder"
    )
    options = parser.parse_args()
    names = [options.only] if options.only else sorted(TARGETS)
    broken = [name for name in names if not fuzz(name, max(1, int(options.seconds / len(names))), options.keep)]
    sys.exit(f"broken: {', '.join(broken)}" if broken else 0)


def fuzz(name: str, seconds: int, keep: Path | None) -> bool:
    """
    Fuzz one parser; whether it kept its claims.
    """
    FINDINGS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        grown, log = keep / name if keep else Path(scratch, "grown"), Path(scratch, "log")
        grown.mkdir(parents=True, exist_ok=True)
        limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=1024"]
        places = [f"-artifact_prefix={FINDINGS}/{name}-", str(grown), str(CORPUS / name)]
        process = FORKS.Process(target=run, args=(name, ["-print_final_stats=1", *limits, *places], log, FINDINGS))
        process.start()
        process.join(seconds + 120)
        process.kill()  # does nothing if it has ended
        process.join()
        said = log.read_text(errors="replace")
    print(f"{name}: {_runs(said)} inputs in {seconds} s, {'broken' if process.exitcode else 'fine'}", flush=True)
    if process.exitcode:
        print(said[-6000:])
    return process.exitcode == 0


def _runs(log: str) -> str:
    lines = [line for line in log.splitlines() if "number_of_executed_units" in line]
    return lines[-1].rpartition(":")[2].strip() if lines else "?"


if __name__ == "__main__":
    main()
