"""
What core itself contributes, through the same door as every other extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora._frozen import dataclass
from remora.hookspecs import hookimpl
from remora.specs import CodecSpec, ResolverSpec
from remora.types import Endpoint

if TYPE_CHECKING:
    from remora.protocols import Codec, Resolver


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


@dataclass(frozen=True, slots=True)
class StaticOptions:
    """
    The keys of the plugin's table that say where it is.
    """

    endpoint: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    priority: int = 1


def build_static(options: StaticOptions) -> Resolver:
    """
    Make the resolver that knows nothing but the configuration.
    """
    from remora._static import StaticResolver

    own = (Endpoint(options.endpoint, priority=options.priority),) if options.endpoint else ()
    return StaticResolver(options.endpoints or own)


@hookimpl
def remora_register_resolvers() -> list[ResolverSpec[StaticOptions]]:
    """
    Add what `endpoints` is.
    """
    return [ResolverSpec(name="static", options=StaticOptions, build=build_static)]
