"""
A feature that is asked for, and that no extension provides: why that may be, and what to do about it.

What lives here: guesses. What must not: look-ups (see `_catalog`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from remora._frozen import dataclass
from remora.errors import ExtensionError, NotInstalled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from remora._extensions._feature import Origin

_BRINGS = re.compile(r"remora-([a-z]+)\b.*; extra == ['\"]\1['\"]")
"""A requirement that an extra named like the extension has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """
    A name that a catalogue does not have.

    Attributes:
        kind: What it should be the name of.
        name: The name.
        known: The names of that kind that there are.
        providers: The entry points of the extensions that they come from.
        broken: The errors of the extensions that could not be loaded, by the name of their entry point.
        disabled: The extensions that REMORA_DISABLE leaves out, by the name of their entry point.
    """

    kind: str
    name: str
    known: Sequence[str]
    providers: AbstractSet[str]
    broken: Mapping[str, ExtensionError]
    disabled: Mapping[str, Origin]

    def error(self) -> NotInstalled:
        """
        The error that says why, as far as it is known, and what to do.
        """
        meant = self._meant()
        extensions = self._extensions(is_misspelt=bool(meant))
        if unused := next(filter(None, map(self._why_unused, extensions)), ""):
            return NotInstalled(f'{self.kind} "{self.name}" cannot be used: {unused}')
        if extra := next((each for each in extensions if each in _extras()), ""):
            return NotInstalled(f'{self.kind} "{self.name}" is not installed: pip install "remora[{extra}]"')
        hint = f' (did you mean "{meant}"?)' if meant else ""
        installed = ", ".join(sorted(self.known)) or "none"
        suspects = "" if meant else self._suspects()
        return NotInstalled(
            f'{self.kind} "{self.name}" is provided by no installed extension{hint}; installed: {installed}{suspects}'
        )

    def _meant(self) -> str:
        """
        The name that was probably meant; empty if there is none like it.
        """
        from difflib import get_close_matches  # only messages need it

        found = get_close_matches(self.name.lower(), [*self.known, *(_extras() - self.providers)], n=1)
        return found[0] if found else ""

    def _extensions(self, *, is_misspelt: bool) -> list[str]:
        """
        What an extension that provides it would be called: like the feature itself (`grpc` provides `grpcs`), or like
        its kind (`balancers`, `auth`).
        """
        like_itself = [self.name, self.name.removesuffix("s")]
        if is_misspelt:
            return like_itself
        like_its_kind = (f"{self.kind}s", self.kind.partition(" ")[0])
        return like_itself + [each for each in like_its_kind if each not in self.providers]

    def _why_unused(self, entry_point: str) -> str:
        """
        Why an installed extension is not used; empty when it is used, or not installed.
        """
        if entry_point in self.broken:
            return str(self.broken[entry_point])
        if entry_point in self.disabled:
            return f"{self.disabled[entry_point]} is in REMORA_DISABLE"
        return ""

    def _suspects(self) -> str:
        """
        The extensions that are not used, any of which may provide it.
        """
        broken = "".join(f"; {problem}" for problem in self.broken.values())
        return broken + "".join(f"; {origin} is in REMORA_DISABLE" for origin in self.disabled.values())


@cache
def _extras() -> frozenset[str]:
    """
    The extras of the distribution `remora` that bring an extension, as its metadata says; `yaml` and `all` do not.
    """
    import importlib_metadata  # only messages need it

    return frozenset(found[1] for each in importlib_metadata.requires("remora") or () if (found := _BRINGS.match(each)))
