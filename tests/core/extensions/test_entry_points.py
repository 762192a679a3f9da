"""
What is installed, found without `importlib_metadata` and by it: the same.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

import importlib_metadata
import pytest

from remora._extensions._entry_points import FoundEntryPoint, entry_points

pytestmark = pytest.mark.every_cell

TEXT = """
[other]
a = json

# not this one
[remora]
#no = json
 one=json:loads
two = json.decoder : JSONDecoder.decode [fast]
"""


def install(folder: Path, name: str, text: str | None = TEXT, *, metadata: str = "METADATA") -> None:
    """
    A folder of metadata.
    """
    info = folder / name
    info.mkdir(parents=True)
    if metadata:
        (info / metadata).write_text(f"Metadata-Version: 2.1\nName: {name.partition('-')[0]}\nVersion: 1\n")
    if text is not None:
        (info / "entry_points.txt").write_text(text)


def found(group: str = "remora") -> list[tuple[str, object, str]]:
    """
    What our own scan finds.
    """
    return sorted((each.name, each.load(), each.dist.name) for each in entry_points(group))


def known(group: str = "remora") -> list[tuple[str, object, str]]:
    """
    What the library knows.
    """
    every = importlib_metadata.entry_points(group=group)
    return sorted((each.name, each.load(), each.dist.name if each.dist else "") for each in every)


def test_all_that_is_installed_here_is_found() -> None:
    """
    By name, by what it stands for, and by its distribution.
    """
    every = entry_points("remora")

    assert all(isinstance(each, FoundEntryPoint) for each in every)
    assert sorted((each.name, each.dist.name) for each in every) == sorted(
        (each.name, each.dist.name) for each in importlib_metadata.entry_points(group="remora") if each.dist
    )


def test_what_stands_in_front_on_the_path_hides_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whatever the spelling of its name; of two in one place the one with metadata counts.
    """
    first, second = tmp_path / "first", tmp_path / "second"
    install(first, "acme_hidden-2.dist-info", text=None)
    install(first, "acme_egg.egg-info", metadata="PKG-INFO")
    install(first, "acme_left-1.dist-info", "[remora]\nleft = nowhere\n", metadata="")
    install(first, "acme_left-2.dist-info", "[remora]\nthree = json\n")
    install(second, "Acme.Hidden-1.dist-info", "[remora]\nhidden = nowhere\n")
    install(second, "acme_broken-1.dist-info", text=None)
    (second / "acme_broken-1.dist-info" / "entry_points.txt").write_bytes(b"\xff[remora]\n")
    monkeypatch.setattr(sys, "path", [str(first), str(tmp_path / "absent"), str(second), str(first)])

    assert ["one", "three", "two"] == [name for name, _, _ in found()]
    (second / "acme_broken-1.dist-info" / "entry_points.txt").unlink()  # which the library cannot read
    shutil.rmtree(first / "acme_left-1.dist-info")  # which it took for the other before its version 10
    assert known() == found()


def test_what_is_no_text_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    As Python does: many a program has put a `Path` there, and never noticed.
    """
    install(tmp_path / "first", "acme-1.dist-info")
    install(tmp_path / "second", "other-1.dist-info")
    monkeypatch.setattr(sys, "path", [tmp_path / "second", str(tmp_path / "first")])

    assert ["acme", "acme"] == [distribution for _, _, distribution in found()]


def test_archives_and_strangers_import_hooks_are_left_to_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What they hold is found as well.
    """
    archive = tmp_path / "some.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("acme_zip-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme-zip\nVersion: 1\n")
        file.writestr("acme_zip-1.dist-info/entry_points.txt", TEXT)
    install(tmp_path, "acme_hooked-1.dist-info", "[remora]\nhooked = json\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(archive)  # before all else: the library imports while it looks into an archive
        assert ["one", "two"] == [name for name, _, distribution in found() if distribution == "acme-zip"]

    class Finder:
        """
        An import hook that knows a distribution.
        """

        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            """
            No module.
            """

        def find_distributions(self, context: object = None) -> list[importlib_metadata.Distribution]:
            """
            The distribution.
            """
            return [importlib_metadata.Distribution.at(tmp_path / "acme_hooked-1.dist-info")]

    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert ["hooked"] == [name for name, _, _ in found()]
