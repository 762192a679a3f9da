"""
What is installed: every extension with what it adds and what is wrong with it, the commands and the transports.

What lives here: the public view of the registry. What must not: loading (see `_extensions._registry`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from remora._extensions._catalog import conflict
from remora._extensions._registry import Registry
from remora._frozen import dataclass
from remora.errors import ExtensionConflict, ExtensionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from remora._extensions._feature import Feature, Origin, Spec
    from remora._extensions._registry import Extension
    from remora.specs import CommandSpec, ExporterSpec, InterceptorSpec, ResolverSpec, TransportSpec

__all__ = ["InstalledExtension", "commands", "exporters", "installed", "interceptors", "resolvers", "transports"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledExtension:
    """
    One installed extension.

    Attributes:
        name: The name of its entry point.
        distribution: The distribution that it comes with.
        version: The version of that.
        state: "loaded"; "disabled" by REMORA_DISABLE; "broken"; or "conflict" when another claims one of its names.
        features: What it adds, each as "kind name".
        problem: What is wrong with it; empty when nothing is.
    """

    name: str
    distribution: str
    version: str
    state: Literal["loaded", "disabled", "broken", "conflict"]
    features: tuple[str, ...] = ()
    problem: str = ""


def installed() -> list[InstalledExtension]:
    """
    All installed extensions by name, the disabled and the broken ones too.
    """
    registry = Registry()
    registry.warn_of_unknown()
    conflicts = [str(problem) for problem in registry.catalog.conflicts()]
    found = [_describe(extension, conflicts) for extension in registry.extensions]
    return sorted(found, key=lambda extension: (extension.name, extension.distribution))


def commands() -> list[CommandSpec]:
    """
    The commands that the installed extensions add, by name.

    A command that two extensions claim, or whose `build` fails, raises an ExtensionError when it is built.
    """
    return [_command(claims) for _, claims in sorted(Registry().catalog.commands.items())]


def transports() -> list[TransportSpec[Any]]:
    """
    The transports that the installed extensions add, by name; those that two extensions claim are left out.
    """
    return _uncontested(Registry().catalog.transports)


def exporters() -> list[ExporterSpec[Any]]:
    """
    The exporters of metrics that the installed extensions add, by name; those that two extensions claim are left out.
    """
    return _uncontested(Registry().catalog.exporters)


def interceptors() -> list[InterceptorSpec]:
    """
    The interceptors that the installed extensions add, by name; those that two extensions claim are left out.
    """
    return _uncontested(Registry().catalog.interceptors)


def resolvers() -> list[ResolverSpec[Any]]:
    """
    The resolvers that the installed extensions add, by name; those that two extensions claim are left out.
    """
    return _uncontested(Registry().catalog.resolvers)


def _uncontested(shelf: Mapping[str, Sequence[Feature[Spec]]]) -> list[Spec]:
    """
    The specs that only one extension claims.
    """
    return [claims[0].spec for _, claims in sorted(shelf.items()) if len(claims) == 1]


def _describe(extension: Extension, conflicts: Sequence[str]) -> InstalledExtension:
    origin, features = extension.origin, tuple(extension.features)
    contested = [line for feature in features for line in conflicts if line.startswith(_claim(feature))]
    problem = "; ".join(contested) if extension.problem is None else str(extension.problem)
    is_claimed_twice = bool(contested) or isinstance(extension.problem, ExtensionConflict)
    return InstalledExtension(
        name=origin.entry_point,
        distribution=origin.distribution,
        version=origin.version,
        state="conflict" if is_claimed_twice else extension.state,
        features=features,
        problem=problem,
    )


def _claim(feature: str) -> str:
    """
    How the message of a conflict about a feature begins.
    """
    kind, _, name = feature.rpartition(" ")
    return f"the {kind} {name!r} is claimed"


def _command(claims: Sequence[Feature[CommandSpec]]) -> CommandSpec:
    spec, origins = claims[0].spec, [claim.origin for claim in claims]
    if len(claims) > 1:
        claimants = " and ".join(map(str, origins))
        return replace(spec, help=f"(claimed by {claimants})", build=lambda: _refuse(spec.name, origins))
    return replace(spec, build=lambda: _build(spec, origins[0]))


def _refuse(name: str, origins: Iterable[Origin]) -> object:
    raise conflict(f"the command {name!r}", origins)


def _build(spec: CommandSpec, origin: Origin) -> object:
    try:
        return spec.build()
    except Exception as error:  # a stranger's code may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise ExtensionError(f"the command {spec.name!r} of {origin} cannot be built: {reason}") from error
