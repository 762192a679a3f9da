"""
The file manager of the examples stays in its directory.
"""

from __future__ import annotations

import os
import runpy
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.docs.pages import ROOT

Confined: Any = runpy.run_path(str(ROOT / "examples" / "files_unix" / "directory.py"))["Confined"]
NAMES = st.sampled_from(["a", "b", ".", "..", "", "link", "up", "secret", "/", "a\0"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """
    A directory with a way out of it, beside a secret.
    """
    (tmp_path / "secret").write_bytes(b"swordfish")
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "b").write_bytes(b"b")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    return root


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, max_size=5), act=st.sampled_from(["read", "write", "delete", "entries"]))
def test_no_path_leads_out(root: Path, names: list[str], act: str) -> None:
    """
    Whatever is asked for, the secret is neither seen nor touched, and nothing appears beside the root.
    """
    directory = Confined(str(root))
    result = None
    with suppress(OSError, ValueError):
        result = directory.write("/".join(names), b"w") if act == "write" else getattr(directory, act)("/".join(names))

    assert result != b"swordfish"
    assert "root" not in [getattr(entry, "name", "") for entry in result or [] if act == "entries"]
    assert (root.parent / "secret").read_bytes() == b"swordfish"
    assert sorted(os.listdir(root.parent)) == ["root", "secret"]


def test_what_is_written_is_read_and_listed(root: Path) -> None:
    """
    A shorter text leaves nothing of a longer one.
    """
    directory = Confined(str(root))
    directory.write("new/one/file", b"a longer text")
    directory.write("new/one/file", b"short")

    assert directory.read("new//one/./file") == b"short"
    assert [(entry.name, entry.kind, entry.size) for entry in directory.entries("new/one")] == [("file", "file", 5)]


@pytest.mark.parametrize("act", ["read", "write"])
def test_what_is_no_file_is_refused_at_once(root: Path, act: str) -> None:
    """
    A pipe would keep whoever opens it waiting for its other end.
    """
    os.mkfifo(root / "pipe")

    with pytest.raises(OSError, match=r"is not a file|No such device"):
        Confined(str(root)).read("pipe") if act == "read" else Confined(str(root)).write("pipe", b"")


def test_a_link_can_be_listed_and_removed_but_not_followed(root: Path) -> None:
    """
    Removing it leaves what it leads to.
    """
    directory = Confined(str(root))
    kinds = {entry.name: entry.kind for entry in directory.entries("")}
    with pytest.raises(PermissionError, match="symbolic link"):
        directory.read("link")
    directory.delete("link")

    assert (kinds["link"], kinds["a"], kinds["b"]) == ("link", "directory", "file")
    assert (root.parent / "secret").exists()
