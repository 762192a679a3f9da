"""
Where tests find what others use, too.
"""

from __future__ import annotations

import re

from tests.architecture.sources import ROOT

FROM_A_TEST = re.compile(r"^\s*(from tests\b.*\btest_\w+|import tests\b.*\.test_\w+)", re.MULTILINE)


def test_no_test_file_is_imported() -> None:
    """
    What several tests use stands in a module of its own, beside them or further up.
    """
    files = sorted((ROOT / "tests").rglob("*.py"))

    assert [file.name for file in files if FROM_A_TEST.search(file.read_text())] == []
