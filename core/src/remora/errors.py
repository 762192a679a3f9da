"""
Every error that Remora raises, as one tree with one status code per leaf.

What lives here: exceptions and the status codes. What must not: any I/O, any knowledge of a transport.

The families say what the caller can do::

    RemoraError
    ├── ConfigError               fix the configuration (or the installation)
    │   ├── NotInstalled          a feature is named whose distribution is not installed
    │   ├── ExtensionError        an installed extension cannot be used
    │   │   └── ExtensionConflict two distributions claim one name
    │   ├── PluginNotFound        no plugin of that name is configured
    │   ├── PluginDisabled        the plugin is configured with enabled = false
    │   ├── VersionMismatch       the plugin has another version than is required
    │   ├── ServiceMismatch       the plugin does not serve what a typed client needs
    │   ├── WrongProtocol         the other side speaks something else
    │   ├── CertificateRejected   one side does not accept the other's certificate
    │   ├── ExecutableRefused     the plugin's program may not be started
    │   └── PeerRefused           somebody else is at the other end
    ├── TryLater                  the same call may succeed later
    │   ├── Unavailable           no instance can take the call now
    │   │   ├── ConnectionLost    the connection broke while the call was under way
    │   │   ├── PluginDied        the plugin's process ended
    │   │   ├── CircuitOpen       the circuit breakers refuse the call
    │   │   ├── Draining          the plugin is being drained
    │   │   └── ManagerClosed     the manager is not running
    │   ├── RateLimited           the rate limit refuses the call
    │   ├── Overloaded            too many calls are under way and waiting
    │   ├── NoCredentials         what would prove who calls is not to be had
    │   └── DeadlineExceeded      the time for the call is over
    │       └── DrainTimeout      calls were still under way when the time for draining was over
    └── GiveUp                    the same call will fail again
        ├── PluginError           the plugin itself said no
        ├── InvalidRequest        the request cannot be sent as it is
        ├── InvalidReply          the reply is not what was asked for
        ├── MessageTooLarge       a message is over the configured size
        ├── WireError             the peer broke the rules of its protocol
        └── Cancelled             the call was cancelled by the other side
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from remora._hidden import without_users

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Cancelled",
    "CertificateRejected",
    "CircuitOpen",
    "Code",
    "ConfigError",
    "ConnectionLost",
    "DeadlineExceeded",
    "DrainTimeout",
    "Draining",
    "ExecutableRefused",
    "ExtensionConflict",
    "ExtensionError",
    "GiveUp",
    "InvalidReply",
    "InvalidRequest",
    "ManagerClosed",
    "MessageTooLarge",
    "NoCredentials",
    "NotInstalled",
    "Overloaded",
    "PeerRefused",
    "PluginDied",
    "PluginDisabled",
    "PluginError",
    "PluginNotFound",
    "RateLimited",
    "RemoraError",
    "ServiceMismatch",
    "TryLater",
    "Unavailable",
    "VersionMismatch",
    "WireError",
    "WrongProtocol",
]


class Code(StrEnum):
    """
    The canonical status codes of gRPC, by name; `number` is the one on the wire.
    """

    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    UNAUTHENTICATED = "UNAUTHENTICATED"

    @property
    def number(self) -> int:
        """
        The number that stands for the code on the wire, 1 to 16.
        """
        return _NUMBERS[self]

    @classmethod
    def from_number(cls, number: int) -> Code:
        """
        The code of a number from the wire; a number that is none counts as UNKNOWN.
        """
        return _CODES.get(number, cls.UNKNOWN)


_CODES = dict(enumerate(Code, start=1))
_NUMBERS = {code: number for number, code in _CODES.items()}


class RemoraError(Exception):
    """
    The root of all errors of Remora.

    Attributes:
        message: What went wrong, without the names of plugin and instance, and without the users and passwords of URLs.
        code: The canonical status code.
        plugin: The configured name of the plugin, where one is concerned.
        instance: The instance of it that took the call, by its address.
        request_id: The identifier of the call.
        retryable: Whether the same call may succeed when it is made again.
        retry_after: Seconds to wait before trying again, where they are known.
        sent: False when the request certainly never reached the plugin.
    """

    code: Code = Code.UNKNOWN
    retryable: bool = False
    default_sent: ClassVar[bool] = True

    def __init__(
        self,
        message: str,
        *,
        plugin: str | None = None,
        instance: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        sent: bool | None = None,
    ) -> None:
        message = without_users(str(message))  # whoever raises it may have put another exception there
        super().__init__(message)
        self.message: str = message
        self.plugin = plugin
        self.instance = instance
        self.request_id = request_id
        self.retry_after = retry_after
        self.sent: bool = self.default_sent if sent is None else sent

    def __str__(self) -> str:
        if self.plugin is None:
            return self.message
        where = f"plugin {self.plugin!r}" if self.instance is None else f"plugin {self.plugin!r} at {self.instance}"
        return f"{where}: {self.message}"

    def locate(self, *, plugin: str, instance: str | None, request_id: str) -> None:
        """
        Fill in where the error happened, as far as nobody has done so yet.
        """
        self.plugin = self.plugin or plugin
        self.instance = self.instance or instance
        self.request_id = self.request_id or request_id


class ConfigError(RemoraError):
    """
    The configuration cannot be used as it is; every problem of it is listed at once.

    What to do: correct the places that `problems` names.

    Attributes:
        problems: One line per problem, each with the path of its key.
        source: The file that was read, where there was one.
    """

    code = Code.FAILED_PRECONDITION
    default_sent = False

    def __init__(
        self, message: str, *, problems: Sequence[str] = (), source: str | None = None, plugin: str | None = None
    ) -> None:
        super().__init__(message, plugin=plugin)
        self.problems: tuple[str, ...] = tuple(without_users(each) for each in problems) or (self.message,)
        self.source = source

    def found_in(self, source: str, *, message: str = "", problems: Sequence[str] = ()) -> None:
        """
        Fill in the file that the problem is in, as far as nobody has done so yet.

        Args:
            source: The file.
            message: The message with the file in it; by default the file is put in front of the message.
            problems: The problems with their places, where those are known.
        """
        if self.source is None:
            self.source = source
            self.problems = tuple(without_users(each) for each in problems) or self.problems
            self.message: str = without_users(message) or f"{source}: {self.message}"
            self.args: tuple[Any, ...] = (self.message,)


class NotInstalled(ConfigError):
    """
    A feature is named that no installed distribution provides.

    What to do: install the extra that the message names, or correct the name.
    """


class ExtensionError(ConfigError):
    """
    An installed extension cannot be imported, or its hooks are wrong.

    What to do: repair, update or uninstall the distribution, or leave it out with REMORA_DISABLE.
    """


class ExtensionConflict(ExtensionError):
    """
    Two installed distributions claim the same name.

    What to do: uninstall one of them, or leave it out with REMORA_DISABLE.
    """


class PluginNotFound(ConfigError):
    """
    No plugin of that name is configured.

    What to do: correct the name, or add a [plugins.NAME] table.
    """

    code = Code.NOT_FOUND


class PluginDisabled(ConfigError):
    """
    The plugin is configured, but switched off.

    What to do: remove `enabled = false` from its table.
    """


class VersionMismatch(ConfigError):
    """
    The plugin has another version than its table requires, or does not say which it has.

    What to do: install the plugin that is required, or correct `version`; then restart it, or reload.

    Attributes:
        required: What this side requires.
        found: What the plugin says that it is; empty when it does not say.
    """

    def __init__(self, message: str, *, required: str = "", found: str = "", plugin: str | None = None) -> None:
        super().__init__(message, plugin=plugin)
        self.required = required
        self.found = found


class ServiceMismatch(ConfigError):
    """
    The plugin does not serve every method that a typed client needs; `problems` has a line for each.

    What to do: install the plugin that serves them, or correct the client's class.
    """


class WrongProtocol(ConfigError):
    """
    Something answers at the endpoint, but it speaks another protocol.

    What to do: correct the scheme or the port of the endpoint.
    """

    code = Code.INTERNAL
    default_sent = True


_CERTIFICATE_ADVICE = {
    "unknown-authority": "; ca_file names the authorities to trust",
    "wrong-host": "; server_name says which name it must be for",
}


class CertificateRejected(ConfigError):
    """
    One side of a TLS connection does not accept what the other shows.

    What to do: renew the certificate, or correct `ca_file`, `server_name`, `cert_file` and `key_file`.

    Attributes:
        reason: "expired", "not-yet-valid", "wrong-host", "unknown-authority", of the server's certificate;
            "client-certificate-missing", "client-certificate-refused", of ours; or "other".
    """

    code = Code.UNAUTHENTICATED

    def __init__(self, message: str, *, reason: str = "other") -> None:
        super().__init__(message.rstrip(".") + _CERTIFICATE_ADVICE.get(reason, ""))
        self.reason = reason


class ExecutableRefused(ConfigError):
    """
    The plugin's program may not be started: the allow-list does not have it, or others could change it.

    What to do: look at the program; if it is what it should be, run `remora security pin`, or correct its mode.

    Attributes:
        program: The path of the program; empty where only the message says which.
        sha256: The hash of its file; empty when it was not read.
        reasons: What speaks against it, one sentence each.
    """

    code = Code.PERMISSION_DENIED

    def __init__(self, message: str, *, program: str = "", sha256: str = "", reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.program = program
        self.sha256 = sha256
        self.reasons: tuple[str, ...] = tuple(reasons)


class PeerRefused(ConfigError):
    """
    The process at the other end of a local socket belongs to a user who is not trusted.

    What to do: find out who it is; if it is the plugin, name its user in the configuration.
    """

    code = Code.PERMISSION_DENIED


class TryLater(RemoraError):
    """
    The family of errors that may be gone when the call is made again.
    """

    code = Code.UNAVAILABLE
    retryable = True


class Unavailable(TryLater):
    """
    No instance of the plugin can take the call now.

    What to do: try again after `retry_after`, or look at the cause that the message names.
    """


class ConnectionLost(Unavailable):
    """
    The connection broke while the call was under way; whether the plugin acted is not known unless `sent` is False.

    What to do: try again if the method is idempotent.
    """


class PluginDied(Unavailable):
    """
    The plugin's process ended while it was needed.

    What to do: read `stderr`; the process is started again by itself.

    Attributes:
        exit_status: The process's exit status, negative for a signal, None when it is not known.
        stderr: The last lines that it wrote to its standard error.
        ending: How it ended: the message without what it wrote.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_status: int | None = None,
        stderr: Sequence[str] = (),
        quoted: str = "",
        sent: bool | None = None,
    ) -> None:
        super().__init__(f"{message}: {quoted}" if quoted else message, sent=sent)
        self.ending: str = str(message)
        self.exit_status = exit_status
        self.stderr: tuple[str, ...] = tuple(stderr)


