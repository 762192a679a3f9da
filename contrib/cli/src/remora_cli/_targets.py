"""
From `MODULE:OBJECT` on the command line to an object that can be served.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def parse_targets(context: click.Context, param: click.Parameter, values: Sequence[str]) -> list[tuple[str, str]]:
    """
    The module's name and the object's of each `MODULE:OBJECT`.

    Raises:
        click.BadParameter: A text is none.
    """
    targets = []
    for value in values:
        module, _, path = value.partition(":")
        is_file = module.endswith(".py") and os.path.isfile(module)
        if is_file or not all(word.isidentifier() for word in [*module.split("."), *path.split(".")]):
            message = f"{value!r} is not of the form MODULE:OBJECT, such as {_example(value)}"
            raise click.BadParameter(message, context, param)
        targets.append((module, path))
    return targets


def _example(value: str) -> str:
    """
    What may be meant: the path of a file becomes the name of its module.
    """
    file, _, path = value.partition(":")
    module = ".".join(word for word in re.split(r"[./\\\\]+", file.removesuffix(".py")) if word)
    is_usable = module and all(word.isidentifier() for word in module.split("."))
    return f"{module}:{path or 'CLASS'}" if is_usable else "examples.text:TextProcessor"


def load_target(module: str, path: str) -> object:
    """
    The object to serve: an instance as it is, or what a class or a factory makes without arguments.

    Raises:
        ConfigError: There is no such thing, or making it fails.
    """
    where = f"{module}:{path}"
    with _words_to_stderr():
        found = _attribute(_import(module), path, where)
        return make_object(found, where) if _is_maker(found) else found


def find_target(module: str, path: str) -> object:
    """
    The object as it stands in the module; nothing is made or called.

    Raises:
        ConfigError: There is no such thing.
    """
    with _words_to_stderr():
        return _attribute(_import(module), path, f"{module}:{path}")


def _import(module: str) -> object:
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(f"there is no module {error.name!r} here or among what is installed") from error
        raise ConfigError(f"the module {module!r} cannot be imported: {error}") from error
    except SystemExit as error:
        remedy = 'what ends or serves belongs under `if __name__ == "__main__":`'
        raise ConfigError(f"the module {module!r} ends the program while it is imported: {remedy}") from error
    except Exception as error:  # a user's module may raise anything
        raise ConfigError(f"the module {module!r} cannot be imported: {type(error).__name__}: {error}") from error


def _attribute(module: object, path: str, where: str) -> object:
    found = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise ConfigError(f"{where}: there is no {name!r} in it{_offer(module)}") from error
    if inspect.ismodule(found):
        raise ConfigError(f"{where} is a module; name a class or an object in it")
    return found


def _offer(module: object) -> str:
    """
    The classes that the module defines, as a hint.
    """
    own = [name for name, value in vars(module).items() if _is_own_class(value, module) and not name.startswith("_")]
    return f"; there are: {', '.join(sorted(own))}" if own else ""


def _is_own_class(value: object, module: object) -> bool:
    return inspect.isclass(value) and value.__module__ == getattr(module, "__name__", None)


def _is_maker(found: object) -> bool:
    return inspect.isclass(found) or inspect.isroutine(found) or isinstance(found, functools.partial)


def make_object(maker: object, where: str) -> object:
    """
    What a class or a factory makes without arguments.

    Raises:
        ConfigError: Making it fails.
    """
    assert callable(maker)
    factory: Callable[[], object] = maker
    try:
        made = factory()
    except (Exception, SystemExit) as error:  # a user's constructor may raise anything
        raise ConfigError(f"{where}() failed: {type(error).__name__}: {error}") from error
    if inspect.iscoroutine(made):
        made.close()
        raise ConfigError(f"{where} is a coroutine function; what makes the object is to be a plain one")
    if made is None:
        raise ConfigError(f"{where}() returned nothing")
    return made


@contextmanager
def _words_to_stderr() -> Iterator[None]:
    """
    What is printed inside goes to standard error: standard output may be the wire, or read by a program.
    """
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
