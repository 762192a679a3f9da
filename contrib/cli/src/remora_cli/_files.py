"""
The files that a configuration names, and whether they can be used on this machine.

What lives here: a look at them. What must not: a verdict on the configuration, which may be meant for another machine.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from remora import tls
from remora.config import read_credentials
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remora.config import PluginConfig

_CERTIFICATES = ("ca_file", "cert_file", "key_file")


def problems_of_files(plugin: PluginConfig) -> list[str]:
    """
    What is wrong with the files here, a line each, which begins with the key in the plugin's table.
    """
    problems = [f"{key}: {problem}" for key, path in _named(plugin) if (problem := _unreadable(path))]
    if not problems and (problem := _unusable(plugin)):
        problems.append(problem)
    return problems


def problem_of_audit_log(path: str) -> str:
    """
    What keeps lines from being appended to an audit log here; empty if nothing does. The file is not created.
    """
    whole = os.path.abspath(path)
    try:
        mode = os.lstat(whole).st_mode
    except FileNotFoundError:
        return _uncreatable(os.path.dirname(whole))
    except OSError as error:
        return error.strerror or str(error)
    if stat.S_ISLNK(mode):
        return "it is a symbolic link, which is not followed"
    if stat.S_ISDIR(mode):
        return "it is a directory"
    return "" if os.access(whole, os.W_OK) else "this user may not write to it"


def _uncreatable(folder: str) -> str:
    if not os.path.isdir(folder):
        return f"there is no directory {folder}"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"this user may not create files in {folder}"


def _named(plugin: PluginConfig) -> Iterator[tuple[str, str]]:
    for key in (*_CERTIFICATES, "token_file"):
        if path := getattr(plugin.auth, key):
            yield f"auth.{key}", path
    for key in _CERTIFICATES:
        if isinstance(path := plugin.options.get(key), str) and path:
            yield f"options.{key}", path


def _unreadable(path: str) -> str:
    try:
        read_credentials(path)
    except OSError as error:
        return f"{path!r} cannot be read here: {error.strerror or error}"
    return ""


def _unusable(plugin: PluginConfig) -> str:
    paths = {key: path for key, path in _named(plugin) if not key.endswith("token_file")}
    try:
        if paths:  # else OpenSSL would be loaded for nothing
            tls.CertificateFiles(**{key.partition(".")[2]: path for key, path in paths.items()}).check()
    except ConfigError as error:
        return f"{', '.join(paths)}: {error.message}"
    return ""
