"""
What this distribution adds to Remora: commands that run a host and look at it.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module

from remora import CommandSpec, hookimpl

_COMMANDS = {
    "run": "Run a host as a process.",
    "top": "Watch a running host in a terminal.",
}


def build(name: str) -> object:
    """
    The `click.Command` of a name; it is the attribute `command` of its module.
    """
    return import_module(f"remora_admin.commands.{name}").command


@hookimpl
def remora_register_commands() -> list[CommandSpec]:
    """
    Add the commands.
    """
    return [CommandSpec(name=name, build=partial(build, name), help=help_) for name, help_ in _COMMANDS.items()]
