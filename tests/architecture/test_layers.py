"""
The dependency rule: what each module of the core may import, and that extensions use only what is public.

What stands under TYPE_CHECKING does not count: it is not there when the program runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture.sources import Distribution, Import, Module, distributions


@dataclass(frozen=True)
class Layer:
    """
    What one module or package of the core may import: other parts of the core, and other people's packages.
    """

    project: str = ""
    foreign: str = ""


RECORDS = "errors types protocols specs"

LAYERS = {
    "errors": Layer(),
    "types": Layer("errors"),
    "policy": Layer("types errors"),
    "protocols": Layer("types errors"),
    "specs": Layer("types protocols"),
    "hookspecs": Layer("types protocols specs", "pluggy"),
    "wire": Layer("types errors"),
    "io": Layer("errors types wire", "anyio trio"),
    "config": Layer("types specs errors", "cattrs"),
    "codecs": Layer(f"{RECORDS} hookspecs", "cattrs"),
    "_registry": Layer(f"{RECORDS} hookspecs", "pluggy importlib_metadata"),
    "_route": Layer("policy protocols types errors"),
    "_pipeline": Layer("_route types errors", "anyio"),
    "_supervisor": Layer("_route protocols types errors", "anyio"),
    "_reload": Layer("config _supervisor types errors", "anyio"),
    "_metrics": Layer("protocols types", "anyio"),
    "_methods": Layer("types errors", "cattrs"),
    "client": Layer("types errors protocols codecs _methods", "cattrs"),
    "_dispatch": Layer("types errors protocols codecs _methods", "anyio cattrs"),
    "service": Layer("types errors protocols _methods _dispatch", "anyio cattrs"),
    "serve": Layer(f"{RECORDS} config _registry _dispatch service", "anyio"),
    "_manager": Layer(
        f"{RECORDS} hookspecs config codecs client _registry _route _pipeline _supervisor _reload _metrics", "anyio"
    ),
    "sync": Layer("_manager", "anyio"),
    "extensions": Layer(f"{RECORDS} _catalog _registry"),
}
"""
The table of the design. `codecs`, `_methods` and `_dispatch` are its `client` and `service` rows taken apart: the
payload formats, the reading of methods from classes, and the answering of calls. `remora` itself re-exports, and
`testing` uses the public modules as a stranger would; both have tests of their own below.
"""

ALL = distributions()
CORE = next(item for item in ALL if item.name == "remora")
WHEELS = [item for item in ALL if item is not CORE]
LAYERED = [module for module in CORE.modules if module.name.split(".")[1:2] not in ([], ["testing"])]
TESTING = [module for module in CORE.modules if module.name.split(".")[1:2] == ["testing"]]
STRANGERS = [(wheel, module) for wheel in WHEELS for module in wheel.modules] + [(CORE, module) for module in TESTING]


@pytest.mark.parametrize("module", LAYERED, ids=lambda module: module.name)
def test_module_imports_only_what_its_layer_may(module: Module) -> None:
    """
    Imports of the core go one way.
    """
    part = module.name.split(".")[1]
    layer = LAYERS[part]
    allowed = {f"remora.{name}" for name in [part, *layer.project.split()]} | set(layer.foreign.split())

    assert [_shown(item) for item in _running(module) if _rank(item) not in allowed] == []


def test_core_has_no_import_cycle() -> None:
    """
    The modules of the core can be put in an order in which each imports only earlier ones.
    """
    names = {module.name for module in CORE.modules} - {"remora"}
    graph = {module.name: set(_edges(module, names)) for module in CORE.modules}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))

    assert set(order) >= names


@pytest.mark.parametrize(("wheel", "module"), STRANGERS, ids=lambda item: item.name)
def test_extension_imports_only_public_modules_of_remora(wheel: Distribution, module: Module) -> None:
    """
    What Remora's own wheels need, a stranger's can have too.
    """
    private = [item for item in module.imports if _is_private_core(item)]

    assert [_shown(item) for item in private] == []


@pytest.mark.parametrize(("wheel", "module"), STRANGERS, ids=lambda item: item.name)
def test_extension_imports_no_other_extension(wheel: Distribution, module: Module) -> None:
    """
    Each wheel can be installed without the others.
    """
    others = {other.package for other in WHEELS} - {wheel.package}

    assert [_shown(item) for item in module.imports if item.top in others] == []


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda wheel: wheel.name)
def test_plugin_module_imports_nothing_heavy(wheel: Distribution) -> None:
    """
    Reading all entry points imports remora, the standard library, and no feature.
    """
    early = [item for module in _loaded_with_plugin(wheel) for item in _running(module) if not item.function]

    assert [_shown(item) for item in early if item.top not in {"remora", wheel.package}] == []


@pytest.mark.parametrize(
    ("wheel", "module"), [(CORE, module) for module in LAYERED] + STRANGERS, ids=lambda item: item.name
)
def test_only_front_doors_import_late(wheel: Distribution, module: Module) -> None:
    """
    An import inside a function hides a dependency; only what builds a feature, or chooses a backend, may have one.
    """
    is_front_door = module.name in {wheel.package, f"{wheel.package}.plugin", "remora.codecs.plugin"}
    chooses_backend = module.name.startswith(("remora.io", "remora.testing"))
    late = [item for item in module.imports if item.function and not item.is_stdlib]

    assert is_front_door or chooses_backend or [_shown(item) for item in late] == []


def _loaded_with_plugin(wheel: Distribution) -> list[Module]:
    modules = {module.name: module for module in wheel.modules}
    waiting, loaded = [wheel.package, f"{wheel.package}.plugin"], dict[str, Module]()
    while waiting:
        name = waiting.pop()
        if name in modules and name not in loaded:
            loaded[name] = modules[name]
            early = (item.target for item in _running(modules[name]) if not item.function)
            waiting += [name for target in early for name in (target, target.rpartition(".")[0])]
    return list(loaded.values())


def _running(module: Module) -> Iterator[Import]:
    return (item for item in module.imports if not item.is_typing and not item.is_stdlib)


def _rank(item: Import) -> str:
    return ".".join(item.target.split(".")[:2]) if item.top == "remora" else item.top


def _edges(module: Module, names: set[str]) -> Iterator[str]:
    for item in _running(module):
        target = item.target if item.target in names else item.target.rpartition(".")[0]
        if target in names and target != module.name:
            yield target


def _is_private_core(item: Import) -> bool:
    names = item.target.split(".")
    return names[0] == "remora" and names[1:2] != ["testing"] and any(name.startswith("_") for name in names[1:])


def _shown(item: Import) -> str:
    return f"{item.target} on line {item.line}"
