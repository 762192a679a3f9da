"""
What is going on, on standard error: one changing line on a terminal, a line for each step elsewhere.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def shown_progress() -> Iterator[Callable[[str], None]]:
    """
    A function that tells what happens now.
    """
    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        yield lambda step: console.print(f"{step} ...", soft_wrap=True)
        return
    with console.status("starting") as status:
        yield lambda step: status.update(f"{step} ...")
