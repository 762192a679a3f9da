"""
What is said about plugins: by themselves, and by a look at their program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from remora._frozen import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodInfo:
    """
    One method of a service, as the plugin describes it.

    Attributes:
        service: The full name of its service.
        name: The name of the method on the wire.
        description: The first paragraph of its docstring.
        idempotent: Whether it may be called twice.
        request: JSON Schema of the request.
        response: JSON Schema of the reply.
    """

    service: str
    name: str
    description: str = ""
    idempotent: bool = False
    request: Mapping[str, object] = field(default_factory=dict)
    response: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """
    What a plugin says about itself, or what the configuration says about one that cannot describe itself.

    Attributes:
        name: The name of the plugin.
        version: Its own version.
        description: What it is for.
        author: Who wrote it.
        capabilities: Words that a host may look for.
        metadata: Further facts, as text by name.
        methods: The methods that it serves.
        protocol_versions: The versions of this description's format that it supports.
    """

    name: str
    version: str = ""
    description: str = ""
    author: str = ""
    capabilities: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    methods: tuple[MethodInfo, ...] = ()
    protocol_versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """
    What a transport would start for an endpoint, and what stands between it and the host.

    Attributes:
        program: The path of the program.
        sha256: The SHA-256 of its file, in hexadecimal digits.
        size: The size of its file, in bytes.
        outcome: "allowed", "refused" or "would-refuse" (allowed only because the policy is "audit-only").
        reasons: What speaks against it, one sentence each.
        measures: By a short name, each protection and whether it is in force.
        warnings: What does not speak against starting it, but should be changed, one sentence each.
    """

    program: str
    sha256: str
    size: int
    outcome: str
    reasons: tuple[str, ...] = ()
    measures: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
