"""
Interceptors, extensions' code around a call: which there are, and how they become one function.

What lives here: building and nesting them. What must not: when a call goes through them (see `_calls._pipeline`,
`_calls._delivery` and `_serving._dispatch`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from remora._extensions._faults import is_fault
from remora._frozen import dataclass
from remora._log_fields import of_served
from remora.errors import RemoraError
from remora.types import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remora._extensions._catalog import Catalog, Feature
    from remora._extensions._conduct import Conduct
    from remora.protocols import AttemptInterceptor, Interceptor, Tracing
    from remora.specs import InterceptorSpec
    from remora.types import Attempt

Proceed = Callable[[Call], Awaitable[Reply]]
Around = Callable[[Call, Proceed], Awaitable[Reply]]
"""An interceptor of calls, or one of attempts that knows the attempt."""


@dataclass(frozen=True, slots=True)
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

    calls: Sequence[tuple[str, Interceptor]] = ()
    attempts: Sequence[tuple[str, AttemptInterceptor]] = ()
    calls_wait: bool = True
    attempts_wait: bool = True
    tracing: Tracing | None = None

    @classmethod
    def of(cls, catalog: Catalog, plugin: str) -> Interception:
        """
        The interceptors that the installed extensions provide for a plugin.

        Raises:
            ExtensionError: An interceptor cannot be built.
        """
        calls, attempts = list(_built(catalog, "build", plugin)), list(_built(catalog, "attempt", plugin))
        return cls(
            [(feature.named("interceptor"), each) for feature, each in calls],
            [(feature.named("interceptor"), each) for feature, each in attempts],
            calls_wait=any(feature.spec.waits for feature, _ in calls),
            attempts_wait=any(feature.spec.waits for feature, _ in attempts),
            tracing=tracing_of(catalog),
        )


def tracing_of(catalog: Catalog) -> Tracing | None:
    """
    The tracing of the outermost interceptor that has one; None when none has.

    Raises:
        ExtensionError: An interceptor cannot be built.
    """
    return next((tracing for _, tracing in _built(catalog, "tracing")), None)


def served_interceptors(catalog: Catalog) -> list[tuple[str, Interceptor]]:
    """
    The interceptors around the calls that a served plugin answers, outermost first, with their names for messages.

    Raises:
        ExtensionError: An interceptor cannot be built.
    """
    return [(feature.named("interceptor"), each) for feature, each in _built(catalog, "serve")]


def _built(catalog: Catalog, by: str, *arguments: object) -> Iterator[tuple[Feature[InterceptorSpec], Any]]:
    features = [claims[0] for claims in catalog.interceptors.values()]
    for feature in sorted(features, key=_place):
        if getattr(feature.spec, by) is None:
            continue
        interceptor = feature.build("interceptor", *arguments, by=by)
        if interceptor is not None:
            yield feature, interceptor


def _place(feature: Feature[InterceptorSpec]) -> tuple[int, str]:
    return feature.spec.order, feature.spec.name


def nested(interceptors: Sequence[tuple[str, Around]], conduct: Conduct, proceed: Proceed) -> Proceed:
    """
    Interceptors as one function around `proceed`, the first one outermost.
    """
    for culprit, interceptor in reversed(interceptors):
        proceed = _around(culprit, interceptor, conduct, proceed)
    return proceed


def nested_attempt(
    interceptors: Iterable[tuple[str, AttemptInterceptor]], attempt: Attempt, conduct: Conduct, proceed: Proceed
) -> Proceed:
    """
    Interceptors of attempts as one function around the sending of an attempt.
    """
    return nested([(name, _told(each, attempt)) for name, each in interceptors], conduct, proceed)


def _told(interceptor: AttemptInterceptor, attempt: Attempt) -> Around:
    def intercept(call: Call, proceed: Proceed) -> Awaitable[Reply]:  # a `partial` takes three times as long to call
        return interceptor(call, proceed, attempt=attempt)

    return intercept


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
