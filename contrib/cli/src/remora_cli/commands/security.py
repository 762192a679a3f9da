"""
`remora security`: the allow-list of a configuration's programs, written and compared.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remora.config import trace_config
from remora.errors import ConfigError
from remora.security import AllowEntry, AllowList, parse_allow_list, render_allow_list
from remora.types import Inspection
from remora_cli._errors import CONFIGURATION
from remora_cli._host import make_manager
from remora_cli._options import COMMON
from remora_cli._options import command as remora_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora.inspection import Inspected
    from remora_cli._output import Output

_HELP = """
Pin the programs that a configuration starts, and verify them.
"""

_PIN = """
Write the hashes of all programs into the allow-list.

That is, of the programs that the configuration starts, into its allow-list or
into FILE. Inspect the programs first: what is installed now is what will be
allowed.

Entries of other plugins stay as they are, and so do the transport, the
endpoints and the size in entries that exist; comments are lost.

\b
  remora security pin remora.toml --output allow.toml
"""

_VERIFY = """
Show which programs would be refused.

Nothing is started. The exit code is 3 when one would be refused.

\b
  remora security verify remora.toml
"""

command: click.Group = click.Group("security", help=_HELP, params=[*COMMON])


@remora_command("pin", help=_PIN)
@click.argument("config", type=click.Path())
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="The allow-list to write, if not the configuration's.",
)
@click.option("--keep", is_flag=True, help="Keep the hashes that the list has, in addition to the new ones.")
def pin(output: Output, config: str, file: str | None, keep: bool) -> None:
    """
    Write the list.
    """
    loaded = trace_config(config)
    target = file or loaded.config.security.allow_list
    if not target:
        raise ConfigError("no allow-list to write: pass --output FILE, or set allow_list in [security]", source=config)
    found = make_manager(loaded).inspect()
    _require_readable(found)
    before = _present(target)
    after = _pinned(before, found, keep=keep)
    _write(target, render_allow_list(after, is_json=target.lower().endswith(".json")))
    _report_pins(output, target, found)


@remora_command("verify", help=_VERIFY)
@click.argument("config", type=click.Path())
def verify(output: Output, config: str) -> None:
    """
    Compare.
    """
    found = make_manager(trace_config(config)).inspect()
    is_good = all(_seen(each).outcome == "allowed" for each in found)
    if output.as_json:
        output.document({"ok": is_good, "programs": found})
    else:
        for each in found:
            output.line(_line(each))
    if not is_good:
        click.get_current_context().exit(CONFIGURATION)


command.add_command(pin)
command.add_command(verify)


def _require_readable(found: Sequence[Inspected]) -> None:
    problems = [f"plugins.{each.plugin}: {_problem(each)}" for each in found if not _seen(each).sha256]
    if problems:
        raise ConfigError("; ".join(problems), problems=problems)


def _seen(one: Inspected) -> Inspection:
    """
    What the transport says; a program that it says nothing of does not start either.
    """
    return one.inspection or Inspection(program=one.endpoint, sha256="", size=0, outcome="refused")


def _problem(one: Inspected) -> str:
    return one.problem or "; ".join(_seen(one).reasons)


def _line(one: Inspected) -> str:
    seen = _seen(one)
    words = _problem(one) or seen.measures.get("hash", "")
    return f"{one.plugin}  {seen.outcome}  {seen.program}" + (f"  ({words})" if words else "")


def _present(target: str) -> AllowList:
    try:
        text = Path(target).read_text(encoding="utf-8")
        return parse_allow_list(text, is_json=target.lower().endswith(".json"))
    except FileNotFoundError:
        return AllowList()
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror or error}", source=target) from error
    except ValueError as error:
        raise ConfigError(f"{target}: it is not UTF-8", source=target) from error
    except ConfigError as error:
        error.found_in(target)
        raise


def _pinned(before: AllowList, found: Sequence[Inspected], *, keep: bool) -> AllowList:
    plugins = dict(before.plugins)
    for name in dict.fromkeys(each.plugin for each in found):
        hashes = [_seen(each).sha256 for each in found if each.plugin == name]
        entry = plugins.get(name, AllowEntry(sha256=()))
        plugins[name] = replace(entry, sha256=tuple(dict.fromkeys([*(entry.sha256 if keep else ()), *hashes])))
    return AllowList(plugins)


def _write(target: str, text: str) -> None:
    """
    Replace the file, or the one that a link leads to, in one step, so that no host ever reads half a list.
    """
    place = os.path.realpath(target)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(place), prefix=".remora-")
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror or error}", source=target) from error
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)
        os.replace(temporary, place)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise ConfigError(f"{target}: {error.strerror or error}", source=target) from error


def _report_pins(output: Output, target: str, found: Sequence[Inspected]) -> None:
    if output.as_json:
        pins = [{"plugin": each.plugin, "sha256": _seen(each).sha256} for each in found]
        output.document({"allow_list": target, "pinned": pins})
        return
    for each in found:
        seen = _seen(each)
        output.line(f"{each.plugin}  {seen.sha256}  {seen.program}")
        if script := seen.measures.get("script"):
            output.line(f"  but it runs {script}")
    output.line(f"written to {target}")
