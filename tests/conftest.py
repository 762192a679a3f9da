"""
What all tests share: every async test runs on every backend that is installed, or on the one that `--backend` names.
Where CI is set nothing may be skipped, since everything that a test needs is installed there.
"""

from __future__ import annotations

import importlib.util
import os

import pytest

from remora.testing import virtual_backends


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Let a tox cell name its backend.
    """
    parser.addoption("--backend", choices=["asyncio", "trio"], help="run async tests on this backend only")


@pytest.fixture(scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """
    The backend on which a test runs; it stands in for anyio's own fixture, which brings its own list.

    In a module with `VIRTUAL_TIME = True` its time is virtual.
    """
    if not getattr(request.module, "VIRTUAL_TIME", False):
        return request.param
    return next(backend for backend in virtual_backends() if backend[0] == request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    Run what asks for `anyio_backend` once per backend, and put the numbers of faults into the ids: `-k fault_30`.
    """
    if numbers := sorted({number for mark in metafunc.definition.iter_markers("fault") for number in mark.args}):
        metafunc.fixturenames.append("fault")
        metafunc.parametrize("fault", [numbers], ids=["-".join(f"fault_{number:02}" for number in numbers)])
    if "anyio_backend" in metafunc.fixturenames:
        metafunc.parametrize("anyio_backend", _backends(metafunc.config), indirect=True, scope="module")


def _backends(config: pytest.Config) -> list[str]:
    named: str | None = config.getoption("--backend")
    installed = ["asyncio", *(["trio"] if importlib.util.find_spec("trio") else [])]
    return [named] if named else installed


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """
    Fail a run in CI that has skipped something.
    """
    if _forbidden_skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """
    Say why a run without a failed test has failed; the reasons of the skips stand in the summary already.
    """
    if count := _forbidden_skips(terminalreporter.config):
        terminalreporter.write_line(f"CI: {count} skipped, and nothing may be skipped here", red=True)


def _forbidden_skips(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    in_ci = os.environ.get("CI", "").lower() in {"1", "true"}
    return len(reporter.stats.get("skipped", ())) if reporter and in_ci else 0
