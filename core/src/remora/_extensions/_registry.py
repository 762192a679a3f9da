"""
From installed distributions to a catalogue of features: entry points are scanned and hooks are called, once.

What lives here: loading, disabling, and errors that name the culprit. What must not: any use of a feature.
"""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pluggy

from remora._extensions._catalog import Catalog, conflict
from remora._extensions._entry_points import entry_points
from remora._extensions._faults import is_interruption, told
from remora._extensions._feature import Origin
from remora._extensions._hooks import GROUP, Hooks, hook_in
from remora.errors import ExtensionError
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

if TYPE_CHECKING:
    from remora._extensions._entry_points import EntryPoint
    from remora.types import Event

__all__ = ["Extension", "Registry", "load_catalog"]

_log = logging.getLogger(__name__)

DISABLE = "REMORA_DISABLE"

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
"""The schemes of URLs, in the form in which they are compared."""

S = TypeVar("S")
State = Literal["loaded", "disabled", "broken"]


@dataclass(slots=True)
class Extension:
    """
    One installed extension, and whether it was loaded.

    Attributes:
        origin: The distribution and the entry point.
        state: "loaded", "disabled" (by name) or "broken".
        problem: Why it is broken.
        features: What it registers, each as "kind name".
    """

    origin: Origin
    state: State = "loaded"
    problem: ExtensionError | None = None
    features: list[str] = field(default_factory=list)


def load_catalog(extensions: Sequence[object] = ()) -> Catalog:
    """
    The catalogue of all installed features, and of those in `extensions`, which are hook modules or objects.

    Raises:
        ExtensionError: A hook is misspelt, or two distributions claim one name.
    """
    registry = Registry(extensions)
    for problem in registry.fatal:
        raise problem
    for ignored in registry.catalog.broken.values():
        _log.warning("%s", ignored)
    registry.warn_of_unknown()
    return registry.catalog


class Registry:
    """
    Loads every extension that can be loaded, and remembers what is wrong with the others.

    Attributes:
        catalog: The features of all extensions that loaded.
        extensions: All extensions, including the disabled and the broken ones.
        fatal: The problems that no manager may ignore: misspelt hooks and names claimed twice.
        unknown: What is wrong with names in REMORA_DISABLE that no extension has.
    """

    def __init__(self, extensions: Sequence[object] = ()) -> None:
        self._registered: list[tuple[Origin, object]] = []
        self.extensions: list[Extension] = []
        self.fatal: list[ExtensionError] = []
        self.unknown: list[str] = []
        self.catalog = Catalog()
        self._spare: Hooks | None = None
        """An empty manager of hooks, which the extension before has left: it takes long to make one."""
        installed = list(self._installed())
        for origin, module in installed:
            self._register(origin, module)
        for origin, module in _passed(extensions, besides=[module for _, module in installed]):
            self._register(origin, module, is_passed=True)
        self.fatal += self.catalog.conflicts()
        for extension in self.extensions:
            if extension.problem is not None:
                self.catalog.broken[extension.origin.entry_point] = extension.problem
            elif extension.state == "disabled":
                self.catalog.disabled[extension.origin.entry_point] = extension.origin

    def warn_of_unknown(self) -> None:
        """
        Log what is wrong with REMORA_DISABLE, once in the life of the process.
        """
        for problem in self.unknown:
            _warn_once(problem)

    def _installed(self) -> Iterable[tuple[Origin, object]]:
        """
        The modules of the entry points that are neither disabled nor claimed twice nor broken.
        """
        disabled = {_normal(name): name.strip() for name in os.environ.get(DISABLE, "").split(",") if name.strip()}
        known: set[str] = set()
        claims: dict[str, list[tuple[Origin, EntryPoint]]] = defaultdict(list)
        for entry_point in _entry_points():
            origin = Origin(entry_point.name, partial(_distribution, entry_point))
            names = {_normal(origin.entry_point), _normal(origin.distribution)} if disabled else set()
            known |= names
            if disabled.keys() & names:
                self.extensions.append(Extension(origin, state="disabled"))
            else:
                claims[entry_point.name].append((origin, entry_point))
        self.unknown += [_unknown(disabled[name], known) for name in disabled if name not in known]
        for name in sorted(claims):
            yield from self._import(name, claims[name])

    def _import(self, name: str, claims: list[tuple[Origin, EntryPoint]]) -> Iterable[tuple[Origin, object]]:
        origins = [origin for origin, _ in claims]
        if len(claims) > 1:
            problem = conflict(f"the entry point {name!r}", origins)
            self.fatal.append(problem)
            self.extensions += [Extension(origin, "broken", problem) for origin in origins]
            return
        try:
            module = claims[0][1].load()
        except BaseException as error:  # a third-party module may raise anything while it is imported
            if is_interruption(error):
                raise
            self._broken(origins[0], f"cannot be imported: {told(error)}", error)
        else:
            yield origins[0], module

    def _register(self, origin: Origin, module: object, *, is_passed: bool = False) -> None:
        """
        Check an extension's hooks, and add what they return to the catalogue.
        """
        if known := next((other for other, each in self._registered if each is module), None):
            self.fatal.append(self._broken(origin, f"is registered already, as {known.entry_point!r}"))
            return
        self._registered.append((origin, module))
        plugins, self._spare = self._spare or Hooks(), None
        try:
            is_hooked = hook_in(plugins, origin.entry_point, module)
        except (pluggy.PluginValidationError, ValueError, TypeError) as error:
            self.fatal.append(self._broken(origin, f"has a wrong hook: {_one_line(error)}", error))
            return
        if not is_hooked and (is_passed or module is None):
            problem = self._broken(origin, "has no hooks, which are functions marked with `@hookimpl`")
            self.fatal += [problem] if is_passed else []
        elif self._add(origin, plugins) and not plugins.hook.remora_event.get_hookimpls():
            plugins.unregister(module)  # the hooks of an observer are still needed for calls
            self._spare = plugins

    def _add(self, origin: Origin, plugins: pluggy.PluginManager) -> bool:
        """
        Add the features of an extension to the catalogue; returns whether it could be done.
        """
        try:
            features = self._collect(origin, plugins)
        except BaseException as error:  # a third-party hook may raise anything, and `sys.exit` does
            if is_interruption(error):
                raise
            self._broken(origin, f"failed to register its features: {told(error)}", error)
            return False
        self.extensions.append(Extension(origin, features=features))
        return True

    def _collect(self, origin: Origin, plugins: pluggy.PluginManager) -> list[str]:
        def collect(hook: str, kind: type[S]) -> list[S]:
            caller = getattr(plugins.hook, hook)
            returned = caller()
            if caller.get_hookimpls() and not returned:
                raise TypeError(f"{hook} returned nothing, instead of a list; is there a `return` in it?")
            return [_checked(spec, hook, kind) for specs in returned for spec in _listed(specs, hook, kind)]

        added = self.catalog.add(
            origin,
            transports=collect("remora_register_transports", TransportSpec),
            codecs=collect("remora_register_codecs", CodecSpec),
            balancers=collect("remora_register_balancers", BalancerSpec),
            auth_methods=collect("remora_register_auth_methods", AuthSpec),
            interceptors=collect("remora_register_interceptors", InterceptorSpec),
            exporters=collect("remora_register_metric_exporters", ExporterSpec),
            resolvers=collect("remora_register_resolvers", ResolverSpec),
            commands=collect("remora_register_commands", CommandSpec),
        )
        observers = plugins.hook.remora_event
        if observers.get_hookimpls():
            self.catalog.observers.append((origin, lambda event: _observe(observers, event)))
            added.append("observer remora_event")
        return added

    def _broken(self, origin: Origin, reason: str, cause: BaseException | None = None) -> ExtensionError:
        problem = ExtensionError(f"extension {origin.entry_point!r} of {origin} {reason}")
        problem.__cause__ = cause
        self.extensions.append(Extension(origin, "broken", problem))
        return problem


