"""
Log records on standard error, so that results stay alone on standard output.
"""

from __future__ import annotations

import logging


def configure_logs() -> None:
    """
    Show the warnings and errors of all libraries, one a line.
    """
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Formatter())
    logging.basicConfig(handlers=[handler])


def show_plugins() -> None:
    """
    Show all that plugins write to their logs, too, each line with the plugin's name.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_PluginFormatter())
    logger = logging.getLogger("remora.plugin")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.handlers = [handler]


class _PluginFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{record.name.removeprefix('remora.plugin.')}: {super().format(record)}"


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        return f"remora: {level}{super().format(record)}"
