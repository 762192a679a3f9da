"""
A plugin that tells its callers who they are, and how to ask it.
"""

from __future__ import annotations

from typing import Any

from remora import AuthConfig, Manager, ManagerConfig, PluginConfig, current_call


class Who:
    """
    Tells the caller who it is.
    """

    async def am_i(self) -> str:
        """The caller's name."""
        return current_call().identity

    async def not_i(self) -> str:
        """Nobody's name."""
        return ""


def manager_for(url: str, auth: Any = None, **more: Any) -> Manager:
    """
    A host of one plugin.
    """
    auth = auth or AuthConfig()
    plugin = PluginConfig(name="who", endpoint=url, service="Who", method="am_i", auth=auth, **more)
    return Manager(ManagerConfig(plugins={"who": plugin}))


async def ask(url: str, auth: Any = None, *, method: str = "am_i") -> Any:
    """
    The answer to one call.
    """
    async with manager_for(url, auth) as manager:
        return await manager.execute("who", None, str, method=method)
