"""
What all tests share: every async test runs on every backend that is installed, or on the one that `--backend` names.
"""

from __future__ import annotations

import importlib.util

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Let a tox cell name its backend.
    """
    parser.addoption("--backend", choices=["asyncio", "trio"], help="run async tests on this backend only")


@pytest.fixture(scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """
    The backend on which a test runs; it stands in for anyio's own fixture, which brings its own list.
    """
    backend: str = request.param
    return backend


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    Run what asks for `anyio_backend` once per backend.
    """
    if "anyio_backend" in metafunc.fixturenames:
        metafunc.parametrize("anyio_backend", _backends(metafunc.config), indirect=True, scope="module")


def _backends(config: pytest.Config) -> list[str]:
    named: str | None = config.getoption("--backend")
    installed = ["asyncio", *(["trio"] if importlib.util.find_spec("trio") else [])]
    return [named] if named else installed
