"""
Paths of sockets: in endpoints, and as short as the system wants them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from remora import ConfigError, Endpoint
from remora_unix._address import path_of, short_path, socket_of


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("unix:///run/x.sock", "/run/x.sock"),
        ("unix:/run/x.sock", "/run/x.sock"),
        ("UNIX:/run/../x", "/x"),
        ("unix:x.sock", "{here}/x.sock"),
        ("unix:./@x", "{here}/@x"),
        ("unix:./:x", "{here}/:x"),
        ("unix:a:b@c", "{here}/a:b@c"),
    ],
)
def test_an_endpoint_names_a_path(url: str, path: str) -> None:
    """
    Relative ones count from the working directory.
    """
    assert path.format(here=os.getcwd()) == path_of(Endpoint(url)) == socket_of(Endpoint(url))


@pytest.mark.parametrize("url", ["unix:", "UNIX:"])
def test_the_bare_scheme_names_none(url: str) -> None:
    """
    It can be served, not called.
    """
    assert "" == path_of(Endpoint(url))
    with pytest.raises(ConfigError, match="the path of the socket is missing"):
        socket_of(Endpoint(url))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("unix://run/x.sock", "after three slashes"),
        ("unix:/run/", "does not name a file"),
        ("unix:a\0b", "does not name a file"),
        ("unix::x", "has two colons"),
        ("unix:@x", "abstract sockets are not supported"),
        ("unix:///@x/", "does not name a file"),
    ],
)
def test_what_names_no_file_is_refused(url: str, problem: str) -> None:
    """
    With what to write instead.
    """
    with pytest.raises(ConfigError, match=problem):
        path_of(Endpoint(url))


def test_a_path_of_107_bytes_is_short_and_a_longer_one_leads_through_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A letter may have several bytes. The directory is closed again.
    """
    monkeypatch.chdir(tmp_path)
    Path("d" * 100).mkdir()
    longest, longer = f"{'d' * 100}/xxxxxx", f"{'d' * 100}/xxxxxä"
    Path(longer).touch()

    with short_path(longest) as short:
        assert longest == short
    with short_path(longer) as short:
        assert len(os.fsencode(short)) < 107
        assert os.path.samefile(longer, short)
    assert not os.path.exists(short)


def test_a_name_that_fits_beside_an_open_directory_is_short(tmp_path: Path) -> None:
    """
    It leads there even if the path could stand for itself.
    """
    directory = os.open(tmp_path, os.O_PATH)
    room = 107 - len(f"/proc/self/fd/{directory}/")
    try:
        with short_path("/elsewhere/x", directory) as short:
            assert f"/proc/self/fd/{directory}/x" == short
        with short_path(f"/elsewhere/{'x' * room}", directory) as short:
            assert 107 == len(short)
        with pytest.raises(ConfigError, match=f"may have 107 bytes on this system, and this has {room + 12}"):
            short_path(f"/elsewhere/{'x' * (room + 1)}", directory).__enter__()
    finally:
        os.close(directory)
