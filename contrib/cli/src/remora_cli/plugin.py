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
    "call": "Call a method of a plugin and print its reply.",
    "check": "Check a configuration without starting anything.",
    "completion": "Print the completion script of a shell.",
    "conformance": "Check an extension against the contract of its kind.",
    "config": "Show effective values, or print the schema of files.",
    "demo": "Watch plugins work over every transport, and recover from a crash.",
    "describe": "List the methods of a plugin, with their types.",
    "diff-schema": "Compare two descriptions of a plugin, and tell what breaks callers.",
    "explain": "Explain what a configuration means for one plugin.",
    "extensions": "List the installed extensions, and what is wrong with them.",
    "new": "Create a project for a plugin, a host or an extension.",
    "plan": "Show what a reload would do.",
    "security": "Pin the programs that a configuration starts, and verify them.",
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
