"""
All distributions are released together, under one version.
"""

from __future__ import annotations

import pytest

from tests.architecture.sources import Distribution, distributions

ALL = distributions()
OURS = [item for item in ALL if item.name.startswith("remora")]


def test_all_distributions_have_one_version() -> None:
    """
    One version for all.
    """
    assert len({item.project["version"] for item in OURS}) == 1


@pytest.mark.parametrize("distribution", ALL, ids=lambda item: item.name)
def test_siblings_are_required_at_this_minor_version(distribution: Distribution) -> None:
    """
    An older core is never combined with a newer transport.
    """
    names = [item.name for item in OURS]
    siblings = [item for item in distribution.requirements if item.partition("~=")[0] in names]

    assert set(siblings) <= {f"{name}~={OURS[0].project['version']}" for name in names}


def test_every_distribution_can_be_had_as_an_extra_of_remora() -> None:
    """
    Nobody needs to know the names of the distributions.
    """
    core = next(item for item in OURS if item.name == "remora")
    extras: dict[str, list[str]] = core.project["optional-dependencies"]  # type: ignore[assignment]
    siblings = {item.name.removeprefix("remora-") for item in OURS if item is not core}

    assert siblings <= set(extras)
    assert set(extras["all"][0].removeprefix("remora[").rstrip("]").split(",")) == siblings | {"yaml", "watch", "fast"}


@pytest.mark.parametrize("distribution", ALL, ids=lambda item: item.name)
def test_distribution_is_typed_and_licensed(distribution: Distribution) -> None:
    """
    What every distribution's folder holds.
    """
    package = distribution.folder / "src" / distribution.package

    assert (package / "py.typed").exists()
    assert (distribution.folder / "README.md").exists()
    assert (distribution.folder / "LICENSE").exists()
    assert distribution.project["requires-python"] == ">=3.11"
