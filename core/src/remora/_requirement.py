"""
What a configuration requires of a plugin's own version, such as `version = ">=1.2,<2"`.

What lives here: the comparison of versions. What must not: asking for one (see `_calls._handshake`).
"""

from __future__ import annotations

import re

_OPERATOR = re.compile(r"\s*[<>=!~]")


def is_requirement(version: str) -> bool:
    """
    Whether a `version` key is a requirement; without an operator it only states the version of a plugin that does not.
    """
    return bool(_OPERATOR.match(version))


def problem_of(version: str) -> str:
    """
    What is wrong with a `version` key; empty when nothing is.
    """
    if not is_requirement(version):
        return ""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(version)
    except InvalidSpecifier:
        return f'expected a version, or a requirement such as ">=1.2,<2", got {version!r}'
    return ""


def meets(version: str, requirement: str) -> bool:
    """
    Whether a version meets a requirement, by the rules of PEP 440; what is not a version by these meets none.
    """
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(requirement).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False
