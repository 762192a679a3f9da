"""
`remora run`: a host as a process, with endpoints to look at it.
"""

from __future__ import annotations

import logging
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from remora import Secret
from remora.config import read_credentials
from remora.errors import ConfigError
from remora_admin._host import SIGNALS, Host
from remora_admin._journal import JournalHandler, is_read_by_the_journal
from remora_cli.toolkit import backend as backend_option
from remora_cli.toolkit import command as remora_command
from remora_cli.toolkit import log_format as log_format_option
from remora_cli.toolkit import require_backend, show_all

if TYPE_CHECKING:
    from remora_cli.toolkit import Output

_HELP = """
Run a host as a process.

CONFIG is a file, or a directory of such files. The host starts, probes and
restarts its plugins. At HOST:PORT it serves / (a status page), /status
(JSON), /metrics, /healthz and /readyz.

\b
  remora run remora.toml --watch
  remora run /etc/remora --listen 127.0.0.1:9091

SIGHUP reloads the configuration, and so does a change of it with --watch; a
bad one changes nothing. SIGTERM and SIGINT end the host after the calls under
way, with the exit code 0; a second one ends it at once.
"""


@remora_command("run", help=_HELP)
@click.argument("config", type=click.Path())
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:9091",
    show_default=True,
    help="Where to serve the status page; port 0 takes a free port.",
)
@click.option("--watch", is_flag=True, help="Reload when the configuration changes.")
@click.option(
    "--admin-token-file",
    type=click.Path(exists=True, dir_okay=False),
    envvar="REMORA_ADMIN_TOKEN_FILE",
    show_envvar=True,
    help="A file with the token that allows restart, drain and reload.",
)
@log_format_option
@backend_option
def command(
    output: Output,
    config: str,
    listen: str,
    watch: bool,
    admin_token_file: str | None,
    log_format: str,
    backend: str,
) -> None:
    """
    Run until stopped.
    """
    require_backend(backend)
    if log_format == "text" and is_read_by_the_journal():
        logging.getLogger().handlers = [JournalHandler()]
    show_all(log_format)  # how much is said is for `log_level` to say
    host, port = _address(listen)
    token = None if admin_token_file is None else _secret_in(Path(admin_token_file))
    process = Host(config, host=host, port=port, watch=watch, admin_token=token)
    anyio.run(partial(process.run, partial(_announce, output)), backend=backend)
    _ignore_signals()


def _ignore_signals() -> None:
    """
    Let no signal make a failure of what has ended well, while the interpreter ends.
    """
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def _secret_in(file: Path) -> Secret:
    try:
        secret = Secret(read_credentials(file).decode("utf-8-sig").strip())
    except OSError as error:
        raise ConfigError(f"--admin-token-file: {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--admin-token-file: {file} is not UTF-8 text") from error
    if not secret:
        raise ConfigError(f"--admin-token-file: {file} is empty: anybody could send an empty token")
    return secret


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"--listen: expected HOST:PORT, got {listen!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _announce(output: Output, url: str, plugins: list[str]) -> None:
    with output.announcing():
        if output.as_json:
            output.document({"url": url, "plugins": plugins})
        else:
            output.line(f"{len(plugins)} plugin{'' if len(plugins) == 1 else 's'}; see {url}")
