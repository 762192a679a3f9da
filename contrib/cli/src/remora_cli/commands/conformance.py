"""
`remora conformance`: an extension against the contract of its kind, claim by claim.
"""

from __future__ import annotations

import inspect
import logging
import tomllib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from remora import TransportSpec
from remora.errors import ConfigError
from remora.testing import CONTRACTS, examine
from remora_cli._errors import FAILED
from remora_cli._options import backend as backend_option
from remora_cli._options import command as remora_command
from remora_cli._run import run
from remora_cli._targets import find_target, make_object, parse_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora.testing import Finding
    from remora_cli._output import Output

_HELP = """
Check an extension against the contract of its kind.

TARGET is MODULE:OBJECT: a spec, a function that returns specs (a hook), or
the class of a transport that is made without arguments. The extension is
built with its default options and those that --option gives; a VALUE is
written as in TOML, but text needs no quotes. A claim that is not about this
extension has a dash and the reason. The exit code is 1 when a claim of the
contract does not hold.

\b
  remora conformance transport acme_tcp.plugin:remora_register_transports
  remora conformance transport my_module:MyTransport --scheme my
  remora conformance balancer my_module:spec
  remora conformance exporter acme.plugin:spec --option port=9099
"""


@dataclass(frozen=True)
class _NoOptions:
    """
    Nothing to say.
    """


@remora_command("conformance", help=_HELP)
@click.argument("kind", type=click.Choice(sorted(CONTRACTS)))
@click.argument("target", callback=lambda context, param, value: parse_targets(context, param, [value])[0])
@click.option("--scheme", metavar="NAME", help="The URL scheme of a transport's class; by default its name.")
@click.option("--only", metavar="NAME", help="The one spec to check, if TARGET gives several.")
@click.option("--option", "options", metavar="KEY=VALUE", multiple=True, help="An option to build it with; repeatable.")
@backend_option
def command(
    output: Output,
    kind: str,
    target: tuple[str, str],
    scheme: str | None,
    only: str | None,
    options: tuple[str, ...],
    backend: str,
) -> None:
    """
    Check and report.
    """
    logging.getLogger("remora").setLevel(logging.CRITICAL)  # some claims are about what fails
    where = ":".join(target)
    specs = _named(_specs(kind, find_target(*target), where, scheme), where, only)
    values = dict(map(_value, options)) or None
    found = {spec.name: run(partial(examine, kind, spec, values), backend=backend) for spec in specs}
    is_broken = any(finding.problem for findings in found.values() for finding in findings)
    if output.as_json:
        output.document({"kind": kind, "conforms": not is_broken, "findings": found})
    else:
        _print(output, kind, found)
    if is_broken:
        click.get_current_context().exit(FAILED)


def _print(output: Output, kind: str, found: dict[str, list[Finding]]) -> None:
    for name, findings in found.items():
        output.line(f"{kind} {name}")
        for finding in findings:
            output.line(f"  {_verdict(finding)}  {finding.claim}")
            if why := finding.problem or finding.skipped:
                output.line(f"          {why}")
        checked = [finding for finding in findings if not finding.skipped]
        kept = sum(not finding.problem for finding in checked)
        skipped = len(findings) - len(checked)
        output.line(f"{kept} of {len(checked)} claims hold{f'; {skipped} not checked' if skipped else ''}")


def _verdict(finding: Finding) -> str:
    return "FAILED" if finding.problem else "-     " if finding.skipped else "ok    "


def _value(text: str) -> tuple[str, object]:
    """
    One option, as the configuration would say it.
    """
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise click.BadParameter(f"{text!r} is not of the form KEY=VALUE", param_hint="'--option'")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _named(specs: Sequence[Any], where: str, only: str | None) -> Sequence[Any]:
    chosen = [spec for spec in specs if only in (None, spec.name)]
    if not chosen:
        raise ConfigError(f"{where} has no {only!r}; there are: {', '.join(spec.name for spec in specs)}")
    return chosen


def _specs(kind: str, found: object, where: str, scheme: str | None) -> Sequence[Any]:
    """
    The specs that a target stands for.
    """
    expected, _ = CONTRACTS[kind]
    if inspect.isclass(found) and kind == "transport" and hasattr(found, "open"):
        make_object(found, where)  # else every claim would fail for that
        return [_spec_of(found, scheme)]
    made = make_object(found, where) if inspect.isroutine(found) else found
    specs = list(made) if isinstance(made, list | tuple) else [made]
    if not specs or not all(isinstance(each, expected) for each in specs):
        raise ConfigError(f"{where} is neither a {expected.__name__} nor a function that returns some")
    return specs


def _spec_of(transport: type, scheme: str | None) -> TransportSpec[_NoOptions]:
    name = scheme or transport.__name__.removesuffix("Transport").lower()
    return TransportSpec(name=name, schemes=(name,), options=_NoOptions, build=lambda _: transport())
