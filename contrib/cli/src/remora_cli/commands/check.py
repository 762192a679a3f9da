"""
`remora check`: whether a configuration holds, with what is installed, without starting anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remora import Manager
from remora.config import summary, trace_config, without_credentials
from remora.errors import ConfigError
from remora_cli._files import problem_of_audit_log, problems_of_files
from remora_cli._host import make_manager
from remora_cli._logs import heard
from remora_cli._options import command as remora_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from remora.config import ManagerConfig, PluginConfig, SecurityConfig
    from remora.inspection import Inspected
    from remora_cli._output import Output

_HELP = """
Check a configuration without starting anything.

CONFIG is a file in TOML, JSON or YAML, or a directory of such files. All
problems are reported at once, with file, line and key. Extensions that are
installed but broken are warnings, unless the configuration needs them. For
every program that would be started, a line says what protects the host from
it. Programs and files of certificates or tokens that are missing here, and an
audit log that cannot be written, are no errors, since the configuration may be
meant for another machine.

\b
  remora check remora.toml
"""


@remora_command("check", help=_HELP)
@click.argument("config", type=click.Path())
def command(output: Output, config: str) -> None:
    """
    Check and list.
    """
    with heard() as warnings:
        loaded = trace_config(config, more=Manager)
        manager = make_manager(loaded)  # which logs the extensions that are broken
    loaded, problems = loaded.with_manifests()
    if problems:
        raise ConfigError(summary(problems), problems=problems)
    programs = manager.inspect()
    files = {each.name: problems_of_files(each) for each in loaded.config.plugins.values() if each.enabled}
    of_security = _warnings_of_log(loaded.config.security) if programs else []
    warnings += of_security
    warnings += [f"plugins.{name}.{problem}" for name, problems in files.items() for problem in problems]
    if output.as_json:
        output.document(_report(loaded.config, programs, warnings))
        return
    for plugin in loaded.config.plugins.values():
        output.line(_describe(plugin))
        for line in _details(plugin.name, programs, files):
            output.line(f"  {line}")
    for warning in of_security:
        output.line(f"warning: {warning}")
    output.line(_verdict(programs, warnings))


def _warnings_of_log(security: SecurityConfig) -> list[str]:
    """
    Whether decisions about programs could be recorded here.
    """
    if not security.audit_log or not (problem := problem_of_audit_log(security.audit_log)):
        return []
    effect = "no program starts then" if security.policy == "strict" else "nothing is recorded then"
    return [f"security.audit_log: {security.audit_log!r} cannot be written here: {problem}; {effect}"]


def _details(plugin: str, programs: Sequence[Inspected], files: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """
    What is found about the programs and the files of a plugin.
    """
    for each in programs:
        if each.plugin == plugin:
            yield _protection(each)
            yield from (f"warning: {warning}" for warning in _warnings(each))
    yield from (f"warning: {problem}" for problem in files.get(plugin, ()))


def _verdict(programs: Sequence[Inspected], warnings: Sequence[str]) -> str:
    """
    The last line; what is missing here may well be there where the host runs, so that is no error of the configuration.
    """
    out = sum(each.inspection is None or each.inspection.outcome == "refused" for each in programs)
    if out:
        return f"ok, but {out} of {len(programs)} programs cannot be started here"
    return "ok, with warnings" if warnings or any(map(_warnings, programs)) else "ok"


def _warnings(program: Inspected) -> tuple[str, ...]:
    return program.inspection.warnings if program.inspection else ()


def _protection(program: Inspected) -> str:
    """
    What stands between a program and the host, in one line.
    """
    if program.inspection is None:
        return program.problem
    measures = [f"{name.replace('_', ' ')}: {state}" for name, state in program.inspection.measures.items()]
    reasons = "; ".join(program.inspection.reasons)
    outcome = [f"{program.inspection.outcome}: {reasons}"] if reasons else []
    return "; ".join([*outcome, *_found(program.endpoint, program.inspection.program), *measures])


def _found(endpoint: str, program: str) -> list[str]:
    """
    Where a program is that is named without a path: which "python" it is decides what the plugin can import.
    """
    return [] if "/" in endpoint else [f"program: {program}"]


def _report(config: ManagerConfig, programs: Sequence[Inspected], warnings: Sequence[str]) -> dict[str, object]:
    plugins = [
        {"name": each.name, "transport": _transport(each), "endpoints": _addresses(each), "enabled": each.enabled}
        for each in config.plugins.values()
    ]
    of_programs = [f"plugins.{each.plugin}: {warning}" for each in programs for warning in _warnings(each)]
    return {"ok": True, "plugins": plugins, "programs": programs, "warnings": [*warnings, *of_programs]}


def _describe(plugin: PluginConfig) -> str:
    state = "" if plugin.enabled else "  (disabled)"
    return f"{plugin.name}  {_transport(plugin)}  {' '.join(_addresses(plugin))}{state}"


def _addresses(plugin: PluginConfig) -> list[str]:
    named = [each.url for each in plugin.endpoints] or [plugin.endpoint]
    if plugin.resolver.method and not (any(named) or plugin.executable):
        return [f"by {plugin.resolver.method}"]
    return [without_credentials(each) for each in named if each] or [
        f"{plugin.transport or 'exec'}:{plugin.executable}"
    ]


def _transport(plugin: PluginConfig) -> str:
    """
    The configured name, or else the schemes that choose one.
    """
    if plugin.resolver.method and not (plugin.endpoint or plugin.endpoints or plugin.executable):
        return plugin.transport or "resolver"
    return plugin.transport or ",".join(dict.fromkeys(each.partition(":")[0].lower() for each in _addresses(plugin)))
