"""
A manager for a configuration that was read from a file, whose name belongs into what is wrong with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora import Manager
from remora.errors import ConfigError, ExtensionError

if TYPE_CHECKING:
    from remora.config import LoadedConfig


def make_manager(loaded: LoadedConfig) -> Manager:
    """
    The manager.

    Args:
        loaded: What was read from a file or a directory, or a part of it.

    Raises:
        ExtensionError: The installation is wrong.
        ConfigError: The file is wrong; the message names it.
    """
    try:
        return Manager(loaded.config)
    except ExtensionError:
        raise
    except ConfigError as error:
        loaded.locate(error)
        raise
