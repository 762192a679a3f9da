"""
Every example does what its README says: its commands are run, as processes, and print what stands there.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from remora import Manager
from tests.docs.pages import ROOT, Ports, blocks_of
from tests.docs.reader import Reader

EXAMPLES = ROOT / "examples"
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/README.md"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_readme_says_what_happens(folder: Path, anyio_backend: str, tmp_path: Path) -> None:
    """
    Followed from top to bottom, in a copy whose ports are free.
    """
    ports = Ports()
    for file in _files(folder):
        (tmp_path / file.name).write_text(ports(file.read_text()))
    commands = [block for block in blocks_of(tmp_path / "README.md") if block.language == "sh"]
    with Reader(tmp_path, backend=anyio_backend) as reader:
        for block in commands:
            reader.type(block)

    assert commands


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_example_has_a_plugin_a_host_and_a_configuration(folder: Path) -> None:
    """
    What a reader expects to find is there, and the configuration holds.
    """
    names = {file.name for file in _files(folder)}

    assert {"README.md", "host.py", "remora.toml"} < names
    assert {"plugin.py", "plugin.sh", "plugin.go", "plugin.ts"} & names
    assert Manager.from_file(folder / "remora.toml")


def test_every_example_is_in_the_list() -> None:
    """
    `examples/README.md` names them all.
    """
    assert set(re.findall(r"\((\w+)/README\.md\)", (EXAMPLES / "README.md").read_text())) == {
        folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()
    }


def test_calculator_serves_what_its_proto_file_says() -> None:
    """
    The names on the wire are those of the `.proto` file.
    """
    folder = EXAMPLES / "calculator_grpc"
    defined = re.findall(r"rpc (\w+)\(", (folder / "calculator.proto").read_text())

    assert re.findall(r'@method\("(\w+)"\)', (folder / "plugin.py").read_text()) == defined


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.is_file()]
