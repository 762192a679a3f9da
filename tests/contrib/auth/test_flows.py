"""
The flows, driven by hand: no loop, no network.
"""

from __future__ import annotations

from typing import Any

import pytest

from remora import AuthConfig, Call, Code, ConfigError, PluginError, Reply, Secret, Unavailable
from remora._extensions._catalog import Catalog
from remora._extensions._options import build_auth_options
from remora._extensions._registry import load_catalog
from remora.types import Refresh
from remora_auth._bearer import RefreshingBearer

CATALOG = load_catalog()
CALL = Call(service="s", method="m", headers={"x-mine": "1"})


def make(config: AuthConfig) -> Any:
    """
    The method of a table.
    """
    spec = CATALOG.auth_method(config.method).spec
    return spec.build(build_auth_options(spec, where="auth", config=config))


@pytest.mark.parametrize(
    ("config", "headers"),
    [
        (AuthConfig(method="api-key", api_key=Secret("k")), {"x-api-key": "k"}),
        (AuthConfig(method="api-key", api_key=Secret("k"), header="X-Key"), {"x-key": "k"}),
        (AuthConfig(method="bearer", token=Secret("t")), {"authorization": "Bearer t"}),
        (
            AuthConfig(method="basic", username="Aladdin", password=Secret("open sesame")),
            {"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
        ),
        (AuthConfig(method="custom", headers={"X-A": Secret("1"), "x-b": Secret("2 3")}), {"x-a": "1", "x-b": "2 3"}),
    ],
    ids=lambda value: getattr(value, "method", ""),
)
def test_flow_yields_the_call_with_its_proof(config: AuthConfig, headers: dict[str, str]) -> None:
    """
    And ends with the reply.
    """
    flow = make(config).flow(CALL)

    assert {"x-mine": "1", **headers} == next(flow).headers
    with pytest.raises(StopIteration):
        flow.send(Reply())


@pytest.mark.parametrize("method", ["none", "mtls"])
def test_nothing_is_to_be_done_for_a_call(method: str) -> None:
    """
    So a call costs nothing.
    """
    files = {"cert_file": "c", "key_file": "k"} if method == "mtls" else {}

    assert make(AuthConfig(method=method, **files)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (AuthConfig(method="api-key"), "api_key: missing"),
        (AuthConfig(method="bearer"), "expected exactly one of token"),
        (AuthConfig(method="bearer", token=Secret("t"), token_file="f"), "expected exactly one of token"),
        (AuthConfig(method="basic"), "username"),
        (AuthConfig(method="mtls", cert_file="c"), "cert_file and key_file"),
        (AuthConfig(method="custom"), "headers or, in code, custom"),
        (
            AuthConfig(method="bearer", token=Secret("t"), username="u"),
            r"auth\.username: the auth method 'bearer' does not use it",
        ),
        (AuthConfig(method="none", options={"x": 1}), r"auth\.options\.x"),
    ],
    ids=str,
)
def test_table_that_makes_no_sense_is_an_error(config: AuthConfig, message: str) -> None:
    """
    Named by its key.
    """
    with pytest.raises(ConfigError, match=message):
        make(config)


class Tickets:
    """
    Tokens by hand.
    """

    def __init__(self, ready: str = "", *, is_due: bool = False) -> None:
        self._ready = ready
        self.is_due = is_due

    def ready(self) -> Secret | None:
        """What is there."""
        return Secret(self._ready) if self._ready else None

    async def renewed(self) -> Secret:
        """Not awaited here."""
        raise AssertionError

    async def another(self, refused: Secret) -> Secret:
        """Not awaited here."""
        raise AssertionError


def test_good_token_is_sent_at_once() -> None:
    """
    Nothing is asked for.
    """
    flow = RefreshingBearer(Tickets("good")).flow(CALL)  # type: ignore[arg-type]

    assert "Bearer good" == _header(next(flow))


def test_no_call_waits_while_a_good_token_is_renewed() -> None:
    """
    It only has it begun, which all calls have in common.
    """
    method = RefreshingBearer(Tickets("good", is_due=True))  # type: ignore[arg-type]
    flows = [method.flow(CALL) for _ in range(2)]
    steps = [next(flow) for flow in flows]

    assert steps[0] == steps[1]
    assert isinstance(steps[0], Refresh)
    assert not steps[0].is_awaited
    assert "Bearer good" == _header(flows[0].send(None))


def test_calls_with_the_same_refused_token_ask_for_the_same() -> None:
    """
    One fetch serves them all.
    """
    method = RefreshingBearer(Tickets("old"))  # type: ignore[arg-type]
    flows = [method.flow(CALL) for _ in range(2)]
    for flow in flows:
        next(flow)
    steps = [flow.throw(refused()) for flow in flows]

    assert isinstance(steps[0], Refresh)
    assert steps[0].is_awaited
    assert steps[0] == steps[1]


def refused() -> PluginError:
    """
    The plugin does not accept the token.
    """
    return PluginError("who are you?", code=Code.UNAUTHENTICATED)


def test_refused_token_is_renewed_once() -> None:
    """
    The second refusal is the call's end.
    """
    flow = RefreshingBearer(Tickets()).flow(CALL)  # type: ignore[arg-type]
    assert isinstance(next(flow), Refresh)
    assert "Bearer old" == _header(flow.send(Secret("old")))
    assert isinstance(flow.throw(refused()), Refresh)
    assert "Bearer new" == _header(flow.send(Secret("new")))

    with pytest.raises(PluginError, match="who are you"):
        flow.throw(refused())


def test_token_that_stays_the_same_is_not_sent_again() -> None:
    """
    The refusal holds.
    """
    flow = RefreshingBearer(Tickets()).flow(CALL)  # type: ignore[arg-type]
    next(flow)
    flow.send(Secret("old"))
    flow.throw(refused())

    with pytest.raises(PluginError, match="who are you"):
        flow.send(Secret("old"))


@pytest.mark.parametrize("error", [PluginError("no", code=Code.PERMISSION_DENIED), Unavailable("gone")])
def test_other_errors_are_no_reason_for_a_new_token(error: Exception) -> None:
    """
    They pass through.
    """
    flow = RefreshingBearer(Tickets()).flow(CALL)  # type: ignore[arg-type]
    next(flow)
    flow.send(Secret("old"))

    with pytest.raises(type(error)):
        flow.throw(error)


def _header(call: Call | Refresh) -> str:
    assert isinstance(call, Call)
    return call.headers["authorization"]


def test_unknown_method_names_the_extra() -> None:
    """
    So that the error says what to type.
    """
    with pytest.raises(ConfigError, match=r'pip install "remora\[auth\]"'):
        Catalog().auth_method("bearer")
