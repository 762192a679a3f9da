"""
A release, rehearsed: the tree is changed, the archives are checked, published to an index and installed from there.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, Distribution, distributions
from tests.packaging import index
from tests.packaging.conftest import Uv
from tools.release import current_version, projects

OURS = [item for item in distributions() if item.name.startswith("remora")]
VERSION = str(current_version(ROOT))

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """
    A copy of what is in git or about to be.
    """
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def test_tree_becomes_a_release(tree: Path) -> None:
    """
    One new version everywhere, every fragment in the changelog and none left; the same version twice is refused.
    """
    fragments = [" ".join(path.read_text().split()[:6]) for path in (tree / "changelog.d").glob("*.*.md")]
    _release(tree, "97.1.0")
    changelog = (tree / "CHANGELOG.md").read_text()

    assert fragments
    assert "## 97.1.0 (" in changelog
    assert [] == [words for words in fragments if words not in " ".join(changelog.split())]
    assert {"README.md", "template.md.jinja"} == {path.name for path in (tree / "changelog.d").iterdir()}
    for project in projects(tree):
        text = project.read_text()
        assert tomllib.loads(text)["project"]["version"] == "97.1.0"
        assert f"~={VERSION}" not in text
    with pytest.raises(subprocess.CalledProcessError) as caught:
        _release(tree, "97.1.0")
    assert "97.1.0 does not come after 97.1.0" in caught.value.stderr


def _release(tree: Path, version: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / "release.py"), version, "--tree", str(tree)]
    subprocess.run(command, check=True, capture_output=True, text=True)


def test_every_archive_is_there_and_has_good_metadata(built: Path) -> None:
    """
    Two of each distribution, and their descriptions can be shown.
    """
    archives = sorted(built.glob("*.whl")) + sorted(built.glob("*.tar.gz"))
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, archives)]
    checked = subprocess.run(command, capture_output=True, text=True)

    assert len(archives) == 2 * len(OURS)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("distribution", OURS, ids=lambda item: item.name)
def test_source_archive_holds_one_distribution(distribution: Distribution, built: Path) -> None:
    """
    Its source, its licence and its words; nothing of its siblings, no caches.
    """
    with tarfile.open(built / f"{distribution.package}-{VERSION}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO", f"src/{distribution.package}/py.typed"} <= names
    assert {name.split("/")[1] for name in names if name.startswith("src/")} == distribution.packages
    assert not any("__pycache__" in name or name.startswith("tests") for name in names)


def test_what_is_published_can_be_installed(built: Path, uv: Uv, tmp_path: Path) -> None:
    """
    From an index by name and version, as a user does it after a release.
    """
    archives = [path for path in built.iterdir() if path.suffix in {".whl", ".gz"}]
    python = tmp_path / "venv" / "bin" / "python"
    uv("venv", "--no-project", str(tmp_path / "venv"), cwd=tmp_path)
    with index.serving() as (address, held):
        who = ["--username", "u", "--password", "p"]
        uv("publish", "--publish-url", f"{address}/", *who, *map(str, archives), cwd=tmp_path)
        places = ["--index", f"{address}/simple/", "--constraints", str(ROOT / "constraints.txt")]
        uv("pip", "install", "--python", str(python), *places, f"remora[cli,unix,exec]=={VERSION}", cwd=tmp_path)
    said = subprocess.run([python.with_name("remora"), "--version"], capture_output=True, text=True, check=True).stdout

    assert held == {path.name: path.read_bytes() for path in archives}
    assert said.startswith(f"remora {VERSION} ")
