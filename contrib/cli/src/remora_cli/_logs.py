"""
Log records on standard error, so that results stay alone on standard output.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from remora_cli._log_lines import JsonLines, Stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def configure_logs() -> None:
    """
    Show the warnings and errors of all libraries, one a line; not what plugins log (see `show_plugins`), nor that
    instances come and go: the command's own result or error says what became of them.
    """
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.addFilter(_is_of_the_command)
    handler.setFormatter(_Formatter())
    logging.basicConfig(handlers=[handler])


@contextmanager
def located(place_of: Callable[[str], object]) -> Iterator[None]:
    """
    Put the places of the keys with which warnings begin in front of them, while the context lasts.

    Args:
        place_of: The place of a key, by its path; None when there is none.
    """
    handlers = (*logging.getLogger().handlers, *logging.getLogger("remora").handlers)
    locator = _Locator(place_of)
    for each in handlers:
        each.addFilter(locator)
    try:
        yield
    finally:
        for each in handlers:
            each.removeFilter(locator)


@contextmanager
def heard() -> Iterator[list[str]]:
    """
    The warnings that Remora logs while the context lasts, each once; they are shown as well.
    """
    warnings: list[str] = []
    handler = _Collector(warnings)
    logger = logging.getLogger("remora")
    logger.addHandler(handler)
    try:
        yield warnings
    finally:
        logger.removeHandler(handler)


def show_all(log_format: str = "text") -> None:
    """
    Show whatever the levels of the loggers let through, with the time, for a command that runs until it is stopped.

    Args:
        log_format: "text" or "json".
    """
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.DEBUG)
        handler.removeFilter(_is_of_the_command)
    for handler in (*logging.getLogger().handlers, *logging.getLogger("remora.plugin").handlers):
        if log_format == "json":
            handler.setFormatter(JsonLines())
        elif handler.formatter is not None:  # what has none writes the time by itself
            handler.setFormatter(Stamped(handler.formatter))


def show_from(level: str, log_format: str) -> None:
    """
    Show what is logged from a level on, for a served plugin.
    """
    show_all(log_format)
    logging.getLogger().setLevel(level.upper())


def leave_logs_to_the_host() -> None:
    """
    Let the transport write the logs of a served plugin that a Remora host has started; the plugin may set up its own.
    """
    if "REMORA_PROTOCOL" in os.environ:
        logging.getLogger().handlers.clear()


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


def _is_of_the_command(record: logging.LogRecord) -> bool:
    return not hasattr(record, "event_name") and not _whose(record)


def _whose(record: logging.LogRecord) -> str:
    """
    The plugin that has written a line, before it.
    """
    name = record.name.removeprefix("remora.plugin.")
    return "" if name == record.name else f"{name}: "


class _Locator(logging.Filter):
    def __init__(self, place_of: Callable[[str], object]) -> None:
        super().__init__()
        self._place_of = place_of

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if (place := self._place_of(text.partition(": ")[0])) is not None:
            record.msg, record.args = "%s: %s", (place, text)  # another handler finds no key at its beginning any more
        return True


class _Collector(logging.Handler):
    def __init__(self, warnings: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._warnings = warnings

    def emit(self, record: logging.LogRecord) -> None:
        if (text := record.getMessage()) not in self._warnings:
            self._warnings.append(text)


class _PluginFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{_whose(record)}{super().format(record)}"


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        return f"remora: {level}{_whose(record)}{super().format(record)}"
