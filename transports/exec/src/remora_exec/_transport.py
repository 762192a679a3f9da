"""
The transport: programs are started for hosts, and serve their own standard input and output.

A process does one of the two. Each half is loaded only when it is used, so that programs start quickly.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from remora.errors import ConfigError
from remora.values import check_limits
from remora_exec._wires import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

    from remora.protocols import Channel, Dispatch, Listener
    from remora.types import Endpoint, Inspection
    from remora_exec._notices import Notices
    from remora_exec._wires._stdio import Streams
    from remora_exec.plugin import ExecOptions


class ExecTransport:
    """
    Carries calls to child processes.

    Raises:
        ConfigError: There is no such protocol, a limit cannot be set, or two options exclude each other.
    """

    def __init__(self, options: ExecOptions) -> None:
        if options.protocol not in PROTOCOLS:
            raise ConfigError(f"protocol {options.protocol!r} is none of {', '.join(PROTOCOLS)}")
        try:
            check_limits(options.limits or options.security.limits)
        except ValueError as error:
            raise ConfigError(f"limits.{error}") from error
        _require_harmony(options)
        self._options = options
        self._notices: Notices | None = None
        self._streams: Streams | None = None

    def open(self, endpoint: Endpoint, /) -> AbstractAsyncContextManager[Channel]:
        """
        Start the program of an endpoint; leaving the context ends it and all processes that it started.
        """
        from remora_exec._launch import open_program
        from remora_exec._notices import Notices

        self._notices = self._notices or Notices()
        return open_program(endpoint, self._options, self._notices)

    def inspect(self, endpoint: Endpoint, /) -> Inspection:
        """
        The program that would be started for an endpoint, and under which measures.
        """
        from remora_exec._launch import inspect_program

        return inspect_program(endpoint, self._options)

    @contextmanager
    def preparing(self, endpoint: Endpoint, /) -> Iterator[None]:
        """
        Keep this process's own standard input and output for the host, before anybody writes there.
        """
        from remora_exec._wires._stdio import claimed

        with claimed(endpoint, self._options) as streams:
            self._streams = streams
            yield

    def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AbstractAsyncContextManager[Listener]:
        """
        Serve this process's own standard input and output.
        """
        from remora_exec._wires._stdio import claim_and_listen, listen_stdio

        if self._streams is None:
            return claim_and_listen(endpoint, dispatch, self._options)
        return listen_stdio(self._streams, dispatch, self._options)


def _require_harmony(options: ExecOptions) -> None:
    if options.start_method != "forkserver":
        if options.preload:
            raise ConfigError('preload: only with start_method = "forkserver"')
    elif (options.sandbox or options.security.sandbox) == "bwrap":
        raise ConfigError('start_method = "forkserver" cannot be combined with sandbox = "bwrap"')
