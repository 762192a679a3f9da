"""
The `remora` command. Its commands are features like any other: extensions add theirs with `remora_register_commands`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    Args:
        args: The words after `remora`; by default those of this process.

    Returns:
        The exit code (see `remora --help`).
    """
    from remora_cli._early import INTERRUPTED, early_signals

    with early_signals(args):
        try:
            from remora_cli._main import run
        except KeyboardInterrupt:  # as `run` has it later
            return INTERRUPTED

        return run(args)
