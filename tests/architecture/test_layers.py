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
    "errors": Layer(),
    "types": Layer("_frozen _lazy errors"),
    "_numbers": Layer(),
    "values": Layer("_frozen _numbers"),
    "secret": Layer(),
    "tls": Layer("_lazy config errors"),
    "policy": Layer("_frozen _lazy types errors values"),
    "security": Layer("errors"),
    "protocols": Layer("_lazy types errors"),
    "specs": Layer("_frozen types protocols"),
    "hookspecs": Layer("types protocols specs", "pluggy"),
    "wire": Layer("_frozen _lazy _draft _plain types errors"),
    # records from and to something else
    "_structure": Layer("_frozen _lazy secret", "cattrs msgspec"),
    "_draft": Layer("types"),
    "_request_id": Layer(),
    "_headers": Layer("errors"),
    "_faults": Layer("errors", "anyio"),
    "_generics": Layer(),
    "_methods": Layer("_frozen _generics types errors"),
    "codecs": Layer("_structure errors"),
    "_schema": Layer("_structure codecs"),
    "_requirement": Layer("", "packaging"),
    "config": Layer("_frozen _lazy _structure _requirement policy secret types values specs errors", "yaml"),
    "_options": Layer("_structure config specs errors"),
    "_backend": Layer("errors"),
    # extensions
    "_catalog": Layer("_frozen specs errors _faults", "importlib_metadata"),
    "_entry_points": Layer("", "importlib_metadata"),
    "_registry": Layer(f"{RECORDS} hookspecs _catalog _entry_points _faults", "pluggy"),
    "_static": Layer("types errors"),
    "plugin": Layer("_frozen hookspecs specs codecs types _static"),
    # the host
    "io": Layer("_lazy _plain types errors protocols wire", "anyio trio"),
    "_context": Layer("_frozen types errors", "anyio"),
    "_log_fields": Layer("types errors"),
    "_event_log": Layer("_log_fields types wire"),
    "_events": Layer("_event_log _faults types", "anyio"),
    "_watch": Layer("config errors", "anyio watchfiles"),
    "watching": Layer("_watch config"),
    "_follow": Layer("_watch config types errors", "anyio"),
    "_describe": Layer(),
    "_payloads": Layer("protocols"),
    "_handshake": Layer("_describe _methods _plain _requirement codecs types errors", "anyio"),
    "_conduct": Layer("_faults types errors"),
    "_interception": Layer("_frozen _catalog _conduct _faults _log_fields protocols types errors"),
    "metrics": Layer("_conduct _faults _numbers protocols types errors", "anyio"),
    "_exporting": Layer(f"{RECORDS} config _catalog _options"),
    "_metric_table": Layer("metrics"),
    "_no_meter": Layer("types errors"),
    "reload": Layer("values errors"),
    "_turns": Layer("", "anyio"),
    "_detached": Layer("errors", "anyio"),
    "_instance": Layer("_no_meter policy protocols types errors"),
    "_balancing": Layer("_conduct _instance protocols"),
    "_outage": Layer("_instance errors"),
    "_choice": Layer("_balancing _instance types"),
    "_route": Layer("_balancing _choice _conduct _instance _no_meter _outage policy types errors"),
    "_call_meters": Layer("_plain metrics types errors"),
    "_meters": Layer("_metric_table _call_meters _no_meter _instance _route metrics policy types"),
    "_metering": Layer("_metric_table _conduct _events _fleet _meters config metrics"),
    "observability": Layer("_metric_table _call_meters _meters _instance _route metrics policy types errors"),
    "_change_of": Layer("_route", "anyio"),
    "_probing": Layer("_instance _plain _route _faults types errors", "anyio"),
    "_authenticate": Layer("_faults _headers secret protocols types errors", "anyio"),
    "_checker": Layer("_faults policy types errors", "anyio"),
    "monitor": Layer("_checker policy types errors", "anyio"),
    "_delivery": Layer("_faults _interception _instance _route policy types errors", "anyio"),
    "_fallback": Layer("config types errors"),
    "_pipeline": Layer(
        "_change_of _context _delivery _draft _fallback _instance _interception _log_fields _plain _route"
        " policy types errors",
        "anyio",
    ),
    "_opened": Layer("protocols"),
    "_owner": Layer(
        "_instance _opened _plain _route _probing _faults _handshake policy protocols types errors", "anyio"
    ),
    "_supervisor": Layer("_owner policy errors", "anyio"),
    "_caller": Layer(
        "_draft _handshake _headers _faults _payloads _probing _request_id protocols types errors", "anyio"
    ),
    "client": Layer("_caller _methods types errors"),
    "_drain": Layer("_change_of _instance _route policy types", "anyio"),
    "_requirements": Layer("config types"),
    "_assembly": Layer(f"{RECORDS} config policy _authenticate _balancing _options _fallback _instance"),
    "_admission": Layer(f"{RECORDS} config _catalog _faults _options _assembly _exporting"),
    "_generation": Layer("_assembly _fallback _caller _interception _pipeline _route"),
    "_holding": Layer("errors _change_of _generation", "anyio"),
    "_fleet": Layer(
        "config errors types io _assembly _drain _generation _holding _no_meter _requirements _supervisor", "anyio"
    ),
    "_fleet_health": Layer("types _fleet", "anyio"),
    "_closing": Layer("config errors _assembly _fleet _generation _numbers _owner", "anyio"),
    "_plan": Layer("config reload _assembly"),
    "_readiness": Layer("errors types _assembly _change_of _instance _probing _generation _fleet _route", "anyio"),
    "_departures": Layer("_assembly _closing _instance _generation _fleet", "anyio"),
    "_strategy": Layer("errors _assembly _departures _fleet _generation _readiness", "anyio"),
    "_transition": Layer(
        "config errors types reload _closing _plan _generation _fleet _readiness _departures _strategy", "anyio"
    ),
    "_adoption": Layer("config errors types _closing _instance _readiness _fleet", "anyio"),
    "_resolver": Layer("_admission _faults _options _fleet config policy types errors", "anyio"),
    "_resolution": Layer("_adoption _assembly _closing _fleet _resolver _turns config types"),
    "_discovery": Layer("_admission _watch config errors types", "anyio"),
    "inspection": Layer(f"{RECORDS} _assembly"),
    "_changes": Layer(
        "config errors reload _admission _conduct _detached _discovery _exporting _fleet _metering _plan _resolution"
        " _transition _turns"
    ),
    "_manager": Layer(
        f"{RECORDS} io config reload client inspection metrics observability policy _caller _changes _conduct"
        " _closing _discovery _events _exporting _faults _fleet _fleet_health _follow _interception _metering"
        " _registry",
        "anyio",
    ),
    "sync": Layer("_backend _manager _context client types errors", "anyio"),
    # the plugin author's side
    "_builtin": Layer("_describe types errors wire _schema _methods"),
    "schema": Layer("_builtin _methods codecs types errors"),
    "_guard": Layer("_plain config protocols types errors wire _describe"),
    "_handlers": Layer("_frozen _methods errors", "anyio"),
    "_dispatch": Layer(
        "_draft protocols types errors io _faults _handlers _headers _methods _context _builtin _conduct _interception "
        "_log_fields _payloads",
        "anyio",
    ),
    "_preload": Layer("_backend _registry"),
    "_process": Layer(),
    "serve": Layer(
        f"_backend _frozen _numbers _preload _process {RECORDS} config _options _registry _methods _guard _interception"
        " _dispatch",
        "anyio",
    ),
    # for the command line
    "extensions": Layer(f"{RECORDS} _catalog _registry"),
    # for tests of extensions
    "testing": Layer(
        f"{RECORDS} hookspecs codecs io serve metrics _context _faults _headers _manager _methods _options _registry"
        " _dispatch",
        "anyio trio",
    ),
}
"""
The table of the design, with `config`, `client`, `service` and `_manager` taken apart into the nouns that they hold:
`_structure` is where cattrs is, `_assembly` makes a plugin's parts, `_dispatch` answers calls. A module that is added
gets a row. `remora` itself only re-exports.
"""

ALL = distributions()
CORE = next(item for item in ALL if item.name == "remora")
WHEELS = [item for item in ALL if item is not CORE]
LAYERED = [module for module in CORE.modules if module.name.startswith("remora.")]
STRANGERS = [(wheel, module) for wheel in WHEELS for module in wheel.modules]
LATE = {"remora.plugin", "remora._requirement", "remora.config._formats", "remora._watch", "remora_grpc._bridge"}
LATE |= {
    "remora._builtin",
    "remora._catalog",
    "remora._context",
    "remora._structure._direct",
    "remora._entry_points",
    "remora_exec._transport",
    "remora_exec._wires._stdio",
}
LATE |= {"remora_http._client._engine", "remora_http._client._lines", "remora_http._server._wires"}
LATE |= {wheel.package for wheel in WHEELS}
"""The packages' own front doors, the places that choose by the running backend, and what few processes need."""

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
