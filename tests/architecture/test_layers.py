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
    # records and rules: no I/O
    "_lazy": Layer(),
    "_frozen": Layer(),
    "_plain": Layer(),
    "_numbers": Layer(),
    "_hidden": Layer(),
    "errors": Layer("_hidden"),
    "secret": Layer(),
    "types": Layer("_frozen _hidden _lazy errors"),
    "values": Layer("_frozen _numbers"),
    "reload": Layer("_frozen values errors"),
    "security": Layer("_frozen errors"),
    "policy": Layer("_frozen _lazy types errors values"),
    "protocols": Layer("_lazy types errors"),
    "specs": Layer("_frozen types protocols"),
    "hookspecs": Layer("types protocols specs", "pluggy"),
    "wire": Layer("_frozen _lazy _draft _plain types errors"),
    # records from and to something else
    "_draft": Layer("types"),
    "_headers": Layer("errors wire"),
    "_log_fields": Layer("types errors"),
    "_generics": Layer(),
    "_arguments": Layer(),
    "_methods": Layer("_arguments _frozen _generics _headers types errors"),
    "_describe": Layer(),
    "_payloads": Layer("_structure errors protocols"),
    "_requirement": Layer("", "packaging"),
    "_structure": Layer("_frozen _lazy secret", "cattrs msgspec"),
    "codecs": Layer("_structure errors"),
    "_schema": Layer("_structure codecs"),
    "config": Layer("_frozen _hidden _lazy _structure _requirement policy secret types values specs errors", "yaml"),
    "tls": Layer("_lazy config errors"),
    # what both sides need
    "_backend": Layer("errors"),
    "_context": Layer("_frozen types errors", "anyio"),
    "_watch": Layer("config errors", "anyio watchfiles"),
    "watching": Layer("_watch config"),
    "io": Layer("_lazy _plain types errors protocols wire", "anyio trio"),
    "_extensions": Layer(
        f"{RECORDS} _frozen _log_fields _structure hookspecs config io", "anyio importlib_metadata pluggy"
    ),
    "extensions": Layer(f"{RECORDS} _extensions _frozen"),
    "_static": Layer("types errors"),
    "plugin": Layer("_frozen hookspecs specs codecs types _static"),
    "metrics": Layer("_extensions _frozen _numbers protocols types errors", "anyio"),
    # the host
    "_calls": Layer(
        "_context _describe _draft _extensions _headers _log_fields _methods _payloads _plain _requirement codecs"
        " config errors policy protocols secret types",
        "anyio",
    ),
    "_fleet": Layer("_calls _extensions _frozen _numbers _plain config errors io policy protocols types", "anyio"),
    "_telemetry": Layer(
        "_calls _extensions _fleet _frozen _log_fields _plain config errors metrics policy types wire", "anyio"
    ),
    "_reload": Layer(
        "_calls _extensions _fleet _frozen _telemetry _watch config errors policy protocols reload types", "anyio"
    ),
    "client": Layer("_calls _methods types errors"),
    "inspection": Layer(f"{RECORDS} _fleet _frozen"),
    "observability": Layer("_calls _frozen _telemetry metrics policy types errors"),
    "_checker": Layer("_extensions policy types errors", "anyio"),
    "monitor": Layer("_checker _frozen policy types errors", "anyio"),
    "_manager": Layer(
        f"{RECORDS} io config reload client inspection metrics observability policy _calls _extensions _fleet _reload"
        " _telemetry",
        "anyio",
    ),
    "sync": Layer("_backend _manager _context client io types errors", "anyio"),
    # the plugin author's side
    "_serving": Layer(
        "_backend _context _describe _draft _extensions _frozen _headers _log_fields _methods _payloads _plain _schema"
        " config errors io protocols types values wire",
        "anyio",
    ),
    "serve": Layer(f"{RECORDS} _backend _extensions _frozen _serving config io", "anyio"),
    "schema": Layer("_methods _serving codecs types errors"),
    # for tests of extensions
    "testing": Layer(
        f"{RECORDS} hookspecs codecs io serve metrics wire _context _extensions _headers _lazy _manager _methods"
        " _serving",
        "anyio trio",
    ),
}
"""
The table of the design, with a folder for what belongs together: `_calls` holds the pipeline and the route, `_fleet`
the supervisor, `_serving` what answers calls, and `_structure` is where cattrs is. A module or folder that is added
gets a row. `remora` itself only re-exports.
"""

