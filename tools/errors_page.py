"""
Write docs/errors.md from the docstrings of `remora.errors`.

    python tools/errors_page.py             write it
    python tools/errors_page.py --check     fail if it is not up to date
"""

from __future__ import annotations

import inspect
from textwrap import dedent
from typing import TYPE_CHECKING

from pages import attributes, main, paragraph, summary, table
from remora import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = ["error and code", "means", "what to do"]


def tree() -> str:
    """
    The tree of errors from the module's docstring.
    """
    drawn = (errors.__doc__ or "").partition("::\n\n")[2]
    return f"```text\n{dedent(drawn).strip()}\n```"


def families() -> Iterator[str]:
    """
    A heading and a table for each family.
    """
    for family in (errors.ConfigError, errors.TryLater, errors.GiveUp):
        rows = [_row(error) for error in _below(family)]
        meaning = "" if family in _below(family) else f"{summary(family)}\n\n"  # else its own row has it
        yield f"### {family.__name__}\n\n{meaning}{table(HEAD, rows)}"


def facts() -> str:
    """
    The attributes of errors: the root's, then those that only some errors have.
    """
    rows = [["every error", *_fact(name, text)] for name, text in attributes(errors.RemoraError).items()]
    for error in _below(errors.RemoraError):
        rows += [[f"`{error.__name__}`", *_fact(name, text)] for name, text in attributes(error).items()]
    return table(["error", "attribute", "meaning"], rows)


def codes() -> str:
    """
    A table of the canonical codes with their numbers.
    """
    return table(["code", "number on the wire"], [[f"`{code}`", str(code.number)] for code in errors.Code])


def _row(error: type[errors.RemoraError]) -> list[str]:
    is_own = error is errors.PluginError
    code = "the plugin's own" if is_own else f"`{error.code}`{', retryable' if error.retryable else ''}"
    return [f"`{error.__name__}` {code}", summary(error), _capital(paragraph(error, "What to do:"))]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _fact(name: str, text: str) -> list[str]:
    return [f"`{name}`", text]


def _below(error: type[errors.RemoraError]) -> list[type[errors.RemoraError]]:
    """
    An error and all its subclasses, in the order of the source, without families and the root.
    """
    classes = [found for found in vars(errors).values() if inspect.isclass(found) and issubclass(found, error)]
    return [found for found in classes if found not in (errors.RemoraError, errors.TryLater, errors.GiveUp)]


if __name__ == "__main__":
    main(
        "docs/errors.md",
        {"tree": tree(), "families": "\n\n".join(families()), "facts": facts(), "codes": codes()},
    )
