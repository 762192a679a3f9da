"""
Who may call a served plugin: the verifier says who calls, a list what each caller may call.

What lives here: the decision about one call. What must not: credentials (see the auth methods).
"""

from __future__ import annotations

import logging
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from remora._describe import DESCRIBE_METHOD, PLUGIN_SERVICE
from remora._extensions._faults import is_interruption
from remora._plain import printable
from remora.errors import Code, PluginError, RemoraError
from remora.wire import HEALTH_SERVICE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora.config import AccessConfig
    from remora.protocols import Verifier
    from remora.types import Call

_log = logging.getLogger(__name__)

_MOST = 200
"""How many characters of a caller's text go into one line of the log."""


class Guard:
    """
    Admits calls whose callers may make them.
    """

    def __init__(self, verifier: Verifier, access: AccessConfig, culprit: str) -> None:
        self._verifier = verifier
        self._access = access
        self._culprit = culprit

    def admit(self, call: Call, peer: str) -> str:
        """
        The name of the caller; empty for calls that anybody may make. Refusals are logged.

        Raises:
            PluginError: UNAUTHENTICATED or PERMISSION_DENIED.
        """
        if self._is_open(call):
            return ""
        try:
            return self._permitted_caller(call, peer)
        except RemoraError as error:
            name, why = printable(call.name, most=_MOST), printable(error.message, most=_MOST)
            _log.info("refused a call of '%s' from %s: %s", name, peer, why)
            raise

    def _permitted_caller(self, call: Call, peer: str) -> str:
        """
        The name of the caller, who is known and may make the call.
        """
        identity = self._identity(call, peer)
        if self._access.allow:
            _check_allowed(identity, call, self._access.allow.get(identity, ()))
        return identity

    def _is_open(self, call: Call) -> bool:
        if call.service == HEALTH_SERVICE:
            return self._access.open_health
        return _asks_what_there_is(call) and self._access.open_describe

    def _identity(self, call: Call, peer: str) -> str:
        try:
            identity = self._verifier.verify(call, peer)
            if not isinstance(identity, str):
                raise TypeError(f"expected a name, got {type(identity).__name__}")
        except RemoraError:
            raise
        except BaseException as error:  # a verifier may be third-party code, and its message may hold secrets
            if is_interruption(error):
                raise
            _log.error("%s failed with %s", self._culprit, type(error).__name__)
            raise PluginError("the caller cannot be verified", code=Code.INTERNAL) from None
        return identity


def _check_allowed(identity: str, call: Call, patterns: Sequence[str]) -> None:
    """
    Refuse a call that the caller's patterns do not allow. Who may call anything may also ask what there is, as hosts do
    that want a version.
    """
    if any(fnmatchcase(call.name, pattern) for pattern in patterns):
        return
    if not _asks_what_there_is(call):
        raise PluginError(f"{identity} may not call {call.name}", code=Code.PERMISSION_DENIED)
    if not patterns:
        remedy = f"nothing under auth.allow is for {identity}, and auth.open_describe is false"
        raise PluginError(f"{identity} may not call {call.name}: {remedy}", code=Code.PERMISSION_DENIED)


def _asks_what_there_is(call: Call) -> bool:
    return (call.service, call.method) == (PLUGIN_SERVICE, DESCRIBE_METHOD)
