"""
Interceptors, extensions' code around a call: which there are, and how they become one function.

What lives here: what is made for a plugin, and nesting it. What must not: which are wanted (see `_interceptors`), and
when a call goes through them (see `_calls._intercepted` and `_serving._dispatch`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from remora import config as config_of  # its names are loaded at first use: who only serves needs none of them
from remora._extensions._faults import is_fault
from remora._extensions._interceptors import errors_of_interceptors, wanted_interceptors
from remora._frozen import dataclass
from remora._log_fields import of_served
from remora.errors import RemoraError
from remora.types import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remora._extensions._catalog import Catalog
    from remora._extensions._conduct import Conduct
    from remora._extensions._interceptors import Wanted
    from remora.config import InterceptorConfig, PluginConfig
    from remora.protocols import AttemptInterceptor, Interceptor, Tracing

Proceed = Callable[[Call], Awaitable[Reply]]
Around = Callable[[Call, Proceed], Awaitable[Reply]]
"""An interceptor of calls, or one of attempts that knows the attempt."""


@dataclass(frozen=True, slots=True)
class Made:
    """
    What one interceptor has made for a plugin.

    Attributes:
        named: Its name for messages.
        table: The table that it was made with; None when nothing is said about it.
        waits: Whether it may wait for something other than the call.
        call: What wraps each call.
        attempt: What wraps each attempt.
        tracing: What knows the trace of a call.
    """

    named: str
    table: InterceptorConfig | None
    waits: bool
    call: Interceptor | None
    attempt: AttemptInterceptor | None
    tracing: Tracing | None

    @classmethod
    def by(cls, wanted: Wanted, plugin: str) -> Made:
        """
        What an interceptor makes for a plugin.

        Raises:
            ConfigError: An option is wrong.
            ExtensionError: It cannot be built.
        """
        return cls(
            named=wanted.feature.named("interceptor"),
            table=wanted.table,
            waits=wanted.feature.spec.waits,
            call=wanted.make(plugin, by="build"),
            attempt=wanted.make(plugin, by="attempt"),
            tracing=wanted.make(by="tracing"),
        )


class Interception:
    """
    The interceptors of one plugin, outermost first, each with its name for messages.

    Attributes:
        calls: Those around each call.
        attempts: Those around each attempt of a call.
        calls_wait: Whether one of `calls` may wait for something other than the call.
        attempts_wait: Whether one of `attempts` may.
        tracing: Tells the trace that a call belongs to; None when nothing traces.
    """

    __slots__ = ("_made", "attempts", "attempts_wait", "calls", "calls_wait", "tracing")

    def __init__(self, made: Mapping[str, Made]) -> None:
        all_made = made.values()
        self._made = made
        self.calls: tuple[tuple[str, Interceptor], ...] = tuple(
            (each.named, each.call) for each in all_made if each.call is not None
        )
        self.attempts: tuple[tuple[str, AttemptInterceptor], ...] = tuple(
            (each.named, each.attempt) for each in all_made if each.attempt is not None
        )
        self.calls_wait: bool = any(each.waits for each in all_made if each.call is not None)
        self.attempts_wait: bool = any(each.waits for each in all_made if each.attempt is not None)
        self.tracing: Tracing | None = next((each.tracing for each in all_made if each.tracing is not None), None)

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        config: PluginConfig,
        general: Mapping[str, InterceptorConfig],
        former: Interception | None = None,
    ) -> Interception:
        """
        The interceptors that the installed extensions provide for a plugin, as far as they are switched on.

        Args:
            catalog: What is installed.
            config: The plugin's table.
            general: The tables of interceptors that hold for all plugins.
            former: The interceptors that it has; one whose table stays the same is kept, with what it knows.

        Raises:
            ConfigError: An option is wrong.
            ExtensionError: An interceptor cannot be built.
        """
        tables = config_of.interceptors_for(config.interceptors, general)
        known = former._made if former is not None else {}
        made = {}
        for wanted in wanted_interceptors(catalog, tables, config.interceptors, f"plugins.{config.name}"):
            name = wanted.feature.spec.name
            is_kept = name in known and config_of.is_same(known[name].table, wanted.table)
            made[name] = known[name] if is_kept else Made.by(wanted, config.name)
        is_other = former is None or [*made] != [*known] or any(made[name] is not known[name] for name in made)
        return cls(made) if former is None or is_other else former


def served_interceptors(catalog: Catalog, tables: Mapping[str, InterceptorConfig]) -> list[tuple[str, Interceptor]]:
    """
    The interceptors around the calls that a served plugin answers, outermost first, with their names for messages.

    Raises:
        NotInstalled: One of the tables is for an interceptor that is not installed.
        ConfigError: An option is wrong.
        ExtensionError: An interceptor cannot be built.
    """
    for error in errors_of_interceptors(catalog, tables):
        raise error
    wanted = wanted_interceptors(catalog, tables, {}, "")
    made = ((each.feature, each.make(by="serve")) for each in wanted)
    return [(feature.named("interceptor"), interceptor) for feature, interceptor in made if interceptor is not None]


def nested(interceptors: Sequence[tuple[str, Around]], conduct: Conduct, proceed: Proceed) -> Proceed:
    """
    Interceptors as one function around `proceed`, the first one outermost.
    """
    for culprit, interceptor in reversed(interceptors):
        proceed = _around(culprit, interceptor, conduct, proceed)
    return proceed


def _around(culprit: str, interceptor: Around, conduct: Conduct, proceed: Proceed) -> Proceed:
    async def call_through(call: Call) -> Reply:
        try:
            reply = await interceptor(call, proceed)
            if not isinstance(reply, Reply):
                raise TypeError(f"expected a Reply, got {type(reply).__name__}")
            return reply
        except RemoraError:
            raise
        except BaseException as error:  # an interceptor of an extension may raise anything
            if not is_fault(error):
                raise conduct.about(**of_served(call)).cancelled(culprit, error) from None
            conduct.about(**of_served(call)).explain(culprit, error)

    return call_through
