"""
The entry point of this distribution: the transport `exec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Literal

from remora.config import ConnectionConfig, LimitsConfig, SecurityConfig
from remora.hookspecs import hookimpl
from remora.specs import TransportSpec
from remora.values import Count, Grace, Limits, dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora.protocols import Transport

Descriptor = Annotated[int, Limits(3, is_whole=True)]
"""The number of a file descriptor other than those of the standard streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecOptions:
    """
    How a program is started, called and ended.

    Attributes:
        name: The plugin's name; its log records go to the logger `remora.plugin.NAME`.
        protocol: The protocol over its pipes: "ttrpc", "jsonl" or "oneshot".
        executable: The program, instead of the one that the endpoint names.
        args: Its arguments.
        env: Environment variables that it gets in addition to the short allow-list (see `_command`).
        work_dir: Its working directory; the host's own when empty.
        connection: Its `connection_timeout` limits the start.
        max_message_size: The largest message in either direction, in bytes.
        stop_grace: Seconds between end of input and SIGTERM; none for a program that has closed its output.
        term_grace: Seconds between SIGTERM and SIGKILL.
        inherit_env: Names of further environment variables of the host that it gets.
        pass_fds: Descriptors of the host, open when the program starts, that it gets under the same numbers.
        security: The `[security]` table: what may be started, and how it is confined.
        limits: What its processes may use, instead of the limits in `[security]`.
        sandbox: "bwrap" or "none", instead of what `[security]` says.
        sandbox_paths: Further paths that it can read inside the sandbox.
        sandbox_network: Whether the host's network is available inside the sandbox.
        start_method: "spawn" to execute the program, or "forkserver" to have a fork of its Python interpreter run it.
        preload: Modules that this interpreter imports before it forks.
    """

    name: str = "plugin"
    protocol: str = "ttrpc"
    executable: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    work_dir: str = ""
    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    max_message_size: Count = 4 * 1024 * 1024
    stop_grace: Grace = 5.0
    term_grace: Grace = 2.0
    inherit_env: tuple[str, ...] = ()
    pass_fds: tuple[Descriptor, ...] = ()
    security: SecurityConfig = field(default_factory=SecurityConfig)
    limits: LimitsConfig | None = None
    sandbox: Literal["", "none", "bwrap"] = ""
    sandbox_paths: tuple[str, ...] = ()
    sandbox_network: bool = False
    start_method: Literal["spawn", "forkserver"] = "spawn"
    preload: tuple[str, ...] = ()


def build(options: ExecOptions) -> Transport:
    """
    The transport for one plugin.
    """
    from remora_exec._transport import ExecTransport

    return ExecTransport(options)


@hookimpl
def remora_register_transports() -> Iterable[TransportSpec[ExecOptions]]:
    """
    Add `exec:PROGRAM` for hosts and `stdio:` for the program that is started.
    """
    return [
        TransportSpec(
            name="exec",
            schemes=("exec", "stdio"),
            options=ExecOptions,
            build=build,
            native_deadline=True,
            launches=True,
        )
    ]
