"""
What the architecture tests read: the distributions of the workspace and, by `ast`, what their modules import.

Nothing is imported from the code under test, so a module is judged whether or not its dependencies are installed.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DISTRIBUTIONS = {
    "dns": "dnspython",
    "google": "protobuf",
    "grpc": "grpcio",
    "attr": "attrs",
    "grpc_health": "grpcio-health-checking",
    "yaml": "pyyaml",
}
_SHARED = {
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry.exporter.otlp.proto.grpc": "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry": "opentelemetry-api",
}
"""Where one top-level package comes from several distributions."""


@dataclass(frozen=True)
class Import:
    """
    One import in a module.

    Attributes:
        target: The full name of what is imported: `a.b` for `import a.b`, `a.b.c` for `from a.b import c`.
        line: The line on which it stands.
        is_typing: It stands under `TYPE_CHECKING`.
        function: The function in which it stands; empty at module level.
    """

    target: str
    line: int
    is_typing: bool
    function: str

    @property
    def top(self) -> str:
        """
        The top-level package.
        """
        return self.target.partition(".")[0]

    @property
    def is_stdlib(self) -> bool:
        """
        Whether it comes with Python.
        """
        return self.top in sys.stdlib_module_names


@dataclass(frozen=True)
class Module:
    """
    One module of a distribution, by its full name.
    """

    name: str
    path: Path

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """
        All that it imports, wherever the statement stands. What a package loads at first use is what it shows to type
        checkers, and counts.
        """
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        tree = ast.parse(self.path.read_text())
        found = tuple(_imports(tree, package, is_typing=False, function=""))
        is_lazy = any(item.target == "remora._lazy.lazily" for item in found)
        return tuple(replace(item, is_typing=False) for item in found) if is_lazy else found


def _imports(node: ast.AST, package: str, *, is_typing: bool, function: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            for target in _targets(child, package):
                yield Import(target, child.lineno, is_typing, function)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(child, package, is_typing=True, function=function)
        else:
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            inner = child.name if is_function and not function else function  # type: ignore[attr-defined]
            yield from _imports(child, package, is_typing=is_typing, function=inner)


def _targets(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
    base = ".".join([*parents, *([node.module] if node.module else [])])
    return [f"{base}.{alias.name}" for alias in node.names]


@dataclass(frozen=True)
class Distribution:
    """
    One folder with a pyproject.toml.
    """

    folder: Path
    project: dict[str, object] = field(hash=False, compare=False)

    @property
    def name(self) -> str:
        """
        Its name on an index.
        """
        return str(self.project["name"])

    @property
    def package(self) -> str:
        """
        Its import name.
        """
        return self.name.replace("-", "_")

    @property
    def packages(self) -> set[str]:
        """
        The top-level packages in its wheel: its own, and for the core what pytest looks for under a name of its own.
        """
        return {path.name for path in (self.folder / "src").iterdir() if (path / "__init__.py").exists()}

    @property
    def requirements(self) -> list[str]:
        """
        All that it declares, extras included.
        """
        extras: dict[str, list[str]] = self.project.get("optional-dependencies", {})  # type: ignore[assignment]
        plain: list[str] = self.project.get("dependencies", [])  # type: ignore[assignment]
        return [*plain, *(item for extra in extras.values() for item in extra)]

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """
        Its modules, by name.
        """
        source = self.folder / "src"
        return tuple(Module(_dotted(path.relative_to(source)), path) for path in sorted(source.rglob("*.py")))


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def distributions() -> list[Distribution]:
    """
    All distributions of the tree, the example extension included.
    """
    found = sorted([*ROOT.glob("core/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")])
    return [Distribution(path.parent, tomllib.loads(path.read_text())["project"]) for path in found]


def distribution_of(target: str) -> str:
    """
    The distribution that provides a module, by the full name of what is imported.
    """
    shared = (prefix for prefix in _SHARED if f"{target}.".startswith(f"{prefix}."))
    if (prefix := next(shared, None)) is not None:
        return _SHARED[prefix]
    top = target.partition(".")[0]
    return _DISTRIBUTIONS.get(top, top.replace("_", "-"))