ALL = distributions()
CORE = next(item for item in ALL if item.name == "remora")
WHEELS = [item for item in ALL if item is not CORE]
LAYERED = [module for module in CORE.modules if module.name.startswith("remora.")]
STRANGERS = [(wheel, module) for wheel in WHEELS for module in wheel.modules]
LATE = {"remora.plugin", "remora._requirement", "remora.config._formats", "remora._watch", "remora_grpc._bridge"}
LATE |= {
    "remora._serving._builtin",
    "remora._extensions._missing",
    "remora._context",
    "remora._structure._direct",
    "remora._structure._objections",
    "remora._extensions._entry_points",
    "remora_exec._transport",
    "remora_exec._wires._stdio",
}
LATE |= {"remora_http._client._engine", "remora_http._client._lines", "remora_http._server._wires"}
LATE |= {wheel.package for wheel in WHEELS}
"""The packages' own front doors, the places that choose by the running backend, and what few processes need."""

STATE = {f"remora._calls.{name}" for name in ("_balancing", "_choice", "_instance", "_no_meter", "_outage", "_route")}
"""What the stages of a call look at and change: it decides and remembers, and never waits."""

FOLDERS = {
    "remora_exec": {"_wires": {"_keeping", "_security"}, "_keeping": {"_security"}, "_security": set[str]()},
    "remora_http": {"_client": set[str](), "_server": set[str]()},
}
"""Of the extensions that have folders, which others of them each may import. What stands beside them serves all."""
FOLDED = [module for wheel in WHEELS if wheel.package in FOLDERS for module in wheel.modules]


@pytest.mark.parametrize("module", LAYERED, ids=lambda module: module.name)
def test_module_imports_only_what_its_layer_may(module: Module) -> None:
    """
    Imports of the core go one way.
    """
    part = module.name.split(".")[1]
    assert part in LAYERS, f"give {part} a row in the table"
    layer = LAYERS[part]
    allowed = {f"remora.{name}" for name in [part, *layer.project.split()]} | set(layer.foreign.split())

    assert [_shown(item) for item in _running(module) if _rank(item) not in allowed] == []


def test_state_of_a_call_does_no_io() -> None:
    """
    It needs neither an event loop nor another library.
    """
    modules = [module for module in LAYERED if module.name in STATE]
    foreign = [item for module in modules for item in _running(module) if item.top != "remora"]

    assert {module.name for module in modules} == STATE
    assert [_shown(item) for item in foreign] == []


def test_table_has_no_row_without_a_module() -> None:
    """
    A row goes with its module.
    """
    assert {module.name.split(".")[1] for module in LAYERED} == LAYERS.keys()


def test_table_itself_has_no_cycle() -> None:
    """
    A cycle could not be allowed even by mistake.
    """
    order = TopologicalSorter({name: layer.project.split() for name, layer in LAYERS.items()}).static_order()

    assert set(order) == LAYERS.keys()


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
    Each wheel can be installed without the others, except for those that it declares; of these it uses what is public.
    """
    others = {other.package for other in WHEELS} - {wheel.package}
    declared = {other.package for other in WHEELS if any(item.startswith(other.name) for item in wheel.requirements)}
    foreign = [item for item in module.imports if item.top in others]

    assert [_shown(item) for item in foreign if item.top not in declared or "._" in item.target] == []


@pytest.mark.parametrize("module", FOLDED, ids=lambda module: module.name)
def test_folders_of_an_extension_import_one_way(module: Module) -> None:
    """
    As the table of folders says.
    """
    package, folder, *_ = f"{module.name}.".split(".")
    others = FOLDERS[package].keys() - FOLDERS[package].get(folder, FOLDERS[package].keys()) - {folder}
    wrong = {f"{package}.{other}" for other in others}

    assert [_shown(item) for item in _running(module) if _rank_in(item) in wrong] == []


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
    may_be_late = module.name in LATE or module.name.endswith(".plugin")
    chooses_backend = module.name.startswith(("remora.io", "remora.testing"))
    late = [item for item in module.imports if item.function and not item.is_stdlib]

    assert may_be_late or chooses_backend or [_shown(item) for item in late] == []


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
    return _rank_in(item) if item.top == "remora" else item.top


def _rank_in(item: Import) -> str:
    return ".".join(item.target.split(".")[:2])


def _edges(module: Module, names: set[str]) -> Iterator[str]:
    for item in _running(module):
        target = item.target if item.target in names else item.target.rpartition(".")[0]
        if target in names and target != module.name:
            yield target


def _is_private_core(item: Import) -> bool:
    names = item.target.split(".")
    return names[0] == "remora" and any(name.startswith("_") for name in names[1:])


def _shown(item: Import) -> str:
    return f"{item.target} on line {item.line}"
