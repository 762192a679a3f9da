"""
What holds for the interceptors of one plugin: the tables `[interceptors.NAME]`, and what the plugin's own say instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora.config._records import InterceptorConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOTHING = InterceptorConfig()


def interceptors_for(
    own: Mapping[str, InterceptorConfig], general: Mapping[str, InterceptorConfig]
) -> dict[str, InterceptorConfig]:
    """
    The tables of interceptors that hold for a plugin, by name, merged field by field.

    Args:
        own: Those of the plugin.
        general: Those that hold for all plugins.
    """
    names = dict.fromkeys([*general, *own])
    return {name: _merged(own.get(name, _NOTHING), general.get(name, _NOTHING)) for name in names}


def _merged(own: InterceptorConfig, general: InterceptorConfig) -> InterceptorConfig:
    enabled = general.enabled if own.enabled is None else own.enabled
    return InterceptorConfig(enabled=enabled is not False, options={**general.options, **own.options})
