"""
Every distribution declares what it imports, and nothing else.
"""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import Distribution, distribution_of, distributions

ALL = distributions()
SIBLINGS = {item.name for item in ALL}
WRITTEN = [item for item in ALL if f"{item.package}.plugin" in {module.name for module in item.modules}]


@pytest.mark.parametrize("distribution", ALL, ids=lambda item: item.name)
def test_distribution_declares_what_it_imports(distribution: Distribution) -> None:
    """
    No import works only because something else happens to be installed.
    """
    assert set() == _imported(distribution) - _declared(distribution)


@pytest.mark.parametrize("distribution", WRITTEN, ids=lambda item: item.name)
def test_distribution_imports_what_it_declares(distribution: Distribution) -> None:
    """
    Nothing is installed for nothing. What an extra of remora names is a sibling, a backend, or pytest.
    """
    extras = SIBLINGS | {"trio", "pytest"} if distribution.name == "remora" else set()

    assert set() == _declared(distribution) - _imported(distribution) - extras


@pytest.mark.parametrize("distribution", ALL, ids=lambda item: item.name)
def test_distribution_has_one_entry_point_named_plugin(distribution: Distribution) -> None:
    """
    An extension is found through `remora_x.plugin`.
    """
    points: dict[str, dict[str, str]] = distribution.project["entry-points"]  # type: ignore[assignment]

    assert list(points["remora"].values()) == [f"{distribution.package}.plugin"]


def _declared(distribution: Distribution) -> set[str]:
    names = {re.split(r"[^A-Za-z0-9._-]", item)[0].lower() for item in distribution.requirements}
    return names - {distribution.name}


def _imported(distribution: Distribution) -> set[str]:
    foreign = {item.target for module in distribution.modules for item in module.imports if not item.is_stdlib}
    return {distribution_of(target) for target in foreign} - {distribution.name}
