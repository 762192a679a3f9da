"""
The command `remora` itself: a group whose commands come from extensions, each built when it is used.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING

import click

from remora.errors import ExtensionError
from remora.extensions import commands
from remora_cli._options import COMMON
from remora_cli._output import Output

if TYPE_CHECKING:
    from remora.specs import CommandSpec

_HELP = """
Out-of-process plugins for Python: serve them, call them, operate them.
"""

_EPILOG = """
\b
Exit codes:
  0    success
  1    a plugin, a call or a check failed
  2    the command line is wrong
  3    the configuration or the installation is wrong
  130  interrupted

\b
An error is one line on standard error; --debug shows the traceback.
With --json, results and errors are JSON on standard output.
"""

_ELSEWHERE = {"run": "admin", "top": "admin"}
"""The commands that other extras bring: who types one gets to know which extra is missing."""


class RemoraGroup(click.Group):
    """
    A group that knows its commands by their specs.
    """

    @cached_property
    def specs(self) -> dict[str, CommandSpec]:
        """
        The commands of all extensions that could be loaded.
        """
        return {spec.name: spec for spec in commands()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """
        The names, without building anything.
        """
        return sorted(self.specs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """
        The command of a name.

        Raises:
            ExtensionError: Its extension cannot build it.
        """
        spec = self.specs.get(cmd_name)
        if spec is None:
            return None
        built = spec.build()
        if not isinstance(built, click.Command):
            raise ExtensionError(
                f"the command {cmd_name!r} was built as {type(built).__name__}, not as a click.Command"
            )
        return built

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """
        The command that is meant; a misspelt one is told what it may have been.
        """
        if args[0] in _ELSEWHERE and args[0] not in self.specs and not ctx.resilient_parsing:
            ctx.fail(f'No such command {args[0]!r}; it comes with pip install "remora[{_ELSEWHERE[args[0]]}]"')
        meant = get_close_matches(args[0], self.specs, n=1)
        if meant and args[0] not in self.specs and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {meant[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """
        Write the list of commands from their specs.
        """
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.specs[name].help) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> None:
        """
        Run a command; what its function returns is no exit code.
        """
        super().invoke(ctx)


def _show_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        import platform
        from importlib.metadata import version

        output = context.ensure_object(Output)
        facts = {"remora": version("remora"), "python": platform.python_version()}
        if output.as_json:
            output.document(facts)
        else:
            output.line(f"remora {facts['remora']} (Python {facts['python']})")
        context.exit()


@click.group(cls=RemoraGroup, help=_HELP, epilog=_EPILOG)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=_show_version,
    help="Print the versions of Remora and Python.",
)
def cli() -> None:
    """
    The command line.
    """


cli.params += COMMON
