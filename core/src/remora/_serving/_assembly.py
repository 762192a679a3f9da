"""
From the options of a served plugin to the objects that serve it.

What lives here: who may call, which interceptors there are, and which transport listens. What must not: their lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from remora import config
from remora._extensions._interception import served_interceptors
from remora._extensions._options import build_options
from remora._serving._dispatch import Dispatcher
from remora._serving._guard import Guard
from remora.errors import ConfigError
from remora.types import Endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora._extensions._catalog import Catalog
    from remora._serving._options import ServeOptions
    from remora.config import AccessConfig, InterceptorConfig
    from remora.protocols import Transport


def assemble_dispatcher(services: Sequence[object], catalog: Catalog, options: ServeOptions) -> Dispatcher:
    """
    What answers calls for objects.

    Raises:
        ConfigError: The objects have nothing to serve, or the options make no sense.
    """
    return Dispatcher(
        services,
        catalog=catalog,
        max_concurrent_calls=options.max_concurrent_calls,
        max_threads=options.max_threads,
        guard=_guard(catalog, _access(options)),
        interceptors=served_interceptors(catalog, _interceptors(options)),
    )


def _interceptors(options: ServeOptions) -> Mapping[str, InterceptorConfig]:
    """
    The tables of interceptors.

    Raises:
        ConfigError: One of them has problems.
    """
    if not options.interceptors:  # the records of a configuration are not loaded for nothing
        return {}
    known: dict[str, InterceptorConfig] = {}
    tables: dict[str, object] = {}
    for name, each in options.interceptors.items():
        if isinstance(each, config.InterceptorConfig):
            known[name] = each
        else:
            tables[name] = each
    _raise(config.problems_of_config(config.ManagerConfig(interceptors=known)))
    return {**known, **config.structure_config({"interceptors": tables}).interceptors}


def _access(options: ServeOptions) -> AccessConfig | None:
    """
    Who may call; None when nothing is said about it.

    Raises:
        ConfigError: What is said makes no sense.
    """
    auth = options.auth
    if auth is None:
        return None
    if isinstance(auth, str):
        return config.read_access(auth)
    if isinstance(auth, Mapping):
        return config.load_access(auth)
    if not isinstance(auth, config.AccessConfig):
        raise ConfigError(f"auth: expected a record, a table or a text, got {type(auth).__name__}")
    _raise(config.problems_of_record(auth, "auth"))
    return auth


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigError(config.summary(problems), problems=problems)


def _guard(catalog: Catalog, access: AccessConfig | None) -> Guard | None:
    """
    What admits calls; None when everybody may call.
    """
    if access is None:
        return None
    if not access.method:
        if replace(access, cert_file="", key_file="", ca_file="") != config.AccessConfig():
            raise ConfigError("auth.method: missing")
        return None
    feature = catalog.auth_method(access.method)
    if feature.spec.accept is None:
        raise ConfigError(f"auth.method: {feature.named('auth method')} cannot verify callers")
    verifier = feature.build("auth method", access, by="accept", where="auth")
    if verifier is not None:
        return Guard(verifier, access, feature.named("auth method"))
    if access.allow:
        raise ConfigError(f"auth.allow: the method {access.method!r} lets everybody call, and knows nobody's name")
    return None


def place_of(catalog: Catalog, address: str, options: ServeOptions) -> tuple[Transport, Endpoint]:
    """
    What serves at an address, and the address.

    Raises:
        ConfigError: The address makes no sense, or the options do not fit it.
    """
    endpoint = Endpoint(address)
    feature = catalog.transport(endpoint.scheme)
    access = _access(options)
    method = access.method if access is not None else ""
    needs_tls = method and catalog.auth_method(method).spec.needs_tls
    if needs_tls and endpoint.scheme not in feature.spec.secure_schemes:
        raise ConfigError(f"the auth method {method!r} needs an address that encrypts, not {address}")
    where = f"the address {address}"
    record = build_options(feature.spec, where=where, own=options.transport, access=access)
    return feature.build("transport", record), endpoint
