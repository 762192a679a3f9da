"""
The corpus of the fuzzers keeps its claims without a fuzzer as well, and so does any small text.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.targets import TARGETS
from tests.architecture.sources import ROOT

CORPUS = sorted((ROOT / "fuzz" / "corpus").glob("*/*"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_corpus_keeps_its_claims(path) -> None:
    """
    What once broke a parser stays here.
    """
    TARGETS[path.parent.name](path.read_bytes())


def test_every_parser_has_a_corpus() -> None:
    """
    And no corpus is without its parser.
    """
    assert {path.parent.name for path in CORPUS} == set(TARGETS)


@pytest.mark.fault(32)
@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_keep_the_claims(name: str) -> None:
    """
    A first look for environments without a fuzzer.
    """

    @given(st.binary(max_size=200))
    def holds(data: bytes) -> None:
        TARGETS[name](data)

    holds()
