"""
Strangers' code around a call: which interceptors there are, and how they become one function.

What lives here: putting them together, once. What must not: when a call goes through them (see `_pipeline`,
`_delivery` and `_dispatch`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from remora._frozen import dataclass
from remora._log_fields import of_served
from remora.errors import RemoraError
from remora.types import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remora._catalog import Catalog, Feature
    from remora._conduct import Conduct
    from remora.protocols import AttemptInterceptor, Interceptor, Tracing
    from remora.specs import InterceptorSpec
    from remora.types import Attempt

Proceed = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Interception:
    """
    What wraps the calls of one plugin, the outermost first, each with what to call it in messages.

    Attributes:
        calls: What wraps each call.
        attempts: What wraps each of its attempts.
        calls_wait: Whether some of what wraps calls may wait for something of its own.
        attempts_wait: Whether some of what wraps attempts may.
        tracing: What knows the trace of a call.
    """

    calls: Sequence[tuple[str, Interceptor]] = ()
    attempts: Sequence[tuple[str, AttemptInterceptor]] = ()
    calls_wait: bool = True
    attempts_wait: bool = True
    tracing: Tracing | None = None

    @classmethod
    def of(cls, catalog: Catalog, plugin: str) -> Interception:
        """
        What the installed extensions have for a plugin.

        Raises:
            ExtensionError: One of them cannot be built.
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
    What knows the trace of a call; of several, the outermost.

    Raises:
        ExtensionError: One of them cannot be built.
    """
    return next((tracing for _, tracing in _built(catalog, "tracing")), None)


def served_interceptors(catalog: Catalog) -> list[tuple[str, Interceptor]]:
    """
    What wraps the calls that a served plugin answers, likewise.

    Raises:
        ExtensionError: One of them cannot be built.
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


def nested(interceptors: Sequence[tuple[str, Interceptor]], conduct: Conduct, proceed: Proceed) -> Proceed:
    """
    Interceptors as one function around what comes after them, the first one outermost.
    """
    for culprit, interceptor in reversed(interceptors):
        proceed = _around(culprit, interceptor, conduct, proceed)
    return proceed


def nested_attempt(
    interceptors: Iterable[tuple[str, AttemptInterceptor]], attempt: Attempt, conduct: Conduct, proceed: Proceed
) -> Proceed:
    """
    Interceptors of attempts as one function around the sending of one of them.
    """
    return nested([(name, partial(each, attempt=attempt)) for name, each in interceptors], conduct, proceed)


def _around(culprit: str, interceptor: Interceptor, conduct: Conduct, proceed: Proceed) -> Proceed:
    async def call_through(call: Call) -> Reply:
        try:
            reply = await interceptor(call, proceed)
            if not isinstance(reply, Reply):
                raise TypeError(f"expected a Reply, got {type(reply).__name__}")
            return reply
        except RemoraError:
            raise
        except Exception as error:  # an interceptor may be a stranger's code
            conduct.about(**of_served(call)).explain(culprit, error)
        except BaseExceptionGroup as group:
            raise conduct.about(**of_served(call)).cancelled(culprit, group) from None

    return call_through
