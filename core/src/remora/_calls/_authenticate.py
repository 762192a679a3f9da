"""
The driver of authentication flows, which does the waiting and the sending that a flow asks for.

What lives here: one attempt with a flow around it. What must not: any method's credentials.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import anyio

from remora._calls._refreshing import Refreshing
from remora._extensions._faults import is_interruption
from remora._headers import checked_headers
from remora.errors import DeadlineExceeded, ExtensionError, PluginError, RemoraError
from remora.secret import redacted
from remora.types import Call, Refresh

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora._calls._refreshing import Start
    from remora._extensions._conduct import Conduct
    from remora.protocols import AuthMethod
    from remora.types import Reply

    Flow = Generator[Call | Refresh, Any, None]
    Send = Callable[[Call], Awaitable[Reply]]


class Authenticator:
    """
    Adds the credentials of an auth method to the calls of one plugin.

    Args:
        method: The method.
        culprit: Whose code it is.
        conduct: The record of how extensions behave.
        start: Starts a task that may outlive a call.
    """

    def __init__(self, method: AuthMethod, culprit: str, *, conduct: Conduct, start: Start) -> None:
        self._method = method
        self._culprit = culprit
        self._explain = partial(conduct.explain, culprit)
        self._refreshing = Refreshing(start, self._explain)

    async def __call__(self, call: Call, send: Send) -> Reply:
        """
        Make one attempt.

        Args:
            call: The call, as it came from the pipeline.
            send: Carries a call to the plugin.

        Raises:
            RemoraError: The attempt failed, or the method has no credentials now.
        """
        flow = self._begin(call)
        try:
            return await self._drive(flow, call, send)
        except RemoraError as error:
            _hide_credentials(error)
            raise
        finally:
            flow.close()

    def _begin(self, call: Call) -> Flow:
        try:
            flow = self._method.flow(call)
        except BaseException as error:  # a method may be a stranger's code
            if is_interruption(error):
                raise
            self._explain(error)
        if not isinstance(flow, Generator):
            self._reject("its flow is not a generator")
        return flow

    async def _drive(self, flow: Flow, call: Call, send: Send) -> Reply:
        reply: Reply | None = None
        resume: Callable[[], object] = partial(next, flow)
        while (step := self._step(resume)) is not None:
            try:
                if isinstance(step, Call):
                    checked_headers(step.headers)  # a credential from a file may hold anything
                    result: object = (reply := await send(step))
                elif isinstance(step, Refresh):
                    result = await self._refreshed(step, call)
                else:
                    self._reject(f"its flow yielded a {type(step).__name__}")
            except RemoraError as error:
                resume = partial(flow.throw, error)
            else:
                resume = partial(flow.send, result)
        if reply is None:
            self._reject("its flow ended without a reply")
        return reply

    def _step(self, resume: Callable[[], object]) -> object | None:
        """
        The next step of the flow; None when it has ended.
        """
        try:
            return resume()
        except StopIteration:
            return None
        except RemoraError:
            raise
        except BaseException as error:  # a method may be a stranger's code
            if is_interruption(error):
                raise
            self._explain(error)

    async def _refreshed(self, step: Refresh, call: Call) -> object:
        """
        The result of a refresh, awaited within the call's deadline; None when it is not awaited.
        """
        try:
            run = self._refreshing.run(step.action)
        except Exception as error:  # the action cannot be compared with others
            self._explain(error)
        if not step.is_awaited:
            return None
        remaining = None if call.deadline is None else max(0.0, call.deadline - anyio.current_time())
        with anyio.move_on_after(remaining):
            return await run.result()
        raise DeadlineExceeded("new credentials did not arrive in time", sent=False)

    def _reject(self, reason: str) -> NoReturn:
        raise ExtensionError(f"{self._culprit}: {reason}")


def _hide_credentials(error: RemoraError) -> None:
    """
    Remove from an error the secrets that a plugin has repeated in it, and then its causes, which may hold them, too.
    """
    message = redacted(error.message)
    if isinstance(error, PluginError):
        error.details, error.headers = _hidden(error.details), redacted(error.headers)
    if message != error.message:
        error.message, error.args, error.__cause__, error.__context__ = message, (message,), None, None


def _hidden(details: dict[str, object]) -> dict[str, object]:
    try:
        return redacted(details)
    except ValueError:  # nested too deeply to be searched
        return {}
