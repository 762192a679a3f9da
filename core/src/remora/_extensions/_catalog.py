"""
All features of the loaded extensions, by kind and name, each with the distribution that provides it.

What lives here: look-ups, and the errors that say what to install. What must not: loading (see `_registry`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from remora._extensions._faults import is_interruption, told
from remora._frozen import dataclass
from remora.errors import ConfigError, ExtensionConflict, ExtensionError, NotInstalled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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


class Named(Protocol):
    """
    The attributes that all specs share.
    """

    @property
    def name(self) -> str:
        """
        Its name, unique within its kind.
        """
        ...

    @property
    def build(self) -> Callable[..., Any]:
        """
        Builds the feature.
        """
        ...


Spec = TypeVar("Spec", bound=Named)

_HOST = re.compile(r"localhost|[^.]+(\.[^.]+)+|[0-9].*")
"""The start of an address whose scheme was left out."""

_BRINGS = re.compile(r"remora-([a-z]+)\b.*; extra == ['\"]\1['\"]")
"""A requirement that an extra named like the extension has."""


class Origin:
    """
    The distribution that a feature comes from.

    Args:
        entry_point: The name of the entry point.
        read: Returns the name and the version of the distribution; called on demand, since metadata is slow to read.
    """

    def __init__(self, entry_point: str, read: Callable[[], tuple[str, str]]) -> None:
        self.entry_point = entry_point
        self._read = read

    @cached_property
    def _said(self) -> tuple[str, str]:
        return self._read()

    @property
    def distribution(self) -> str:
        """
        The name of the distribution.
        """
        return self._said[0]

    @property
    def version(self) -> str:
        """
        Its version; may be empty.
        """
        return self._said[1]

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Feature(Generic[Spec]):
    """
    A spec and its origin.
    """

    spec: Spec
    origin: Origin

    def named(self, kind: str) -> str:
        """
        Its name for messages.
        """
        return f"the {kind} {self.spec.name!r} of {self.origin}"

    def build(self, kind: str, *arguments: object, by: str = "build", where: str = "") -> Any:
        """
        The feature itself.

        Args:
            kind: Its kind, for messages.
            *arguments: What its builder gets.
            by: The name of the spec's callable that builds it.
            where: The path of the table that the arguments come from, for messages; empty for none.

        Raises:
            ConfigError: Its builder rejects the arguments, and says why.
            ExtensionError: Its builder failed.
        """
        try:
            return getattr(self.spec, by)(*arguments)
        except ExtensionError:
            raise
        except ConfigError as error:
            if where:
                raise ConfigError(f"{where}: {error.message}") from error
            raise
        except BaseException as error:  # a builder of an extension may raise anything, and `sys.exit` does
            if is_interruption(error):
                raise
            raise ExtensionError(f"{self.named(kind)} cannot be built: {told(error)}") from error


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
        if not claims and _HOST.fullmatch(scheme):
            raise NotInstalled(
                f'"{scheme}" is a host, not a scheme: an address begins with one, as http://{scheme}:PORT'
            )
        if not claims:
            schemes = [word for shelf in self.transports.values() for claim in shelf for word in claim.spec.schemes]
            raise self._missing("transport", scheme, self.transports, schemes)
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
            self._built[name] = self._one("codec", self.codecs, name).build("codec")
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

    def _missing(
        self, kind: str, name: str, shelf: Mapping[str, Sequence[Feature[Any]]], known: Sequence[str]
    ) -> NotInstalled:
        """
        The error for an unknown name: the reason, as far as it is known, and what to do.
        """
        from difflib import get_close_matches  # only messages need it

        brought = {claim.origin.entry_point for claims in shelf.values() for claim in claims}
        meant = get_close_matches(name.lower(), [*known, *(_extras() - brought)], n=1)
        words = [name, name.removesuffix("s")]
        if not meant:  # an extra named after the kind may provide it
            words += [word for word in (f"{kind}s", kind.partition(" ")[0]) if word not in brought]
        if absent := next(filter(None, map(self._absence, words)), ""):
            return NotInstalled(f'{kind} "{name}" cannot be used: {absent}')
        if extra := next((word for word in words if word in _extras()), ""):
            return NotInstalled(f'{kind} "{name}" is not installed: pip install "remora[{extra}]"')
        hint = f' (did you mean "{meant[0]}"?)' if meant else ""
        installed = ", ".join(sorted(known)) or "none"
        absent = ""
        if not meant:  # else the name is only misspelt
            absent = "".join(f"; {problem}" for problem in self.broken.values())
            absent += "".join(f"; {origin} is in REMORA_DISABLE" for origin in self.disabled.values())
        return NotInstalled(
            f'{kind} "{name}" is provided by no installed extension{hint}; installed: {installed}{absent}'
        )

    def _absence(self, entry_point: str) -> str:
        """
        Why an installed extension is not used; empty when it is used, or not installed.
        """
        if entry_point in self.broken:
            return str(self.broken[entry_point])
        if entry_point in self.disabled:
            return f"{self.disabled[entry_point]} is in REMORA_DISABLE"
        return ""


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


@cache
def _extras() -> frozenset[str]:
    """
    The extras of the distribution `remora` that bring an extension, as its metadata says; `yaml` and `all` do not.
    """
    import importlib_metadata  # only messages need it

    return frozenset(found[1] for each in importlib_metadata.requires("remora") or () if (found := _BRINGS.match(each)))
