"""
`remora extensions`: what is installed, what each extension adds, and what is wrong with it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import click

from remora.extensions import installed
from remora_cli._errors import CONFIGURATION
from remora_cli._options import command as remora_command
from remora_cli._table import make_table, print_table, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora.extensions import InstalledExtension
    from remora_cli._output import Output

_HELP = """
List the installed extensions, and what is wrong with them.

For each, what it adds is listed. The exit code is 3 when one is broken or in
conflict with another. REMORA_DISABLE=NAME,NAME leaves extensions out.
"""

_STYLES = {"loaded": "green", "disabled": "dim", "broken": "red", "conflict": "red"}


@remora_command("extensions", help=_HELP)
def command(output: Output) -> None:
    """
    List all.
    """
    extensions = installed()
    if output.as_json:
        output.document(extensions)
    else:
        _print(extensions)
    if any(each.problem for each in extensions):
        click.get_current_context().exit(CONFIGURATION)


def _print(extensions: Sequence[InstalledExtension]) -> None:
    has_problems = any(each.problem for each in extensions)
    table = make_table("name", "distribution", "version", "state", "features", *(["problem"] if has_problems else []))
    for each in extensions:
        problem = [_reason(each)] if has_problems else []
        state = styled(each.state, _STYLES[each.state])
        table.add_row(each.name, each.distribution, each.version, state, _features(each.features), *problem)
    print_table(table)


def _reason(extension: InstalledExtension) -> str:
    """
    The problem, without what the other columns say.
    """
    about = f"extension {extension.name!r} of {extension.distribution} {extension.version} "
    return extension.problem.removeprefix(about)


def _features(features: Sequence[str]) -> str:
    """
    The names by kind, each kind on a line.
    """
    by_kind: dict[str, list[str]] = defaultdict(list)
    for feature in features:
        kind, _, name = feature.rpartition(" ")
        by_kind[kind].append(name)
    return "\n".join(f"{kind}: {', '.join(names)}" for kind, names in by_kind.items())
