"""
A manager for a configuration that was read from a file, whose name belongs into what is wrong with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora import Manager
from remora.errors import ConfigError, ExtensionError

if TYPE_CHECKING:
    from remora.config import ManagerConfig


def make_manager(config: ManagerConfig, *, path: str) -> Manager:
    """
    The manager.

    Args:
        config: The configuration, or a part of it.
        path: The file that it comes from.

    Raises:
        ExtensionError: The installation is wrong.
        ConfigError: The file is wrong; the message names it.
    """
    try:
        return Manager(config)
    except ExtensionError:
        raise
    except ConfigError as error:
        error.found_in(path)
        raise
