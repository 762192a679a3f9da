"""
How the problems of a configuration are put: in the words of its pages, for those who write a file and not Python.
"""

from __future__ import annotations

from remora import _structure
from remora.config._records import PluginConfig

_PHRASING = _structure.Phrasing(
    words={
        "str": "text",
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "list": "a list",
        "object": "a table",
        "an object": "a table",
    },
    unnamed={(PluginConfig, "name")},
    advice={PluginConfig: 'what only its transport knows belongs in "options"'},
)


def describe_errors(error: Exception, root: str) -> list[str]:
    """
    What is wrong with a table, one line per problem.

    Args:
        error: What a converter from `make_config_converter` raised.
        root: The path of the table.
    """
    return _structure.describe_errors(error, root, _PHRASING)
