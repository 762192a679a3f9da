"""
`remora plan`: what a running host would do to move from one configuration to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remora import Manager
from remora.config import trace_config
from remora_cli._host import checking, make_manager
from remora_cli._options import command as remora_command
from remora_cli._table import make_table, print_table, styled

if TYPE_CHECKING:
    from remora import PluginPlan, ReloadPlan
    from remora_cli._output import Output

_HELP = """
Show what a reload would do.

OLD is the configuration that a host runs with, NEW the one that it is to run
with. For each plugin that changes, the smallest sufficient action is shown:
"retuned" changes settings in place and keeps all connections, "replaced"
opens new instances before it drains and closes the old ones. Nothing is
started.

\b
  remora plan remora.toml new.toml
"""

_STYLES = {"added": "green", "started": "green", "removed": "red", "stopped": "red", "replaced": "yellow"}


@remora_command("plan", help=_HELP)
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
def command(output: Output, old: str, new: str) -> None:
    """
    Compare and print.
    """
    wanted = trace_config(new, more=Manager)
    running = make_manager(trace_config(old, more=Manager))
    with checking(wanted):  # so that what is wrong is found in its own file
        plan = running.plan(wanted.config)
    if output.as_json:
        output.document(plan)
        return
    _print(output, plan)


def _print(output: Output, plan: ReloadPlan) -> None:
    changing = {name: each for name, each in plan.plugins.items() if each.action != "unchanged"}
    if plan.keys:
        output.line(f"changed outside of plugins: {', '.join(plan.keys)}")
    if changing:
        table = make_table("plugin", "action", "keys", "instances")
        for name, each in changing.items():
            action = styled(each.action, _STYLES.get(each.action, ""))
            table.add_row(name, action, "\n".join(each.keys), _instances(each))
        print_table(table)
    unchanged = len(plan.plugins) - len(changing)
    if unchanged or not (changing or plan.keys):
        output.line(f"{unchanged} unchanged" if plan.plugins else "nothing changes")


def _instances(plan: PluginPlan) -> str:
    marked = [("+", plan.opened), ("=", plan.kept), ("-", plan.closed)]
    return "\n".join(f"{mark} {name}" for mark, names in marked for name in names)
