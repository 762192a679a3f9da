"""
`remora top`: what the status page shows, in a terminal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio
import click
import httpx
from rich.console import Console
from rich.live import Live

from remora.errors import Unavailable
from remora_admin._table import table_of
from remora_cli.toolkit import command as remora_command
from remora_cli.toolkit import print_table, run

if TYPE_CHECKING:
    from remora_cli.toolkit import Output

_HELP = """
Watch a running host in a terminal.

URL is what `remora run` says when it starts; it can be left out where that is
http://127.0.0.1:9091/. On a terminal the table is drawn anew until you press
Ctrl-C; elsewhere, with --once or with --json it is printed once.
"""


@remora_command("top", help=_HELP, short_help="Watch a running host in a terminal.")
@click.argument("url", default="http://127.0.0.1:9091/")
@click.option(
    "--interval",
    metavar="S",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Print the table once, and end.")
def command(output: Output, url: str, interval: float, once: bool) -> None:
    """
    Ask and draw.
    """
    address = f"{url.rstrip('/')}/status"
    if output.as_json:
        output.document(run(lambda: _once(address)))
    elif once or not sys.stdout.isatty():
        print_table(table_of(run(lambda: _once(address)), None))
    else:
        run(lambda: _watch(address, interval))


async def _once(address: str) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        return await _ask(client, address)


async def _watch(address: str, interval: float) -> None:
    before = None
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        with Live(console=Console(), auto_refresh=False, screen=True) as live:
            while True:
                now = await _ask(client, address)
                live.update(table_of(now, before), refresh=True)
                before = now
                await anyio.sleep(interval)


async def _ask(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    try:
        answer = await client.get(address)
        answer.raise_for_status()
        found = answer.json()
        if isinstance(found, dict) and "plugins" in found:
            return found
    except httpx.HTTPStatusError as error:
        raise Unavailable(f"{address} answers {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unavailable(f"no host answers at {address}: {error}") from error
    raise Unavailable(f"what answers at {address} is no Remora host")
