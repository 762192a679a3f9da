"""
The kinds of extensions that `remora new` begins.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExtensionKind:
    """
    What an extension of one kind adds, and how that is used once it is installed.

    Attributes:
        hook: The hook that it implements.
        article: What it adds, in words.
        usage: How that is used; `$` stands for its name.
        needs: What it depends on.
    """

    hook: str
    article: str
    usage: str
    needs: str = "remora"


KINDS = {
    "auth": ExtensionKind(
        "remora_register_auth_methods",
        "a way to prove who calls",
        'Use it with `auth = { method = "$", token = "..." }` in a plugin\'s table.',
    ),
    "balancer": ExtensionKind(
        "remora_register_balancers",
        "a way to choose among the instances of a plugin",
        'Use it with `balancer = "$"` in a plugin\'s table.',
    ),
    "codec": ExtensionKind(
        "remora_register_codecs",
        "a format for requests and replies",
        'Use it with `codec = "$"` in a plugin\'s table; it is to be installed on both sides.',
    ),
    "command": ExtensionKind(
        "remora_register_commands",
        "a command of the command line",
        "Use it as `remora $`.",
        needs="remora[cli]",
    ),
    "event": ExtensionKind(
        "remora_event",
        "an observer of what happens to plugins",
        "It is told of every start, loss and change of health.",
    ),
    "exporter": ExtensionKind(
        "remora_register_metric_exporters",
        "a way to take metrics out of the process",
        "Use it with a table `[exporters.$]` in a host's configuration.",
    ),
    "interceptor": ExtensionKind(
        "remora_register_interceptors",
        "something that wraps calls",
        "It wraps every call of every plugin; a table `[interceptors.$]` in a host's configuration sets its options.",
    ),
    "resolver": ExtensionKind(
        "remora_register_resolvers",
        "a way to find out where a plugin is",
        'Use it with `resolver = { method = "$" }` in a plugin\'s table, in place of `endpoint`.',
    ),
    "transport": ExtensionKind(
        "remora_register_transports",
        "a way to carry calls",
        "Use it with an endpoint such as `$://127.0.0.1:7000`.",
    ),
}
