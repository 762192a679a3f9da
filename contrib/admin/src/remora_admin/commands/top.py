"""
`remora top`: what the status page shows, in a terminal.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import click
import httpx

from remora.errors import Unavailable
from remora.serve import stopping_signals
from remora_admin._table import problem_lines, table_of
from remora_admin._top import Top
from remora_cli.toolkit import command as remora_command
from remora_cli.toolkit import print_table, run

if TYPE_CHECKING:
    from remora_cli.toolkit import Output

_HELP = """
Watch a running host in a terminal.

URL is what `remora run` prints when it starts, by default
http://127.0.0.1:9091/. On a terminal it shows what needs attention and a line
for each plugin, the worst first: Enter shows the instances of one, a those of
all, / filters, q quits. With --once or --json, or without a terminal, all of
it is printed once.
"""


@remora_command("top", help=_HELP)
@click.argument("url", default="http://127.0.0.1:9091/")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="How long to wait between two updates.",
)
@click.option("--once", is_flag=True, help="Print once and exit.")
def command(output: Output, url: str, interval: float, once: bool) -> None:
    """
    Ask and draw.
    """
    address = f"{url if '://' in url else f'http://{url}'}".rstrip("/") + "/status"
    found = run(lambda: _once(address))
    if output.as_json:
        output.document(found)
    elif once or not sys.stdout.isatty():
        print_table(*problem_lines(found), table_of(found))
    else:
        run(lambda: _watch(address, interval))


async def _once(address: str) -> dict[str, Any]:
    async with _client() as client:
        return await _ask(client, address)


async def _watch(address: str, interval: float) -> None:
    _end_with_terminal()
    async with _client() as client:
        await Top(lambda: _ask(client, address), interval).run_async()


def _end_with_terminal() -> None:
    """
    Leave SIGHUP to the system: Textual would try to give back the terminal that is gone, and may wait for it forever.
    """
    hangup = getattr(signal, "SIGHUP", None)
    if hangup in stopping_signals():
        signal.signal(hangup, signal.SIG_DFL)


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=5)


async def _ask(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    try:
        answer = await client.get(address)
        answer.raise_for_status()
        found = answer.json()
        if isinstance(found, dict) and "plugins" in found:
            return found
    except httpx.HTTPStatusError as error:
        raise Unavailable(f"{address} answers with status {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unavailable(f"no host answers at {address}: {error}") from error
    raise Unavailable(f"what answers at {address} is not a Remora host")
