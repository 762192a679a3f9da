"""
What starts programs, and ends them with this process: with a keeper, or without where none runs.

What lives here: which starter that is. What must not: how it does it.
"""

from __future__ import annotations

import logging
import math
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from remora_exec._keeping._forking import ForkingStarter
from remora_exec._keeping._groups import watching_groups
from remora_exec._keeping._hiring import Hiring
from remora_exec._keeping._keeper_launch import KEEPS_DESCENDANTS, KeeperLost
from remora_exec._keeping._kept_starter import KeptStarter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remora_exec._keeping._child import Starter

_logger = logging.getLogger(__name__.replace("_", ".", 1))

_is_warned = False


@asynccontextmanager
async def keeping(
    *, forks: bool = False, patience: float = math.inf, is_lasting: bool = False
) -> AsyncIterator[Starter]:
    """
    A starter whose children end with this process; it can be used while the context lasts.

    Args:
        forks: Whether its orders are for fork servers, each of which is launched when it is needed.
        patience: Seconds within which a fork server must be ready; if it is not, programs are executed.
        is_lasting: Whether only one program is started.

    Raises:
        Unavailable: The system lacks resources for another process.
    """
    starter: KeptStarter | ForkingStarter | None
    if not KEEPS_DESCENDANTS:
        starter = None
    elif forks:
        starter = ForkingStarter(patience, is_lasting=is_lasting)
    else:
        starter = await _starter_of_keeper()
    if starter is None:
        if forks:
            _logger.warning('no fork server can run here: start_method = "forkserver" is ignored')
        with watching_groups() as groups:
            yield groups
        return
    try:
        yield starter
    finally:
        await starter.close()


async def _starter_of_keeper() -> KeptStarter | None:
    """
    None when no keeper can run now. The next program may find one, since the system may only have lacked resources.
    """
    global _is_warned
    hiring = Hiring(None)
    try:
        return KeptStarter(await hiring.keeper())
    except KeeperLost:
        if not _is_warned:
            _logger.warning("what leaves the process group of a plugin may outlive it: %s keeps none", sys.executable)
        _is_warned = True
        return None
    except BaseException:
        hiring.give_up()
        raise
