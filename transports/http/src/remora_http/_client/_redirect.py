"""
Redirects: whether the answer of a server redirects a request, and where to.

What lives here: an answer in, the next place or a refusal out. What must not: connections (see `_follower`).

A call must stay a call, so only 307 and 308 redirect one: at a 301, 302 or 303 all clients turn it into a GET. What a
call carries is for the configured origin. It goes to another one only when that is listed, and only when it carries
nothing that could be a credential; and a credential may have any name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from remora.errors import ConfigError
from remora.types import Endpoint
from remora.wire import is_reserved
from remora_http._address import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remora_http._address import Address
    from remora_http._failure import Answer
    from remora_http.plugin import Options

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEPING = frozenset({307, 308})
_HARMLESS = frozenset({"accept", "accept-language", "traceparent", "tracestate", "user-agent"})
_LONGEST = 16 * 1024
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")


class NotFollowed(Exception):
    """
    A redirect must not be followed, for the reason in its message.
    """


@dataclass(frozen=True, slots=True)
class Stop:
    """
    One of the places to which a request is sent.

    Attributes:
        origin: Scheme, host and port.
        target: Path and query.
    """

    origin: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """
    How far redirects may lead.

    Attributes:
        home: The origin that was configured.
        others: The other origins to which a request without credentials may be sent.
        most: The most redirects of one request.
        shows_certificate: Whether this side shows a certificate to the configured origin.
    """

    home: str
    others: frozenset[str]
    most: int
    shows_certificate: bool

    def next_stop(self, answer: Answer, way: Sequence[Stop], *, is_call: bool, headers: Iterable[str] = ()) -> Stop:
        """
        Where a redirect leads.

        Args:
            answer: The redirect.
            way: The places to which the request has been sent, the latest one last.
            is_call: Whether the request is a call, and not one for a page.
            headers: The names of its headers.

        Raises:
            NotFollowed: It must not be followed.
        """
        if is_call and answer.status not in _KEEPING:
            raise NotFollowed("it would turn the call into a GET, which is none; 307 and 308 keep what they redirect")
        found = _place(answer.headers.get("location", ""), way[-1])
        stop = Stop(found.origin, found.target("", ""))
        self._check_origin(stop.origin, way[-1].origin)
        if stop.origin != self.home:
            self._check_credentials(headers)
        if stop in way:
            raise NotFollowed("it leads round in a circle")
        if len(way) > self.most:
            raise NotFollowed(f"it would be more than {self.most} redirects (max_redirects)")
        return stop

    def _check_origin(self, origin: str, last: str) -> None:
        if last.startswith("https:") and not origin.startswith("https:"):
            raise NotFollowed("it leads from https to http")
        if origin != self.home and origin not in self.others:
            raise NotFollowed("it leads to another origin, which redirect_origins does not name")

    def _check_credentials(self, headers: Iterable[str]) -> None:
        if self.shows_certificate:
            raise NotFollowed("it leads to another origin, and a client certificate is for one origin only")
        carried = (name.lower() for name in headers)
        if strange := [name for name in carried if name not in _HARMLESS and not is_reserved(name)]:
            raise NotFollowed(
                f"it leads to another origin, and the header {strange[0]!r} of the call could be a credential"
            )


def parse_origins(options: Options) -> dict[str, Address]:
    """
    The other origins that the options name, as URLs without a path.

    Raises:
        ConfigError: One is not such a URL.
    """
    found = (_parse_origin(each) for each in options.redirect_origins)
    return {each.origin: each for each in found}


def _parse_origin(text: str) -> Address:
    if urlsplit(text).scheme not in ("http", "https"):
        raise ConfigError(f"redirect_origins: expected such as 'https://example.com', got {text!r}")
    try:
        address = parse_address(Endpoint(text))
    except ConfigError as error:
        raise ConfigError(f"redirect_origins: {error.message}") from error
    if address.path or address.query:
        raise ConfigError(f"redirect_origins: {text!r} has more than scheme, host and port")
    return address


def _place(location: str, here: Stop) -> Address:
    """
    The absolute address in a header Location.

    Raises:
        NotFollowed: It is not a usable address.
    """
    if not location:
        raise NotFollowed("it does not say where to")
    if len(location) > _LONGEST:
        raise NotFollowed(f"that is a URL of {len(location)} characters")
    if _UNFIT.search(location):
        raise NotFollowed("that is not a URL")
    try:
        url = urljoin(f"{here.origin}{here.target}", location)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise NotFollowed(f"it leads to {parts.scheme!r}, which is not HTTP")
        if parts.username is not None:
            raise NotFollowed("it brings credentials of its own")
        return parse_address(Endpoint(url))
    except (ValueError, ConfigError) as error:
        raise NotFollowed("that is not a URL") from error
