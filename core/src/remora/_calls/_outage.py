"""
Why none of a plugin's instances takes calls, in words and as the error that callers get.

What lives here: what their states mean together. What must not: changing them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora._calls._instance import State
from remora.errors import CircuitOpen, ConfigError, ManagerClosed, PluginDied, RemoraError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora._calls._instance import Instance


def why_out(instances: Sequence[Instance]) -> str:
    """
    Why instances, at least one, take no calls now, in a sentence.
    """
    if len(instances) == 1:
        return instances[0].why_out()
    return "; ".join(f"{each.name}: {each.why_out()}" for each in instances)


def cause_of(error: RemoraError) -> str:
    """
    Why an instance is out, for those who are told more than once: without the output of a program that has ended, which
    is told with its end.
    """
    return error.ending if isinstance(error, PluginDied) else error.message


def outage(instances: Sequence[Instance], now: float) -> RemoraError:
    """
    The error of a call that none of a plugin's instances takes.

    Args:
        instances: All instances of the plugin; at least one.
        now: The time on the event loop's clock.
    """
    if all(each.state is State.STOPPED for each in instances):
        return ManagerClosed("it has been stopped")
    if wrong := _misconfigured(instances):
        return wrong  # without the time of the next try, which would not help
    retry_after = max(0.0, min(_back_in(each, now) for each in instances))
    message = why_out(instances)
    refusing = [each for each in instances if each.state is State.READY and each.breaker.refuses_for() > 0]
    if len(instances) > 1 or not refusing or not refusing[0].condition.takes_calls:  # else it says so itself
        message = f"{message} (next try in {retry_after:.1f} s)"
    if refusing:
        return CircuitOpen(message, retry_after=retry_after)
    return Unavailable(message, retry_after=retry_after, sent=False)


def _back_in(instance: Instance, now: float) -> float:
    return instance.refuses_for() if instance.state is State.READY else instance.next_try - now


def _misconfigured(instances: Sequence[Instance]) -> ConfigError | None:
    """
    The error when none of them can ever be opened as configured; None otherwise.
    """
    errors = [each.error for each in instances if isinstance(each.error, ConfigError)]
    if len(errors) < len(instances):
        return None
    message = why_out(instances)
    if len({type(each) for each in errors}) > 1:
        return ConfigError(message)
    return _retold(errors[0], message)


def _retold(error: ConfigError, message: str) -> ConfigError:
    """
    An error of the same type and with the same facts, which can be raised while that one is kept.
    """
    kind = type(error)
    made = kind.__new__(kind, message)
    vars(made).update(vars(error), message=message, problems=(message,), sent=False)
    return made
