"""
What all tests share: every async test runs on every backend that is installed, or on the one that `--backend` names.

A test that needs no event loop has the same outcome on both, so the cells of trio leave it out with `--needs-backend`.
Properties are tried with their full number of examples on Python 3.11 only; the other cells ask for the profile
`fewer`, which tries a quarter of them, and leave out tests that are marked `long`. Where CI is set nothing may be
skipped, since everything that a test needs is installed there.
"""

from __future__ import annotations

import gc
import importlib.util
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from remora.testing import virtual_backends
from tests.fork_server import ForkServer

BACKENDS = ("asyncio", "trio")

settings.register_profile("untimed", deadline=None)  # a child of what Hypothesis has loaded: in CI, of its own `ci`
settings.load_profile("untimed")  # the machine may be busy
settings.register_profile("fewer", max_examples=25)


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Let a tox cell name its backend and its share of the tests.
    """
    parser.addoption("--backend", choices=BACKENDS, help="run async tests on this backend only")
    parser.addoption("--needs-backend", action="store_true", help="leave out what is the same on every backend")


def pytest_report_header(config: pytest.Config) -> str:
    """
    Say what this run covers.
    """
    rest = "left out, they run in the cells of asyncio" if config.getoption("--needs-backend") else "included"
    return f"backends: {', '.join(_backends(config))}; tests that need none: {rest}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Leave out what there is not on a backend; and what is the same on every one, where that is asked for.
    """
    backends = _backends(config)
    takes_all = not config.getoption("--needs-backend")
    kept = [item for item in items if not _is_elsewhere(item) and (takes_all or _needs_backend(item, backends))]
    config.hook.pytest_deselected(items=list(set(items).difference(kept)))
    items[:] = kept


def pytest_collection_finish() -> None:
    """
    Let the garbage collector look no more at what stays until the end, the modules and the tests, and less often at
    what the tests themselves keep: else a tenth of the time is spent on looking.
    """
    gc.collect()
    gc.freeze()
    youngest, young, _ = gc.get_threshold()
    gc.set_threshold(10 * youngest, young, 50)


def _is_elsewhere(item: pytest.Item) -> bool:
    """
    It shows what can happen on another backend only.
    """
    mark = item.get_closest_marker("only_on")
    return (
        mark is not None
        and isinstance(item, pytest.Function)
        and item.callspec.params["anyio_backend"] not in mark.args
    )


def _needs_backend(item: pytest.Item, backends: list[str]) -> bool:
    """
    It runs on one of these, is given the name of one, or says that it looks at what is installed.
    """
    names = {*getattr(item, "fixturenames", ()), *(mark.name for mark in item.iter_markers())}
    values = item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    is_given_one = any(isinstance(value, str) and value in backends for value in values)
    return is_given_one or bool({"anyio_backend", "every_cell"} & names)


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


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """
    Runs programs that use Remora at a fraction of what an interpreter costs.
    """
    with ForkServer() as server:
        yield server


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
