"""
What the entry point `auth` leads to: the methods, each imported when it is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, cast

from remora.errors import ConfigError
from remora.hookspecs import hookimpl
from remora.secret import Secret
from remora.specs import AuthSpec
from remora.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora.config import AccessConfig
    from remora.protocols import AuthMethod, Verifier

__all__ = ["remora_register_auth_methods"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneOptions:
    """
    No options.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyOptions:
    """
    A key in a header.
    """

    api_key: Secret = Secret()
    header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerOptions:
    """
    A token from one of four places.
    """

    token: Secret = Secret()
    token_file: str = ""
    token_command: tuple[str, ...] = ()
    token_source: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicOptions:
    """
    A name and a password.
    """

    username: str = ""
    password: Secret = Secret()


@dataclass(frozen=True, slots=True, kw_only=True)
class MtlsOptions:
    """
    A certificate and its key, which the transport shows.
    """

    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomOptions:
    """
    Headers, or an object that does it all.
    """

    headers: Mapping[str, Secret] = field(default_factory=dict)
    custom: object = None


def build_none(options: NoneOptions) -> None:
    """
    Nothing happens.
    """


def build_api_key(options: ApiKeyOptions) -> AuthMethod:
    """
    Make the method that sends a key.
    """
    from remora_auth._header import API_KEY, header_name, header_value
    from remora_auth._methods import Header

    return Header(header_value("api_key", options.api_key), name=header_name(options.header, API_KEY))


def build_bearer(options: BearerOptions) -> AuthMethod:
    """
    Make the method that sends a token.
    """
    import anyio

    from remora_auth._bearer import RefreshingBearer
    from remora_auth._header import header_value, write_bearer
    from remora_auth._methods import Header
    from remora_auth._sources import CallableSource, CommandSource, FileSource
    from remora_auth._tokens import Source, Tokens

    sources: list[Source | None] = [None] if options.token else []
    sources += [FileSource(options.token_file)] if options.token_file else []
    sources += [CommandSource(options.token_command)] if options.token_command else []
    sources += [CallableSource(cast("Any", options.token_source))] if options.token_source else []
    if len(sources) != 1:
        raise ConfigError("expected exactly one of token, token_file, token_command and token_source")
    if sources[0] is not None:
        return RefreshingBearer(Tokens(sources[0], clock=anyio.current_time))
    header_value("token", options.token)
    return Header(write_bearer(options.token))


def build_basic(options: BasicOptions) -> AuthMethod:
    """
    Make the method that sends a name and a password.
    """
    from remora_auth._header import write_basic
    from remora_auth._methods import Header

    return Header(write_basic(options.username, options.password))


def build_mtls(options: MtlsOptions) -> None:
    """
    The transport shows the certificate; a call needs nothing more.
    """
    if not (options.cert_file and options.key_file):
        raise ConfigError("the auth method 'mtls' needs cert_file and key_file")


def build_custom(options: CustomOptions) -> AuthMethod:
    """
    Make the method that sends any headers, or take the object that was given.
    """
    from remora_auth._header import header_name, header_value
    from remora_auth._methods import Headers

    if bool(options.headers) == (options.custom is not None):
        raise ConfigError("expected either headers or, in code, custom")
    if options.custom is not None:
        return cast("AuthMethod", options.custom)
    items = options.headers.items()
    return Headers({header_name(name, ""): header_value(f"headers.{name}", value) for name, value in items})


def accept_none(access: AccessConfig) -> None:
    """
    Everybody may call.
    """
    from remora_auth._accepting import check_unused

    check_unused(access)


def accept_api_key(access: AccessConfig) -> Verifier:
    """
    Make what verifies keys.
    """
    from remora_auth._accepting import callers_of
    from remora_auth._header import API_KEY, header_name
    from remora_auth._verifiers import ApiKeys

    return ApiKeys(callers_of(access, "header", api_key="api key"), header=header_name(access.header, API_KEY))


def accept_bearer(access: AccessConfig) -> Verifier:
    """
    Make what verifies tokens.
    """
    from remora_auth._accepting import callers_of
    from remora_auth._verifiers import Bearers

    return Bearers(callers_of(access, token="token holder", token_file="token holder"))


def accept_basic(access: AccessConfig) -> Verifier:
    """
    Make what verifies names and passwords.
    """
    from remora_auth._accepting import callers_of
    from remora_auth._verifiers import Passwords

    return Passwords(callers_of(access, "username", password=access.username))


def accept_mtls(access: AccessConfig) -> Verifier:
    """
    Make what asks the connection.
    """
    from remora_auth._accepting import check_unused
    from remora_auth._verifiers import Certificates

    check_unused(access)
    if not (access.ca_file and access.cert_file and access.key_file):
        raise ConfigError("the auth method 'mtls' needs cert_file, key_file, and the ca_file of the callers")
    return Certificates()


def accept_custom(access: AccessConfig) -> Verifier:
    """
    Take the object that was given.
    """
    from remora_auth._accepting import check_unused

    check_unused(access, "custom")
    if not callable(getattr(access.custom, "verify", None)):
        raise ConfigError("custom: expected, in code, an object with a method `verify`")
    return cast("Verifier", access.custom)


@hookimpl
def remora_register_auth_methods() -> Iterable[AuthSpec[Any]]:
    """
    Add all methods.
    """
    return [
        AuthSpec("none", NoneOptions, build_none, accept_none),
        AuthSpec("api-key", ApiKeyOptions, build_api_key, accept_api_key),
        AuthSpec("bearer", BearerOptions, build_bearer, accept_bearer),
        AuthSpec("basic", BasicOptions, build_basic, accept_basic),
        AuthSpec("mtls", MtlsOptions, build_mtls, accept_mtls, needs_tls=True),
        AuthSpec("custom", CustomOptions, build_custom, accept_custom),
    ]
