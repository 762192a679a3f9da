"""
The hooks of one extension: which functions of a module are some, and whether they fit their specifications.

What lives here: looking at hooks. What must not: calling them (see `_registry`).
"""

from __future__ import annotations

import inspect
from types import ModuleType

import pluggy

from remora import hookspecs

GROUP = "remora"

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Hooks(pluggy.PluginManager):
    """
    A manager for the hooks of one extension at a time, so that features of several are never mixed up.
    """

    def __init__(self) -> None:
        super().__init__(GROUP)
        self.add_hookspecs(hookspecs)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        """
        Pass over a module's names that are no functions: pluggy's own look at each of them takes longer than everything
        else about an extension.
        """
        if isinstance(plugin, ModuleType) and not inspect.isroutine(vars(plugin).get(name)):
            return None
        return super().parse_hookimpl_opts(plugin, name)


def hook_in(plugins: pluggy.PluginManager, name: str, module: object) -> bool:
    """
    Register an extension's hooks.

    Returns:
        Whether it has any.

    Raises:
        PluginValidationError: One does not fit its specification.
        ValueError: The module was registered before.
        TypeError: One has no specification, is not marked as a hook, or is a coroutine function.
    """
    names = _hook_names(plugins)
    for each in names:
        _check_hook(plugins, module, each)
    plugins.register(module, name=name)
    hooks = plugins.get_hookcallers(module) or []
    for hook in hooks:
        if not hook.has_spec() and not all(each.optionalhook for each in hook.get_hookimpls()):
            raise TypeError(f"there is no hook {hook.name!r}; there are: {', '.join(names)}")
        if any(inspect.iscoroutinefunction(each.function) for each in hook.get_hookimpls()):
            raise TypeError(f"hook {hook.name!r} is a coroutine function; hooks are called synchronously")
    return bool(hooks)


def _check_hook(plugins: pluggy.PluginManager, module: object, hook: str) -> None:
    """
    Say what is wrong with a function that is named like a hook, in the words of the hook.

    Raises:
        TypeError: It is not marked, or has arguments that the hook does not have.
    """
    function = getattr(module, hook, None)
    if not inspect.isroutine(function):
        return
    if plugins.parse_hookimpl_opts(module, hook) is None:
        raise TypeError(f"{hook} is not marked with `@hookimpl`")
    known = inspect.signature(getattr(hookspecs, hook)).parameters
    given = [each for each in inspect.signature(function).parameters.values() if each.kind in _POSITIONAL]
    wrong = [each.name for each in given if each.name not in known and each.default is each.empty]
    if wrong:
        there_are = f"it has: {', '.join(known)}" if known else "it has none"
        raise TypeError(f"hook {hook!r} has no argument {wrong[0]!r}; {there_are}")


def _hook_names(plugins: pluggy.PluginManager) -> list[str]:
    return sorted(name for name, hook in vars(plugins.hook).items() if name.startswith("remora_") and hook.has_spec())
