"""
From what a user names to the description of a plugin: a file, Python objects, or a configured plugin that is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remora.errors import ConfigError
from remora.schema import describe, load_description
from remora_cli._host import manager_for_one_call
from remora_cli._run import run
from remora_cli._targets import find_target, parse_targets

if TYPE_CHECKING:
    from remora.types import PluginInfo


def described(target: str) -> PluginInfo:
    """
    The description in a file of JSON, or of `MODULE:OBJECT`.

    Raises:
        ConfigError: There is none.
    """
    if not target.endswith(".json") and ":" in target:
        return described_object(target)
    try:
        text = Path(target).read_bytes()
    except OSError as error:
        raise ConfigError(f"{target} cannot be read: {error.strerror}") from error
    try:
        return load_description(text)
    except ConfigError as error:
        raise ConfigError(f"{target}: {error.message}") from error


def described_object(target: str) -> PluginInfo:
    """
    The description of a class, without making an instance of it, or of an object.

    Raises:
        click.BadParameter: The text does not name one.
        ConfigError: There is none, or nothing in it can be called.
    """
    context = click.get_current_context()
    ((module, path),) = parse_targets(context, context.command.params[0], [target])
    return describe(find_target(module, path))


def described_plugin(config: str, plugin: str, *, backend: str) -> PluginInfo:
    """
    What a configured plugin says about itself; only that one is started.

    Raises:
        RemoraError: It cannot be asked.
    """
    manager = manager_for_one_call(config, plugin)

    async def ask() -> PluginInfo:
        async with manager:
            return await manager.info(plugin)

    return run(ask, backend=backend)
