"""
All features of the loaded extensions, by kind and name, each with the distribution that provides it.

What lives here: look-ups. What must not: loading (see `_registry`), and why something is not there (see `_missing`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from remora._extensions._feature import Feature
from remora._extensions._missing import Missing
from remora.errors import ConfigError, ExtensionConflict, ExtensionError, NotInstalled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from remora._extensions._feature import Origin
    from remora.protocols import Codec
    from remora.specs import (
        AuthSpec,
        BalancerSpec,
        CodecSpec,
        CommandSpec,
        ExporterSpec,
        InterceptorSpec,
        ResolverSpec,
        TransportSpec,
    )
    from remora.types import Event


_OF_CODECS = ("content_type", "encode", "decode")
_HOST = re.compile(r"localhost|[^.]+(\.[^.]+)+|[0-9].*")
"""The start of an address whose scheme was left out."""


class Catalog:
    """
    The features of all loaded extensions. Filled by the registry, then only read.

    Attributes:
        transports: By name, with all extensions that claim the name.
        codecs: By name, likewise.
        balancers: By name, likewise.
        auth_methods: By name, likewise.
        interceptors: By name, likewise.
        exporters: By name, likewise.
        resolvers: By name, likewise.
        commands: By name, likewise.
        observers: The extensions that observe events.
        broken: The errors of the extensions that could not be loaded, by the name of their entry point.
        disabled: The extensions that REMORA_DISABLE leaves out, by the name of their entry point.
    """

    def __init__(self) -> None:
        self.transports: dict[str, list[Feature[TransportSpec[Any]]]] = defaultdict(list)
        self.codecs: dict[str, list[Feature[CodecSpec]]] = defaultdict(list)
        self.balancers: dict[str, list[Feature[BalancerSpec]]] = defaultdict(list)
        self.auth_methods: dict[str, list[Feature[AuthSpec[Any]]]] = defaultdict(list)
        self.interceptors: dict[str, list[Feature[InterceptorSpec]]] = defaultdict(list)
        self.exporters: dict[str, list[Feature[ExporterSpec[Any]]]] = defaultdict(list)
        self.resolvers: dict[str, list[Feature[ResolverSpec[Any]]]] = defaultdict(list)
        self.commands: dict[str, list[Feature[CommandSpec]]] = defaultdict(list)
        self.observers: list[tuple[Origin, Callable[[Event], None]]] = []
        self.broken: dict[str, ExtensionError] = {}
        self.disabled: dict[str, Origin] = {}
        self._built: dict[str, Codec] = {}

    def add(
        self,
        origin: Origin,
        *,
        transports: Sequence[TransportSpec[Any]] = (),
        codecs: Sequence[CodecSpec] = (),
        balancers: Sequence[BalancerSpec] = (),
        auth_methods: Sequence[AuthSpec[Any]] = (),
        interceptors: Sequence[InterceptorSpec] = (),
        exporters: Sequence[ExporterSpec[Any]] = (),
        resolvers: Sequence[ResolverSpec[Any]] = (),
        commands: Sequence[CommandSpec] = (),
    ) -> list[str]:
        """
        Add the features of one extension.

        Returns:
            What was added, each as "kind name".
        """
        kinds: list[Sequence[Any]]
        kinds = [transports, codecs, balancers, auth_methods, interceptors, exporters, resolvers, commands]
        added: list[str] = []
        for (kind, shelf), specs in zip(self._shelves(), kinds, strict=True):
            for spec in specs:
                shelf[spec.name].append(Feature(spec, origin))
                added.append(f"{kind} {spec.name}")
        return added

    def conflicts(self) -> list[ExtensionError]:
        """
        One error for each name that more than one extension claims.
        """
        return [
            conflict(f"the {kind} {name!r}", _origins(claims))
            for kind, shelf in self._shelves()
            for name, claims in shelf.items()
            if len(claims) > 1
        ]

    def transport(self, scheme: str, name: str = "") -> Feature[TransportSpec[Any]]:
        """
        The transport of that name, or of that scheme when no name is given.

        Raises:
            NotInstalled: There is none; the message names the extra to install.
            ExtensionConflict: More than one claims the scheme.
        """
        if name:
            return self._one("transport", self.transports, name)
        claims = [claim for shelf in self.transports.values() for claim in shelf if scheme in claim.spec.schemes]
        if not claims:
            raise self._no_transport(scheme)
        if len(claims) > 1:
            raise conflict(f"the scheme {scheme!r}", _origins(claims), 'choose one with `transport = "..."`, or ')
        return claims[0]

    def codec(self, name: str) -> Codec:
        """
        The codec of that name.

        Raises:
            NotInstalled: There is none; the message names the extra to install.
        """
        if name not in self._built:
            self._built[name] = self._one("codec", self.codecs, name).build_with(_OF_CODECS, "codec")
        return self._built[name]

    def codec_for(self, content_type: str) -> Codec | None:
        """
        The codec that reads a media type; None when no codec does.
        """
        media_type = content_type.partition(";")[0].strip().lower()
        names = (name for name, claims in self.codecs.items() if media_type in claims[0].spec.content_types)
        name = next(names, None)
        return None if name is None else self.codec(name)

    def codec_of(self, *types: object) -> Codec:
        """
        The codec that claims all these record types; JSON when none does.
        """
        for name, claims in self.codecs.items():
            claim = claims[0].spec.claims
            if claim is not None and types and all(map(claim, types)):
                return self.codec(name)
        return self.codec("json")

    def balancer(self, name: str) -> Feature[BalancerSpec]:
        """
        The balancer of that name.

        Raises:
            NotInstalled: There is none; the message names the extra to install.
        """
        return self._one("balancer", self.balancers, name)

    def auth_method(self, name: str) -> Feature[AuthSpec[Any]]:
        """
        The auth method of that name.

        Raises:
            NotInstalled: There is none; the message names the extra to install.
        """
        return self._one("auth method", self.auth_methods, name)

    def exporter(self, name: str) -> Feature[ExporterSpec[Any]]:
        """
        The exporter of that name.

        Raises:
            NotInstalled: There is none; the message names the extra to install.
        """
        return self._one("exporter", self.exporters, name)

    def interceptor(self, name: str) -> Feature[InterceptorSpec]:
        """
        The interceptor of that name.

        Raises:
            NotInstalled: There is none; the message names the extra to install.
        """
        return self._one("interceptor", self.interceptors, name)

    def resolver(self, name: str) -> Feature[ResolverSpec[Any]]:
        """
        The resolver of that name.

        Raises:
            NotInstalled: There is none; the message names the extra to install.
        """
        return self._one("resolver", self.resolvers, name)

    def _one(self, kind: str, shelf: dict[str, list[Feature[Any]]], name: str) -> Feature[Any]:
        claims = shelf.get(name)
        if not claims:
            raise self._missing(kind, name, shelf, list(shelf))
        if len(claims) > 1:
            raise conflict(f"the {kind} {name!r}", _origins(claims))
        return claims[0]

    def _shelves(self) -> list[tuple[str, dict[str, list[Feature[Any]]]]]:
        """
        The features by kind, with the name of each kind in messages.
        """
        return [
            ("transport", self.transports),
            ("codec", self.codecs),
            ("balancer", self.balancers),
            ("auth method", self.auth_methods),
            ("interceptor", self.interceptors),
            ("exporter", self.exporters),
            ("resolver", self.resolvers),
            ("command", self.commands),
        ]

    def _no_transport(self, scheme: str) -> NotInstalled:
        if _HOST.fullmatch(scheme):
            return NotInstalled(
                f'"{scheme}" is a host, not a scheme: an address begins with one, as http://{scheme}:PORT'
            )
        schemes = [word for shelf in self.transports.values() for claim in shelf for word in claim.spec.schemes]
        return self._missing("transport", scheme, self.transports, schemes)

    def _missing(
        self, kind: str, name: str, shelf: Mapping[str, Sequence[Feature[Any]]], known: Sequence[str]
    ) -> NotInstalled:
        providers = {claim.origin.entry_point for claims in shelf.values() for claim in claims}
        missing = Missing(
            kind=kind, name=name, known=known, providers=providers, broken=self.broken, disabled=self.disabled
        )
        return missing.error()


def conflict(what: str, origins: Iterable[Origin], remedy: str = "") -> ExtensionConflict:
    """
    The error for a name that more than one extension claims.

    Args:
        what: The name, with its kind.
        origins: The distributions that claim it.
        remedy: What else can be done about it than to leave one of them out.
    """
    return ExtensionConflict(
        f"{what} is claimed by {' and '.join(map(str, origins))}: "
        f"{remedy}uninstall one of them, or name its distribution in REMORA_DISABLE"
    )


def located(error: NotInstalled | ExtensionError, where: str) -> ConfigError:
    """
    An error of an installation, which does not know who needs the feature, with the path of the key that names it.
    """
    copy = type(error)(f"{where}: {error.message}")
    copy.__cause__ = error
    return copy


def _origins(claims: Iterable[Feature[Any]]) -> list[Origin]:
    return [claim.origin for claim in claims]
