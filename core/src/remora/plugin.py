"""
What core itself contributes, through the same door as every other extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora.hookspecs import hookimpl
from remora.specs import CodecSpec

if TYPE_CHECKING:
    from remora.protocols import Codec


def build_json() -> Codec:
    """
    Make the JSON codec.
    """
    from remora.codecs import JsonCodec

    return JsonCodec()


@hookimpl
def remora_register_codecs() -> list[CodecSpec]:
    """
    Add JSON.
    """
    return [CodecSpec(name="json", content_types=("application/json",), build=build_json)]