class CircuitOpen(Unavailable):
    """
    The circuit breakers of all instances refuse calls.

    What to do: wait `retry_after` seconds.
    """

    default_sent = False


class Draining(Unavailable):
    """
    The plugin finishes what it has and takes nothing new.

    What to do: call another plugin, or call again when the new generation is up.
    """

    default_sent = False


class ManagerClosed(Unavailable):
    """
    The manager has not been entered yet, or is shut down.

    What to do: make calls inside `async with manager`.
    """

    default_sent = False


class RateLimited(TryLater):
    """
    The configured rate limit refuses the call.

    What to do: wait `retry_after` seconds.
    """

    code = Code.RESOURCE_EXHAUSTED
    default_sent = False


class Overloaded(TryLater):
    """
    As many calls are under way as `max_connections` allows, and as many wait as `max_pending` allows.

    What to do: call less at once, or raise the limits if the plugin can bear it.
    """

    code = Code.RESOURCE_EXHAUSTED
    default_sent = False


class DeadlineExceeded(TryLater):
    """
    The call's time was over before its reply arrived; whether the plugin acted is not known.

    What to do: allow more time, or find out what the plugin spends it on.
    """

    code = Code.DEADLINE_EXCEEDED


class DrainTimeout(DeadlineExceeded):
    """
    Calls of a plugin were still under way when the time for draining was over.

    What to do: drain again with more time, or with `force=True`.

    Attributes:
        remaining: The calls that are still under way.
        cancelled: The calls that were cancelled because of it.
    """

    def __init__(self, message: str, *, plugin: str | None = None, remaining: int = 0, cancelled: int = 0) -> None:
        super().__init__(message, plugin=plugin)
        self.remaining = remaining
        self.cancelled = cancelled


