"""
What a configuration requires of a plugin's own version, such as `version = ">=1.2,<2"`.

What lives here: the comparison of versions. What must not: asking for one (see `_calls._handshake`).
"""

from __future__ import annotations

import re

_OPERATOR = re.compile(r"\s*[<>=!~]")
_PLAIN = re.compile(r"\s*[\w.+-]*\s*", re.ASCII)
_WILDCARD = re.compile(r"(?:.*\.)?[xX](?:\..*)?", re.DOTALL)


def is_requirement(version: str) -> bool:
    """
    Whether a `version` key is a requirement; without an operator it only states the version of a plugin that does not.
    """
    return bool(_OPERATOR.match(version))


def problem_of(version: str) -> str:
    """
    What is wrong with a `version` key; empty when nothing is.
    """
    is_sound = _is_specifier(version) if is_requirement(version) else _is_plain(version)
    return "" if is_sound else f'expected a version, or a requirement such as ">=1.2,<2", got {version!r}'


def _is_specifier(version: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(version)
    except InvalidSpecifier:
        return False
    return True


def _is_plain(version: str) -> bool:
    """
    Whether it can be the version of something. `^1.2` and `1.x` cannot: in other languages they are requirements.
    """
    return bool(_PLAIN.fullmatch(version)) and not _WILDCARD.fullmatch(version.strip())


def meets(version: str, requirement: str) -> bool:
    """
    Whether a version meets a requirement, by the rules of PEP 440; what is not a version by these meets none.
    """
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    try:
        found = Version(version)
    except ValueError:  # also of a number with more digits than Python reads
        return False
    return SpecifierSet(requirement).contains(found, prereleases=True)
