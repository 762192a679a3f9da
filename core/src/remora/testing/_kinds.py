"""
The kinds of extensions that have a contract, by the word that the command line knows them by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from remora._extensions._options import structure_options
from remora.errors import ConfigError
from remora.specs import AuthSpec, BalancerSpec, CodecSpec, ExporterSpec, InterceptorSpec, ResolverSpec, TransportSpec
from remora.testing._auth import auth_claims
from remora.testing._balancer import balancer_claims
from remora.testing._claims import find
from remora.testing._codec import codec_claims
from remora.testing._exporter import exporter_claims
from remora.testing._interceptor import interceptor_claims
from remora.testing._resolver import resolver_claims
from remora.testing._transport import transport_claims

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.testing._claims import Claim, Finding

__all__ = ["CONTRACTS", "examine"]

CONTRACTS: dict[str, tuple[type[Any], Callable[..., list[Claim] | Awaitable[list[Claim]]]]] = {
    "auth": (AuthSpec, auth_claims),
    "balancer": (BalancerSpec, balancer_claims),
    "codec": (CodecSpec, codec_claims),
    "exporter": (ExporterSpec, exporter_claims),
    "interceptor": (InterceptorSpec, interceptor_claims),
    "resolver": (ResolverSpec, resolver_claims),
    "transport": (TransportSpec, transport_claims),
}
"""The type of the spec that each kind's hook returns, and the claims about one."""


async def examine(kind: str, spec: object, options: object = None) -> list[Finding]:
    """
    Check every claim of the contract of an extension's kind, also after one that does not hold.

    Args:
        kind: A key of `CONTRACTS`.
        spec: What its hook returns.
        options: The options to build it with: a record, or a mapping of keys as in a configuration; None for the
            defaults.

    Returns:
        One finding for each claim, in order.

    Raises:
        ConfigError: An option is unknown or has a wrong value, or the kind has no options.
    """
    claims = CONTRACTS[kind][1]
    made = claims(spec) if options is None else claims(spec, _record(kind, spec, options))
    return await find(made if isinstance(made, list) else await made)


def _record(kind: str, spec: Any, options: object) -> object:
    if not hasattr(spec, "options"):
        raise ConfigError(f"{kind} {spec.name!r} has no options")
    if not isinstance(options, Mapping):
        return options
    return structure_options(f"{kind} {spec.name!r}", spec.options, where="options", own=options)