def _observe(observers: pluggy.HookCaller, event: Event) -> None:
    observers(event=event)


@cache
def _entry_points() -> tuple[EntryPoint, ...]:
    """
    The entry points of all installed distributions; the metadata is scanned once per process.
    """
    return tuple(entry_points(GROUP))


def _distribution(entry_point: EntryPoint) -> tuple[str, str]:
    """
    The name and the version of the distribution that an entry point belongs to.
    """
    distribution = entry_point.dist
    assert distribution is not None  # those that `entry_points` finds have one
    try:
        name, version = distribution.name, distribution.version
    except Exception:  # leftovers of an uninstallation may have no metadata, or broken ones
        name, version = None, None
    return name or "a distribution without metadata", version or ""


def _passed(extensions: Sequence[object], *, besides: Sequence[object]) -> Iterable[tuple[Origin, object]]:
    """
    What is passed and not there anyway: the tests of an extension pass it whether or not it is installed.
    """
    for number, extension in enumerate(extensions, start=1):
        if any(extension is each for each in besides):
            continue
        name = getattr(extension, "__name__", None) or type(extension).__qualname__
        yield Origin(f"passed-{number}:{name}", partial(_passed_by, name)), extension


def _passed_by(name: str) -> tuple[str, str]:
    return f"{name} (passed to the manager)", ""


def _listed(specs: object, hook: str, kind: type[S]) -> Iterable[object]:
    if isinstance(specs, str) or not isinstance(specs, Iterable):
        raise TypeError(f"{hook} returned a {type(specs).__name__}, instead of a list with {kind.__name__} in it")
    return specs


def _checked(spec: object, hook: str, kind: type[S]) -> S:
    """
    A spec that a configuration can name. What it builds is seen when that is needed.
    """
    if not isinstance(spec, kind):
        raise TypeError(f"{hook} returned {type(spec).__name__} in its list, instead of {kind.__name__}")
    name: object = getattr(spec, "name")  # noqa: B009 - of every kind of spec
    if not isinstance(name, str) or not name:
        raise TypeError(f"{hook} returned a {kind.__name__} whose name is {name!r}, which no configuration can have")
    if isinstance(spec, TransportSpec):
        _check_schemes(spec)
    return spec


def _check_schemes(spec: TransportSpec[Any]) -> None:
    schemes: object = spec.schemes
    if not isinstance(schemes, Sequence) or isinstance(schemes, str):
        raise TypeError(f"the schemes of the transport {spec.name!r} are {schemes!r}, instead of a tuple of texts")
    for scheme in schemes:
        if not isinstance(scheme, str) or _SCHEME.fullmatch(scheme) is None:
            raise TypeError(f"the transport {spec.name!r} has the scheme {scheme!r}; a scheme is like 'acme-tcp'")


def _normal(name: str) -> str:
    """
    A name normalised as package indexes do it: case and the kind of separator do not matter.
    """
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _unknown(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only messages need it

    meant = get_close_matches(_normal(name), sorted(known), n=1)
    hint = f'; did you mean "{meant[0]}"?' if meant else ""
    return f'{DISABLE} names "{name}", but no installed extension has that name{hint}'


@cache
def _warn_once(problem: str) -> None:
    """
    Remembered for the life of the process: each manager reads the variable again.
    """
    _log.warning("%s", problem)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
