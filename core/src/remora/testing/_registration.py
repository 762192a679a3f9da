"""
How the transports and the exporter for tests are registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remora.specs import TransportSpec


@dataclass(frozen=True)
class NoOptions:
    """
    The options of a feature that has none.
    """


class TransportExtension:
    """
    An extension with one transport.
    """

    def __init__(self, spec: TransportSpec[Any]) -> None:
        from remora.hookspecs import hookimpl

        self.remora_register_transports = hookimpl(lambda: [spec])
