"""
The examples that the documentation of the hooks shows keep the contract of their kind.
"""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from remora import AccessConfig, ConfigError, Secret
from remora.testing import check_auth_method, examine
from tests.architecture.sources import ROOT

pytestmark = pytest.mark.anyio

KINDS = {
    "balancer": "remora_register_balancers",
    "codec": "remora_register_codecs",
    "exporter": "remora_register_metric_exporters",
    "interceptor": "remora_register_interceptors",
    "resolver": "remora_register_resolvers",
}
"""The example of a transport leaves out the transport; that of docs/extensions.md is tested with its page."""


@pytest.mark.parametrize("kind", KINDS)
async def test_the_example_keeps_its_contract(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> None:
    """
    What a reader copies passes `remora conformance`.
    """
    monkeypatch.chdir(tmp_path)  # the exporter writes a file there
    findings = await examine(kind, _spec(KINDS[kind], tmp_path))

    assert [] == [finding for finding in findings if finding.problem]


async def test_the_example_of_an_auth_method_keeps_its_contract_on_both_sides(
    tmp_path: Path, anyio_backend: str
) -> None:
    """
    It knows whom it has given a ticket, and nobody else; not even where no ticket is configured.
    """
    spec = _spec("remora_register_auth_methods", tmp_path)
    token = Secret("t")

    assert 8 == len(await check_auth_method(spec, spec.options(token=token), access=AccessConfig(token=token)))
    with pytest.raises(ConfigError, match="needs a token"):
        spec.accept(AccessConfig())


def _spec(hook: str, place: Path) -> Any:
    page = (ROOT / "docs" / "hooks" / f"{hook}.md").read_text()
    (code,) = re.findall(r"(?s)```python\n(.*?)```\n", page)
    (place / "plugin.py").write_text(code)
    (spec,) = runpy.run_path(str(place / "plugin.py"))[hook]()
    return spec
