"""
The description of services, from their classes or from a file.
"""

from __future__ import annotations

from remora._methods import methods_of, service_info
from remora._serving._builtin import Builtin
from remora.codecs import JsonCodec
from remora.errors import ConfigError
from remora.types import PluginInfo


def describe(*services: object) -> PluginInfo:
    """
    What a plugin that serves these would say about itself, without serving them.

    Args:
        *services: Classes with annotated methods, Protocols among them, or instances of such.

    Raises:
        ConfigError: There is nothing to call, or a method cannot be called over a wire.
    """
    classes = [each if isinstance(each, type) else type(each) for each in services]
    found = [(service_info(cls), tuple(methods_of(cls).values())) for cls in classes]
    for info, methods in found:
        if not methods:
            raise ConfigError(f"{info.name} has no public methods")
    return Builtin(found, json=JsonCodec()).describe()


def load_description(text: bytes) -> PluginInfo:
    """
    A description that was written as JSON, as `remora describe --json` prints it.

    Raises:
        ConfigError: It is none.
    """
    try:
        return JsonCodec().decode(text, PluginInfo)
    except ValueError as error:
        raise ConfigError(f"not a description of a plugin as `remora describe --json` prints it: {error}") from error
