"""
A plugin, small and complete: a class whose methods take and return records.

    remora serve remora_cli.demo.text:TextProcessor --listen http://127.0.0.1:8000
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import anyio

from remora import idempotent, service

__all__ = ["Count", "Pause", "Process", "Text", "TextProcessor"]


@dataclass(frozen=True, slots=True)
class Text:
    """
    Some text.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Count:
    """
    What a text consists of.
    """

    words: int
    characters: int


@dataclass(frozen=True, slots=True)
class Pause:
    """
    A number of seconds.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Process:
    """
    The process that answered.
    """

    pid: int


@service("demo.v1.TextProcessor", version="1.0.0")
class TextProcessor:
    """
    Changes and counts text.
    """

    @idempotent
    async def upper(self, request: Text) -> Text:
        """
        The text in capital letters.
        """
        return Text(request.text.upper())

    @idempotent
    async def lower(self, request: Text) -> Text:
        """
        The text in small letters.
        """
        return Text(request.text.lower())

    @idempotent
    async def reverse(self, request: Text) -> Text:
        """
        The text from its end to its beginning.
        """
        return Text(request.text[::-1])

    @idempotent
    async def count(self, request: Text) -> Count:
        """
        The number of words and of characters.
        """
        return Count(words=len(request.text.split()), characters=len(request.text))

    @idempotent
    async def process(self) -> Process:
        """
        The process that serves the plugin.
        """
        return Process(os.getpid())

    async def pause(self, request: Pause) -> Process:
        """
        The process that serves the plugin, after a while.
        """
        await anyio.sleep(request.seconds)
        return Process(os.getpid())