class NoCredentials(TryLater):
    """
    What would prove to the plugin who calls is not to be had now; nothing was sent.

    What to do: look at where the credentials come from, which the message names.
    """

    code = Code.UNAUTHENTICATED
    default_sent = False


class GiveUp(RemoraError):
    """
    The family of errors that the same call will meet again.
    """


_RETRYABLE = frozenset({Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.ABORTED})


class PluginError(GiveUp):
    """
    The plugin itself answered with an error. Raise it in a handler to give the caller this answer.

    What to do: what the plugin's own documentation says about `code` and `details`.

    Attributes:
        details: What the plugin says about the error: a mapping of JSON values.
        headers: The headers that came with the answer.
    """

    def __init__(
        self,
        message: str,
        *,
        code: Code = Code.UNKNOWN,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.code: Code = Code(code)
        self.retryable: bool = self.code in _RETRYABLE
        self.details: dict[str, object] = dict(details or {})
        self.headers: dict[str, str] = dict(headers or {})


class InvalidRequest(GiveUp):
    """
    The request cannot be sent as it is: it cannot be encoded, or an option of the call is impossible.

    What to do: correct the call.
    """

    code = Code.INVALID_ARGUMENT
    default_sent = False


class InvalidReply(GiveUp):
    """
    The plugin answered, but not with what was asked for; the message names the field.

    What to do: compare the record types of host and plugin.
    """

    code = Code.INTERNAL


class MessageTooLarge(GiveUp):
    """
    A request or a reply is larger than `max_message_size`.

    What to do: send less at once, or raise the limit on both sides.
    """

    code = Code.RESOURCE_EXHAUSTED


class WireError(GiveUp):
    """
    The peer sent bytes that break its protocol; the connection is closed.

    What to do: report it to the peer's author; the message quotes what arrived.
    """

    code = Code.INTERNAL


class Cancelled(GiveUp):
    """
    The call was cancelled by the plugin's side, or by the manager's shutdown.

    What to do: nothing, unless it was not you who stopped it.
    """

    code = Code.CANCELLED
