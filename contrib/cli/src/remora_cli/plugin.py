"""
What the entry point `cli` leads to: the built-in commands, each imported when it is used.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module

from remora.hookspecs import hookimpl
from remora.specs import CommandSpec

__all__ = ["remora_register_commands"]

_COMMANDS = {
    "call": "Call a method of a plugin.",
    "check": "Check a configuration without starting anything.",
    "completion": "Print the completion script of a shell.",
    "conformance": "Check an extension against the contract of its kind.",
    "config": "Show the values that hold, print the schema of files.",
    "demo": "See plugins work over every transport, and one die and return.",
    "describe": "Show what can be called in a plugin.",
    "diff-schema": "Compare two descriptions, and say what breaks callers.",
    "explain": "Say what a configuration means for one plugin.",
    "extensions": "List what is installed, and what is wrong with it.",
    "new": "Begin a plugin, a host or an extension.",
    "plan": "Say what a reload would do.",
    "security": "Pin the programs that are started, and verify them.",
    "serve": "Serve Python objects as a plugin.",
}


def build(name: str) -> object:
    """
    The `click.Command` of a name; it is the attribute `command` of its module.
    """
    return import_module(f"remora_cli.commands.{name.replace('-', '_')}").command


@hookimpl
def remora_register_commands() -> list[CommandSpec]:
    """
    Add the built-in commands.
    """
    return [CommandSpec(name=name, build=partial(build, name), help=help_) for name, help_ in _COMMANDS.items()]
