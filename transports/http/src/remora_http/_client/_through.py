"""
Calls through an httpx transport of the application's own.

What lives here: the extension that offers it. What must not: calls (see `_httpx`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora.errors import ConfigError
from remora.hookspecs import hookimpl
from remora.specs import TransportSpec
from remora_http._transport import HttpTransport
from remora_http.plugin import Options, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import httpx

    from remora.protocols import Transport


def through(make: Callable[[], httpx.AsyncBaseTransport], *, name: str = "httpx") -> object:
    """
    An extension with a transport that sends requests through one of httpx's, such as `httpx.ASGITransport`, which calls
    an application in the same process, or `httpx.MockTransport`::

        manager = Manager(config, extensions=[through(lambda: httpx.ASGITransport(application))])

    A plugin is called this way if its table has `transport = "httpx"`, with the options of HTTP but those of
    connections and certificates, which are the business of what `make` returns.

    Args:
        make: Makes the transport of a channel, which closes it at its end.
        name: The word for `transport = "..."`.
    """
    return _Through(make, name)


class _Through:
    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport], name: str) -> None:
        self._make = make
        self._name = name

    @hookimpl
    def remora_register_transports(self) -> Iterable[TransportSpec[Options]]:
        return [
            TransportSpec(
                name=self._name,
                schemes=(),
                options=Options,
                build=self._build,
                native_deadline=True,
                secure_schemes=("https",),
                check=check,
            )
        ]

    def _build(self, options: Options) -> Transport:
        if options.engine == "direct":
            raise ConfigError(f'engine = "direct" is not possible with transport = "{self._name}"')
        return HttpTransport(options, make=self._make)
