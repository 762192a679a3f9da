"""
Checking whether a plugin is the one that the configuration and the typed client expect.

Only a plugin whose table requires a version is asked when it is connected; no other one is, since programs that are
not made with Remora need not know the question. One that cannot answer does not meet a requirement.

What lives here: the question, and what an answer means. What must not: retries, instances.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING
from uuid import uuid4

import anyio

from remora._describe import DESCRIBE_METHOD, PLUGIN_SERVICE, PROTOCOL_VERSIONS, common_version
from remora._methods import methods_of
from remora._plain import shortened
from remora._requirement import is_requirement, meets
from remora.codecs import JsonCodec
from remora.errors import Code, ConfigError, PluginError, ServiceMismatch, VersionMismatch
from remora.types import Call, PluginInfo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.config import PluginConfig
    from remora.types import Reply

    Send = Callable[[Call], Awaitable[Reply]]

_NO_DESCRIPTION = frozenset({Code.UNIMPLEMENTED, Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.UNKNOWN, Code.INTERNAL})
"""The answers of plugins that cannot describe themselves."""


def describe_call(deadline: float | None = None) -> Call:
    """
    The call that asks a plugin to describe itself; it names the versions of the answer that are supported.
    """
    payload = json.dumps({"protocol_versions": PROTOCOL_VERSIONS}).encode()
    return Call(
        service=PLUGIN_SERVICE,
        method=DESCRIBE_METHOD,
        payload=payload,
        deadline=deadline,
        request_id=uuid4().hex,
        idempotent=True,
    )


def read_description(reply: Reply) -> PluginInfo | None:
    """
    The description in a reply; None when the reply is not a description.
    """
    try:
        info = _json().decode(reply.payload, PluginInfo)
    except ValueError:
        return None
    return info


def means_no_description(error: PluginError) -> bool:
    """
    Whether an error is the answer of a plugin that cannot describe itself.
    """
    return error.code in _NO_DESCRIPTION


async def shake_hands(send: Send, config: PluginConfig) -> None:
    """
    Check a plugin that has just been connected, if its table requires a version.

    Args:
        send: Sends a call to it, with credentials.
        config: Its table.

    Raises:
        VersionMismatch: Its version does not meet the requirement, or it does not say which it has.
        RemoraError: It cannot be asked.
    """
    if not is_requirement(config.version):
        return
    check_version(await _ask(send, config.connection.connection_timeout), config.version)


def check_version(info: PluginInfo | None, required: str) -> None:
    """
    Compare what a plugin says about itself with the required version.

    Raises:
        VersionMismatch: The requirement is not met.
    """
    check_protocol(info)
    if not is_requirement(required):
        return
    found = info.version if info is not None else ""
    if not found:
        raise VersionMismatch(f"version {required} is required, but the plugin does not say its own", required=required)
    if not meets(found, required):
        message = f"version {required} is required, but the plugin says that it is {shortened(found, most=100)}"
        raise VersionMismatch(message, required=required, found=found)


def check_protocol(info: PluginInfo | None) -> None:
    """
    Raise VersionMismatch unless both sides have a version of the description in common.
    """
    if info is not None and common_version(info.protocol_versions) is None:
        ours, theirs = _listed(PROTOCOL_VERSIONS), _listed(info.protocol_versions)
        message = f"this host speaks version {ours} of remora.v1.Plugin, the plugin {theirs}"
        raise VersionMismatch(message, required=ours, found=theirs)


def check_methods(info: PluginInfo, service: str, protocol: type) -> None:
    """
    Check that a plugin serves what a typed client needs.

    Raises:
        ServiceMismatch: It does not, or does not say what it serves; the error names everything that is missing.
    """
    if not info.methods:
        raise ServiceMismatch(f"it does not say what it serves, so {protocol.__qualname__} cannot be verified")
    served = {(each.service, each.name) for each in info.methods}
    missing = [f"{service}/{name}" for name in methods_of(protocol) if (service, name) not in served]
    if missing:
        there = shortened(", ".join(sorted(f"{service}/{name}" for service, name in served)))
        message = f"{protocol.__qualname__} needs {', '.join(missing)}, which it does not serve; it serves {there}"
        raise ServiceMismatch(message, problems=[f"{name} is not served" for name in missing])


async def _ask(send: Send, timeout: float) -> PluginInfo | None:
    try:
        with anyio.fail_after(timeout):
            return read_description(await send(describe_call(anyio.current_time() + timeout)))
    except PluginError as error:
        if error.code is Code.FAILED_PRECONDITION:
            raise VersionMismatch(error.message, required=_listed(PROTOCOL_VERSIONS)) from error
        if not means_no_description(error):
            raise
        return None
    except TimeoutError as error:
        raise ConfigError(f"it did not describe itself within {timeout:g} s") from error


@cache
def _json() -> JsonCodec:
    return JsonCodec()


def _listed(versions: tuple[int, ...]) -> str:
    return " or ".join(map(str, versions)) or "1"
