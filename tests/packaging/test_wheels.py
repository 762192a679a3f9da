"""
The wheels as a user gets them: built, installed into empty environments, and asked what is there.

Third-party packages come in the pinned versions, ours from the wheels built here and from nowhere else.
"""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, Distribution, distributions
from tests.packaging.conftest import Uv, pins_of

OURS = [item for item in distributions() if item.name.startswith("remora")]
CORE = next(item for item in OURS if item.name == "remora")
EXTRAS: dict[str, list[str]] = CORE.project["optional-dependencies"]  # type: ignore[assignment]
WHEEL_EXTRAS = [item.name.removeprefix("remora-") for item in OURS if item is not CORE]
HEAVY = {"httpx", "grpc", "trio", "opentelemetry"}

_INSTALLED = "import json, importlib.metadata as m; print(json.dumps([d.name for d in m.distributions()]))"
_POINTS = "import json, importlib.metadata as m; print(json.dumps([e.name for e in m.entry_points(group='remora')]))"
_LOADED = "import json, sys, {module}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def unix(wheels: Path, uv: Uv, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The Python of an environment with `remora[unix]`.
    """
    return _installed("remora[unix]", wheels, uv, tmp_path_factory.mktemp("unix"))


@pytest.fixture(scope="module")
def everything(wheels: Path, uv: Uv, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The Python of an environment with all that an extra can bring.
    """
    return _installed("remora[all,trio]", wheels, uv, tmp_path_factory.mktemp("everything"))


@pytest.mark.parametrize("distribution", OURS, ids=lambda item: item.name)
def test_wheel_is_typed_and_licensed(distribution: Distribution, wheels: Path) -> None:
    """
    Type checkers and lawyers find what they look for.
    """
    names = zipfile.ZipFile(next(wheels.glob(f"{distribution.package}-*.whl"))).namelist()

    assert f"{distribution.package}/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


@pytest.mark.parametrize(
    "file",
    ["remora_prometheus/alerts.yml", "remora_prometheus/dashboard.json", "remora_admin/page.html"],
)
def test_wheel_brings_what_is_no_code(file: str, wheels: Path) -> None:
    """
    The alert rules and the dashboard that the documentation promises, and the status page.
    """
    wheel = next(wheels.glob(f"{file.partition('/')[0]}-*.whl"))
    shipped = zipfile.ZipFile(wheel).read(file)
    (source,) = ROOT.glob(f"*/*/src/{file}")

    assert shipped == source.read_bytes()


@pytest.mark.parametrize("distribution", OURS, ids=lambda item: item.name)
def test_wheel_holds_one_package_and_no_tests(distribution: Distribution, wheels: Path) -> None:
    """
    A wheel claims its import name, and the core's that of the plugin for pytest.
    """
    names = zipfile.ZipFile(next(wheels.glob(f"{distribution.package}-*.whl"))).namelist()
    folders = {name.partition("/")[0] for name in names if ".dist-info/" not in name}

    assert folders == distribution.packages


def test_unix_transport_brings_no_other_transport(unix: Path) -> None:
    """
    `remora[unix]` alone pulls neither httpx nor grpcio.
    """
    names = set(_ask(unix, _INSTALLED))

    assert {name for name in names if name.startswith("remora")} == {"remora", "remora-unix"}
    assert not names & {"httpx", "grpcio", "trio", "click"}


@pytest.mark.parametrize("module", ["remora", *(f"{item.package}.plugin" for item in OURS if item is not CORE)])
def test_importing_loads_nothing_heavy(module: str, everything: Path) -> None:
    """
    Even where everything is installed, `import remora` and the entry points load no feature.
    """
    assert not set(_ask(everything, _LOADED.format(module=module))) & HEAVY


def test_all_brings_every_entry_point(everything: Path) -> None:
    """
    `remora[all]` is all.
    """
    assert set(WHEEL_EXTRAS) <= set(_ask(everything, _POINTS))


@pytest.mark.parametrize("extra", [*WHEEL_EXTRAS, *sorted(set(EXTRAS) - {"all", *WHEEL_EXTRAS})])
def test_each_extra_installs_by_itself(extra: str, wheels: Path, uv: Uv, tmp_path: Path) -> None:
    """
    An extra brings its entry point, and no other extension than those that it is built on.
    """
    python = _installed(f"remora[{extra}]", wheels, uv, tmp_path)

    assert set(_ask(python, _POINTS)) & set(WHEEL_EXTRAS) == ({extra} & set(WHEEL_EXTRAS)) | _siblings_of(extra)


def _siblings_of(extra: str) -> set[str]:
    """
    The extensions that the wheel of an extra requires.
    """
    needed = [item for wheel in OURS if wheel.name == f"remora-{extra}" for item in wheel.requirements]
    return {name for name in WHEEL_EXTRAS if any(item.startswith(f"remora-{name}~") for item in needed)}


def _installed(requirement: str, wheels: Path, uv: Uv, folder: Path) -> Path:
    python = folder / "venv" / "bin" / "python"
    uv("venv", "--no-project", str(folder / "venv"), cwd=folder)
    uv("pip", "install", "--python", str(python), *pins_of(wheels), requirement, cwd=folder)
    return python


def _ask(python: Path, question: str) -> list[str]:
    result = subprocess.run([python, "-I", "-c", question], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    answer: list[str] = json.loads(result.stdout)
    return answer
